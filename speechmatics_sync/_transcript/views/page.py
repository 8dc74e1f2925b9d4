"""A transcript as HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Optional

from ..speaker_names import who_says
from .markup import clock, escape, lane, root, small

if TYPE_CHECKING:
    from ..transcript import Transcript
    from ..turns import Turn
    from ..words import Word

__all__ = ["Part", "lanes_of", "parts_of", "transcript_html"]

_SHADES = ((0.5, 0.5), (0.7, 0.34), (0.9, 0.18))
"""Below which confidence a word is how much shaded."""

_PARAGRAPH, _LONGEST_PARAGRAPH = 400, 1200
"""Characters from which on a paragraph ends with a sentence, and from which on it ends anyhow."""

_OPEN_PARAGRAPHS = 2
_OPEN_CHARACTERS = 4000
"""How much of a turn, and of a transcript, is not folded."""

_SENTENCE_END = re.compile(r"[.!?…。！？]")


class Part(NamedTuple):
    """A piece of the text of a turn: a word, or what stands between two."""

    text: str
    word: Optional[Word]


def parts_of(turn: Turn) -> Iterator[Part]:
    """Cut the text of a turn into its words and what stands between them."""
    at = 0
    for word in turn.words:
        found = turn.text.find(word.content, at)
        if found < 0:
            continue
        if found > at:
            yield Part(turn.text[at:found], None)
        at = found + len(word.content)
        yield Part(word.content, word)
    if at < len(turn.text):
        yield Part(turn.text[at:], None)


def paragraphs_of(turn: Turn) -> list[list[Part]]:
    """Cut a turn into paragraphs, at the ends of sentences where it has some."""
    paragraphs: list[list[Part]] = [[]]
    length = 0
    for part in parts_of(turn):
        ended = part.word is None and _SENTENCE_END.search(part.text) is not None
        paragraphs[-1].append(part)
        length += len(part.text)
        if part.word is None and (length >= _LONGEST_PARAGRAPH or (ended and length >= _PARAGRAPH)):
            paragraphs.append([])
            length = 0
    return [paragraph for paragraph in paragraphs if paragraph]


def lanes_of(turns: Iterable[Turn]) -> dict[str, str]:
    """Return a colour for each who speaks, in the order in which they come."""
    names = dict.fromkeys(who_says(turn) for turn in turns)
    return {name: lane(number) for number, name in enumerate(names)}


def transcript_html(transcript: Transcript) -> str:
    """Return what `Transcript._repr_html_` does."""
    turns = transcript.turns
    translations = transcript.translations
    if not (turns or transcript.audio_events or transcript.gaps or translations):
        return root(small("An empty transcript."))
    colours = lanes_of(turns)
    rows = [(turn.start_time, len(turn.text), _turn(turn, colours)) for turn in turns]
    rows += [(start, 0, _gap(start, end)) for start, end in transcript.gaps]
    for event in transcript.audio_events:
        said = f"♪ {event.type}, {_span(event.start_time, event.end_time)}"
        said = f"{event.channel}: {said}" if event.channel else said
        rows.append((event.start_time or 0.0, 0, _aside(said)))
    rows.sort(key=lambda row: row[:2])
    html = _header(transcript, turns, colours) + "".join(_folded(rows))
    for language, translation in translations.items():
        html += (
            f"<details><summary>Translation: {escape(language)}</summary>"
            f'<div dir="auto" lang="{escape(language)}">{escape(translation.text)}</div></details>'
        )
    return root(html, _SEARCH)


def _header(transcript: Transcript, turns: Sequence[Turn], colours: dict[str, str]) -> str:
    words = sum(len(turn.words) for turn in turns)
    said = [f"{words} word{'' if words == 1 else 's'}"]
    if len(colours) > 1:
        said.append(f"{len(colours)} speakers")
    said.append(_span(transcript.start_time or 0.0, transcript.end_time))
    if any(_shade(word) for turn in turns for word in turn.words):
        said.append("shaded words are less certain")
    return f"<div>{small(' · '.join(said))}</div>"


def _folded(rows: Sequence[tuple[float, int, str]]) -> Iterator[str]:
    """Give the rows, the last of a long transcript in an element that opens."""
    shown = 0
    for number, (_, length, html) in enumerate(rows):
        left = len(rows) - number
        if shown >= _OPEN_CHARACTERS and left > 1:
            yield f"<details><summary>{left} more, until {clock(rows[-1][0])}</summary>"
            yield from (html for _, _, html in rows[number:])
            yield "</details>"
            return
        shown += length
        yield html


def _turn(turn: Turn, colours: dict[str, str]) -> str:
    who = who_says(turn)
    label = f"<b>{escape(who)}</b> " if who else ""
    paragraphs = [f'<div dir="auto">{_marked(each)}</div>' for each in paragraphs_of(turn)]
    shown, folded = paragraphs[:_OPEN_PARAGRAPHS], paragraphs[_OPEN_PARAGRAPHS:]
    if len(folded) == 1:
        shown, folded = paragraphs, []
    body = "".join(shown)
    if folded:
        until = clock(turn.end_time)
        body += (
            f"<details><summary>{len(folded)} more paragraphs, until {until}</summary>"
            f"{''.join(folded)}</details>"
        )
    return (
        f'<div class="speechmatics-turn" style="margin:.5em 0;padding-left:.7em;'
        f'border-left:3px solid {colours[who]}">'
        f"<div>{label}{small(clock(turn.start_time))}</div>{body}</div>"
    )


def _marked(parts: Iterable[Part]) -> str:
    return "".join(
        f'<span title="{part.word.confidence:.2f}" '
        f'style="background:rgba(230,130,0,{_shade(part.word)})">{escape(part.text)}</span>'
        if part.word is not None and _shade(part.word)
        else escape(part.text)
        for part in parts
    )


def _shade(word: Word) -> float:
    return next((shade for below, shade in _SHADES if word.confidence < below), 0.0)


def _gap(start: float, end: float) -> str:
    return _aside(f"⚠ {end - start:.1f} s of audio are missing, {_span(start, end)}")


def _aside(text: str) -> str:
    return f'<div class="speechmatics-turn" style="margin:.5em 0"><i>{escape(text)}</i></div>'


def _span(start: Optional[float], end: Optional[float]) -> str:
    return f"{clock(start or 0.0)}–{clock(end)}"


_SEARCH = """\
const field = document.createElement("input"), found = document.createElement("small");
field.type = "search";
field.placeholder = "Search";
field.setAttribute("aria-label", "Search the transcript");
field.style.cssText = "margin:0 .7em 0 0;padding:.15em .4em;font:inherit;color:inherit;" +
  "background:transparent;border:1px solid rgba(128,128,128,.6);border-radius:3px";
