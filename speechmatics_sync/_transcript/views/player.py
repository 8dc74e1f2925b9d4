"""A recording with its words, in HTML: the spoken word is marked, a click on one plays from it."""

from __future__ import annotations

import base64
import mimetypes
import os
import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Union
from urllib.parse import quote

from ..._audio.file_objects import path_name, reason_of, regular_size
from ..._model.checks import number
from ..._model.settings import argument
from ...errors import AudioError, ConfigurationError
from ..speaker_names import who_says
from .markup import clock, escape, root, small
from .page import lanes_of, parts_of

if TYPE_CHECKING:
    from ..transcript import Transcript
    from ..turns import Turn

__all__ = ["Player", "player_of"]

_BEGINNINGS = (
    (rb"RIFF....WAVE", "audio/wav"),
    (rb"fLaC", "audio/flac"),
    (rb"OggS", "audio/ogg"),
    (rb"ID3|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]", "audio/mpeg"),
    (rb"\xff[\xf1\xf9]", "audio/aac"),
    (rb"....ftyp", "audio/mp4"),
    (rb"\x1aE\xdf\xa3", "audio/webm"),
)
"""How files begin that browsers play."""

_bytes = number(0, whole=True, unit="bytes")


class Player:
    """A recording and its transcript, as HTML. `Transcript.player` makes it.

    As a notebook cell's value it shows itself; ``html`` is a piece of a page of your own.

    Attributes:
        html: The element, with the script that belongs to it.

    Example:
        >>> player = client.transcribe("audio.wav").player("audio.wav")
        >>> page = f"<!doctype html>{player.html}"
    """

    __module__ = "speechmatics_sync"  # which loads this one only when it is needed

    def __init__(self, html: str) -> None:
        self.html = html

    def __repr__(self) -> str:
        return f"<Player: {len(self.html)} characters of HTML>"

    def _repr_html_(self) -> str:
        return self.html


def player_of(transcript: Transcript, audio: Any, *, embed: bool, max_bytes: int) -> Player:
    """Return what `Transcript.player` does."""
    most: int = argument("max_bytes", max_bytes, _bytes)
    address = escape(_address(audio, embed=embed, max_bytes=most))
    turns = transcript.turns
    colours = lanes_of(turns)
    said = "".join(_turn(turn, colours[who_says(turn)]) for turn in turns)
    html = (
        f'<audio controls preload="metadata" src="{address}" style="width:100%"></audio>'
        f'<div style="max-height:24em;overflow:auto">{said or small("No words.")}</div>'
    )
    return Player(root(html, _SCRIPT))


def _address(audio: Any, *, embed: bool, max_bytes: int) -> str:
    """Return where the audio is: a URL, or the audio itself as one."""
    if isinstance(audio, str) and re.match(r"https?://", audio, re.IGNORECASE):
        return audio
    if isinstance(audio, (bytes, bytearray, memoryview)):
        return _embedded("the audio", bytes(audio), max_bytes)
    if not isinstance(audio, (str, os.PathLike)):
        raise ConfigurationError(
            f"audio is of type {type(audio).__name__}; allowed: a path, an http(s) URL, or bytes"
        )
    path = os.fsdecode(os.fspath(audio))
    name = path_name(path)
    try:
        size = regular_size(os.stat(path))
        content = b""
        if size is not None and embed and size <= max_bytes:
            with open(path, "rb") as file:
                content = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:  # a ValueError for a NUL
        raise AudioError(f"{name} cannot be read: {reason_of(error)}") from error
    if size is None:  # reading a pipe would wait for who writes to it
        raise AudioError(f"{name} cannot be read: it is a folder, a pipe or a device. Pass a file")
    if not embed:
        return quote(PurePath(path).as_posix())
    if size > max_bytes:
        raise _too_large(name, size, max_bytes)
    return _embedded(name, content, max_bytes, mimetypes.guess_type(path)[0])


def _embedded(name: str, content: bytes, max_bytes: int, guessed: Union[str, None] = None) -> str:
    if len(content) > max_bytes:
        raise _too_large(name, len(content), max_bytes)
    kind = next(
        (kind for begins, kind in _BEGINNINGS if re.match(begins, content, re.DOTALL)), guessed
    )
    if kind is None or not kind.startswith(("audio/", "video/")):
        raise AudioError(
            f"{name} is nothing that browsers play: samples without a header, or no audio. Make "
            "a WAV file of them"
        )
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _too_large(name: str, size: int, max_bytes: int) -> ConfigurationError:
    return ConfigurationError(
        f"{name} has {size:,} bytes, and a notebook would hold a copy of them; allowed: "
        f"max_bytes={max_bytes:,}. Pass a larger max_bytes, a URL, or embed=False for a file that "
        "lies beside the notebook"
    )


def _turn(turn: Turn, colour: str) -> str:
    who = who_says(turn)
    label = f"<b>{escape(who)}</b> " if who else ""
    words = "".join(
        escape(part.text)
        if part.word is None
        else f'<span data-from="{part.word.start_time:.3f}" data-to="{part.word.end_time:.3f}" '
        f'style="cursor:pointer;border-radius:2px">{escape(part.text)}</span>'
        for part in parts_of(turn)
    )
    return (
        f'<div style="margin:.5em 0;padding-left:.7em;border-left:3px solid {colour}">'
        f"<div>{label}{small(clock(turn.start_time))}</div>"
        f'<div dir="auto">{words}</div></div>'
    )


_SCRIPT = """\
const audio = root.querySelector("audio"), box = audio.nextElementSibling;
const words = [...box.querySelectorAll("[data-from]")]
  .map(element => ({ element, from: +element.dataset.from, to: +element.dataset.to }))
  .sort((one, other) => one.from - other.from);
// A word stays marked in the short pause behind it.
words.forEach((word, at) => {
  const next = at + 1 < words.length ? words[at + 1].from : Infinity;
  if (next > word.to && next < word.to + 0.5) word.to = next;
});
let marked = [], timer = 0;
function mark() {
  const now = audio.currentTime + 0.01;
  let low = 0, high = words.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (words[middle].from <= now) low = middle + 1; else high = middle;
  }
  // Channels overlap, so more than the last word may be spoken now.
  const spoken = words.slice(Math.max(0, low - 20), low).filter(word => now < word.to);
  if (spoken.length === marked.length && spoken.every((word, at) => word === marked[at])) return;
  for (const word of marked) word.element.style.background = word.element.style.color = "";
  for (const word of spoken) {
    word.element.style.background = "#ffd54a";
    word.element.style.color = "black";
  }
  marked = spoken;
  if (!spoken.length || audio.paused) return;
  const place = spoken[0].element.getBoundingClientRect(), inside = box.getBoundingClientRect();
  if (place.top < inside.top || place.bottom > inside.bottom)
    box.scrollTop += place.top - inside.top - inside.height / 3;
}
// Told of four times a second only, so look at each frame while it plays.
function follow() {
  mark();
  cancelAnimationFrame(timer);
  if (!audio.paused && root.isConnected) timer = requestAnimationFrame(follow);
}
for (const name of ["play", "pause", "seeked", "timeupdate"]) audio.addEventListener(name, follow);
box.addEventListener("click", event => {
  const word = event.target.closest("[data-from]");
  if (!word || String(getSelection())) return;
  audio.currentTime = +word.dataset.from;
  audio.play().catch(() => {});
});
"""
