"""Results as plain text, as the old command line printed them."""

from __future__ import annotations

import itertools
from typing import Any, Optional

from .._help import module_dir
from ._gone import module_getattr

__all__ = [
    "convert_to_txt",
    "get_content",
    "get_language",
    "get_property_from_first_alternative",
    "get_speaker",
    "get_txt_translation",
    "group_tokens",
    "join_tokens",
]

__getattr__ = module_getattr(__name__)
__dir__ = module_dir(__name__)

_WITHOUT_SPACES = ("cmn", "ja")


def convert_to_txt(
    tokens: list[dict[str, Any]],
    language: str,
    language_pack_info: Optional[dict[str, Any]] = None,
    speaker_labels: bool = True,
    channel: Optional[str] = None,
) -> str:
    """Return the text of a message's results, a line for each change of speaker or language.

    Args:
        tokens: The results of an AddTranscript.
        language: Its language: words of ``cmn`` and ``ja`` are joined without a space.
        language_pack_info: Its ``word_delimiter``, if there is one, joins the words.
        speaker_labels: Whether a line ``SPEAKER: S1`` goes before each speaker's words.
        channel: Goes before the text.

    Example:
        >>> word = {"type": "word", "alternatives": [{"content": "Hello", "speaker": "S1"}]}
        >>> print(convert_to_txt([word], "en"))
        SPEAKER: S1
        Hello
    """
    delimiter = "" if language in _WITHOUT_SPACES else " "
    delimiter = (language_pack_info or {}).get("word_delimiter", delimiter)
    lines: list[str] = []
    current = None
    for group in group_tokens(tokens):
        speaker = get_speaker(group[0])
        if speaker_labels and speaker and speaker != current:
            current = speaker
            lines.append(f"SPEAKER: {speaker}")
        lines.append(join_tokens(group, word_delimiter=delimiter))
    text = "\n".join(lines)
    return (f"{channel}: {text}" if lines and channel else text).rstrip()


def group_tokens(tokens: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Split results where the speaker or the language changes."""
    by_speaker = itertools.groupby(tokens, lambda each: (get_speaker(each), get_language(each)))
    return [list(group) for _, group in by_speaker]


def join_tokens(tokens: list[dict[str, Any]], word_delimiter: str = " ") -> str:
    """Join results of one speaker; punctuation attaches as its ``attaches_to`` says."""
    words: list[str] = []
    before = ""  # what the next word begins with
    for token in tokens:
        content = get_content(token)
        if token["type"] in ("word", "entity"):
            words.append(before + content)
            before = ""
        elif token["type"] == "punctuation":
            attaches_to = token.get("attaches_to", "previous")
            if attaches_to == "next":
                before = content
            elif attaches_to == "none":
                words.append(content)
            elif words and attaches_to == "previous":
                words[-1] += content
            elif words and attaches_to == "both":
                before = words.pop() + content
    return word_delimiter.join([*words, before] if before else words)


def get_txt_translation(translations: list[dict[str, Any]]) -> str:
    """Return the text of an AddTranslation's results.

    Example:
        >>> get_txt_translation([{"content": "Bonjour."}, {"content": "Au revoir."}])
        'Bonjour. Au revoir.'
    """
    text = ""
    current = None
    for translation in translations:
        if not translation.get("content"):
            continue
        after = " "
        if translation.get("speaker") and translation["speaker"] != current:
            current = translation["speaker"]
            text += f"SPEAKER: {current}\n"
            after = "\n"
        text += translation["content"] + after
    return text.rstrip()


def get_property_from_first_alternative(token: dict[str, Any], prop: str) -> Any:
    """Return a field of a result's first alternative, or None."""
    alternatives = token.get("alternatives") or [{}]
    return alternatives[0].get(prop)


def get_language(token: dict[str, Any]) -> Any:
    """Return the language of a result, or None."""
    return get_property_from_first_alternative(token, "language")


def get_speaker(token: dict[str, Any]) -> Any:
    """Return the speaker's label of a result, or None."""
    return get_property_from_first_alternative(token, "speaker")


def get_content(token: dict[str, Any]) -> Any:
    """Return the text of a result; of an entity, its written form."""
    if token["type"] == "entity":
        token = token["written_form"][0]
    return get_property_from_first_alternative(token, "content")