found.setAttribute("aria-live", "polite");
root.firstElementChild.prepend(field, found, " ");
const marks = window.Highlight && CSS.highlights ? new Highlight() : null;
if (marks) {
  const style = document.createElement("style");
  style.textContent = `::highlight(${root.id}) { background: #ffd54a; color: black }`;
  root.append(style);
  CSS.highlights.set(root.id, marks);
}
const lower = text => text.toLowerCase().length === text.length ? text.toLowerCase() : text;
function ranges(element, words) {
  const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT), nodes = [];
  let whole = "";
  while (texts.nextNode()) {
    nodes.push([whole.length, texts.currentNode]);
    whole += lower(texts.currentNode.data);
  }
  const place = at => {
    const [from, node] = nodes.filter(([start]) => start <= at).pop();
    return [node, at - from];
  };
  const hits = [];
  for (let at = whole.indexOf(words); at >= 0; at = whole.indexOf(words, at + words.length)) {
    const range = document.createRange();
    range.setStart(...place(at));
    const [last, offset] = place(at + words.length - 1);
    range.setEnd(last, offset + 1);
    hits.push(range);
  }
  return hits;
}
function search() {
  const words = lower(field.value.trim());
  let count = 0;
  if (marks) marks.clear();
  for (const turn of root.querySelectorAll(".speechmatics-turn")) {
    const hits = words ? ranges(turn, words) : [];
    turn.hidden = words && !hits.length;
    count += hits.length;
    if (marks) hits.forEach(range => marks.add(range));
  }
  for (const fold of root.querySelectorAll("details"))
    fold.open = words && fold.textContent.toLowerCase().includes(words);
  found.textContent = words ? `${count} found` : "";
}
field.addEventListener("input", search);
// What is typed here is no shortcut of the notebook.
field.addEventListener("keydown", event => event.stopPropagation());
"""
