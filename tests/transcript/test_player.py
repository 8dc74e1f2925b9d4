"""A recording with its words, and pictures of it, as far as no browser and no plots are needed."""

from __future__ import annotations

import base64
import io
import os
import re
import sys
import wave
from pathlib import Path
from typing import Any

import pytest
from support.transcripts import final, result, transcript

from speechmatics_sync import AudioError, ConfigurationError, Player, Transcript

CALL = transcript(final(result("a & b", 1, 1.5), result("<i>", 2, 2.25), channel="agent"))


def wav(seconds: float = 0.1) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(int(16000 * seconds)))
    return buffer.getvalue()


def sources_of(player: Player) -> list[str]:
    return re.findall(r'<audio[^>]* src="([^"]*)"', player.html)


@pytest.mark.parametrize("given", ["str", "path", "bytes"])
def test_the_recording_is_part_of_the_player(tmp_path: Path, given: str) -> None:
    path = tmp_path / "call.bin"  # what it is stands in the file, not in its name
    path.write_bytes(wav())
    player = CALL.player({"str": str(path), "path": path, "bytes": wav()}[given])
    (source,) = sources_of(player)
    kind, _, encoded = source.partition(";base64,")
    assert kind == "data:audio/wav"
    assert base64.b64decode(encoded) == wav()
    assert player._repr_html_() == player.html


def test_each_word_has_its_times_and_is_no_markup() -> None:
    player = CALL.player(wav())
    words = re.findall(r'data-from="([\d.]+)" data-to="([\d.]+)"[^>]*>([^<]*)<', player.html)
    assert words == [("1.000", "1.500", "a &amp; b"), ("2.000", "2.250", "&lt;i&gt;")]
    assert "<b>agent</b>" in player.html
    assert re.findall(r"https?:|<link|@import", player.html) == []


def test_a_url_and_a_file_beside_the_notebook_are_named(tmp_path: Path) -> None:
    url = 'https://example.com/call.mp3?a=1&b="2"'
    assert sources_of(CALL.player(url)) == ["https://example.com/call.mp3?a=1&amp;b=&quot;2&quot;"]
    path = tmp_path / "a call.wav"
    path.write_bytes(b"RIFF")
    (source,) = sources_of(CALL.player(path, embed=False))
    assert source.endswith("/a%20call.wav")


@pytest.mark.parametrize(
    ("beginning", "name", "kind"),
    [
        (b"ID3\x04", "a", "audio/mpeg"),
        (b"\xff\xfb\x90", "a", "audio/mpeg"),
        (b"\xff\xf1\x50", "a", "audio/aac"),
        (b"OggS", "a", "audio/ogg"),
        (b"fLaC", "a", "audio/flac"),
        (b"\0\0\0\x1cftypM4A ", "a", "audio/mp4"),
        (b"\x1aE\xdf\xa3", "a", "audio/webm"),
        (b"????", "a.mp4", "video/mp4"),
    ],
)
def test_what_browsers_play_is_told_by_its_content(
    beginning: bytes, name: str, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(beginning + bytes(100))
    assert sources_of(CALL.player(path))[0].startswith(f"data:{kind};base64,")


def test_what_cannot_be_played_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"'missing\.wav' cannot be read: No such file"):
        CALL.player("missing.wav")
    with pytest.raises(AudioError, match=r"'a\\x00b' cannot be read: .*embedded null"):
        CALL.player("a\0b")
    os.mkfifo(tmp_path / "pipe")
    for no_file in (tmp_path, tmp_path / "pipe"):
        for embed in (True, False):
            with pytest.raises(AudioError, match="cannot be read: it is a folder, a pipe or"):
                CALL.player(no_file, embed=embed)
    with pytest.raises(AudioError, match="samples without a header"):
        CALL.player(bytes(1000))
    (tmp_path / "note.txt").write_text("no sound")
    with pytest.raises(AudioError, match="nothing that browsers play"):
        CALL.player(tmp_path / "note.txt")
    for wrong in (None, 5, io.BytesIO()):
        with pytest.raises(ConfigurationError, match="a path, an http"):
            CALL.player(wrong)


def test_a_recording_that_is_too_large_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    path.write_bytes(wav(1))
    for audio in (path, wav(1)):
        with pytest.raises(ConfigurationError, match=r"16,044 bytes.*max_bytes=16,000.*embed"):
            CALL.player(audio, max_bytes=16000)
    assert CALL.player(path, max_bytes=16044)
    for wrong in (-1, "20 MB", None, 2.5):
        with pytest.raises(ConfigurationError, match=r"max_bytes is .* an integer of at least 0"):
            CALL.player(path, max_bytes=wrong)  # type: ignore[arg-type]


def test_a_transcript_without_words_has_a_player() -> None:
    assert "No words." in Transcript().player(wav()).html


def test_a_picture_needs_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: Any = None
    monkeypatch.setitem(sys.modules, "matplotlib.colors", missing)
    with pytest.raises(ConfigurationError, match="pip install matplotlib"):
        CALL.plot()
