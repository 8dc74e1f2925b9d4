"""Transcripts of speech as the server would write them: words with the times of a voice."""

from __future__ import annotations

import functools
import random
import re
from typing import Any, Optional

from support.transcripts import final, mark, result

TEXT = """\
The family of Dashwood had long been settled in Sussex. Their estate was large, and their residence
was at Norland Park, in the centre of their property, where, for many generations, they had lived in
so respectable a manner as to engage the general good opinion of their surrounding acquaintance. The
late owner of this estate was a single man, who lived to a very advanced age, and who for many years
of his life, had a constant companion and housekeeper in his sister. But her death, which happened
ten years before his own, produced a great alteration in his home; for to supply her loss, he
invited and received into his house the family of his nephew Mr Henry Dashwood, the legal inheritor
of the Norland estate, and the person to whom he intended to bequeath it. Yes. No. Really? Well, I
do not think so, but we can try it tomorrow. Okay."""
"""Jane Austen, Sense and Sensibility, and some words of our time."""

SENTENCES = re.findall(r"[^.?]+[.?]", TEXT)


class Voice:
    """Says sentences: word by word, with longer pauses after marks.

    Args:
        seed: Of its irregularities.
        rate: Characters a second.
        now: Seconds at which it begins.
        speaker: Its label.
    """

    def __init__(
        self, seed: int, *, rate: float = 14.0, now: float = 0.0, speaker: Optional[str] = None
    ) -> None:
        self.now = now
        self.rate = rate
        self.speaker = speaker
        self._random = random.Random(seed)

    def say(self, text: str) -> list[dict[str, Any]]:
        """The results of a text; the voice's time goes on."""
        results = []
        for word, marks in re.findall(r"([^\s.,;?]+)([.,;?]*)", text):
            begun = self.now
            self.now += (len(word) + 1) / self.rate * self._random.uniform(0.7, 1.3)
            times = round(begun, 3), round(self.now, 3)
            results.append(result(word, *times, speaker=self.speaker, language="en"))
            for sign in marks:
                ends = sign in ".?"
                results.append(
                    mark(
                        sign,
                        times[1],
                        speaker=self.speaker,
                        language="en",
                        attaches_to="previous",
                        is_eos=ends,
                    )
                )
                pause = self._random.uniform(0.3, 1.6) if ends else self._random.uniform(0, 0.4)
                self.now += pause
        return results


@functools.cache
def hour(seed: int, *, speakers: int = 1) -> dict[str, Any]:
    """A final that holds an hour of speech, at the changing pace of people."""
    chance = random.Random(seed)
    voice, results = Voice(seed), []
    while voice.now < 3600:
        voice.rate = chance.uniform(11, 16)
        voice.speaker = f"S{chance.randint(1, speakers)}" if speakers > 1 else None
        for sentence in chance.choices(SENTENCES, k=chance.randint(1, 6)):
            results += voice.say(sentence)
    return final(*results)
