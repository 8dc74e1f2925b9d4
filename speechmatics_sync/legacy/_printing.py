"""What the old command line printed of a session."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from . import adapters
from .models import ClientMessageType, ServerMessageType

__all__ = ["Transcripts", "add_printing_handlers", "print_symbol"]


@dataclass
class Transcripts:
    """What was printed: its text, and the messages of the finals."""

    text: str
    json: list[dict[str, Any]]


def print_symbol(symbol: str) -> None:
    """Print a symbol to standard error."""
    sys.stderr.write(symbol)
    sys.stderr.flush()


def add_printing_handlers(
    api: Any,
    transcripts: Transcripts,
    enable_partials: bool = False,
    enable_transcription_partials: bool = False,
    enable_translation_partials: bool = False,
    debug_handlers_too: bool = False,
    print_json: bool = False,
    translation_config: Any = None,
) -> None:
    """Have a client print what is transcribed, as the command line does.

    Args:
        api: The client.
        transcripts: Collects what is printed.
        enable_partials: Print partials, to standard error.
        enable_transcription_partials: Print those of the transcript.
        enable_translation_partials: Print those of the translation.
        debug_handlers_too: Print a symbol for each message, to standard error.
        print_json: Print messages, one a line, in place of text.
        translation_config: If there is one, its first language is printed, not the transcript.
    """
    erase = "\33[2K" if sys.stdout.isatty() else ""

    def written(message: dict[str, Any]) -> str:
        return adapters.convert_to_txt(
            message["results"],
            api.transcription_config.language,
            language_pack_info=api.get_language_pack_info(),
            channel=message.get("channel"),
        )

    def translated(message: dict[str, Any]) -> str:
        if translation_config.target_languages[0] != message["language"]:
            return ""
        return adapters.get_txt_translation(message["results"])

    def on_partial(text_of: Any) -> Any:
        def handle(message: dict[str, Any]) -> None:
            if print_json:
                sys.stdout.write(json.dumps(message) + "\n")
                return
            text = text_of(message)
            if text:
                sys.stderr.write(f"{erase}{text}\r")

        return handle

    def on_final(text_of: Any) -> Any:
        def handle(message: dict[str, Any]) -> None:
            transcripts.json.append(message)
            if print_json:
                sys.stdout.write(json.dumps(message) + "\n")
                return
            text = text_of(message)
            if text:
                sys.stdout.write(f"{erase}{text}\n")
            transcripts.text += text

        return handle

    def on_event(message: dict[str, Any]) -> None:
        if print_json:
            sys.stdout.write(json.dumps(message) + "\n")
        elif message["message"] == ServerMessageType.EndOfUtterance:
            sys.stdout.write("[EndOfUtterance]\n")
            transcripts.text += "[EndOfUtterance]"
        else:
            name = f"[{message['event'].get('type', '').upper()}]"
            sys.stdout.write(f"{erase}{name}\n")
            transcripts.text += f"{name} "

    def on_end(_: dict[str, Any]) -> None:
        if enable_partials:
            sys.stderr.write("\n\n")

    if debug_handlers_too:
        _add_symbols(api)
    api.add_event_handler(ServerMessageType.EndOfTranscript, on_end)
    api.add_event_handler(ServerMessageType.AudioEventStarted, on_event)
    api.add_event_handler(ServerMessageType.EndOfUtterance, on_event)
    if print_json or translation_config is not None:
        if enable_partials or enable_translation_partials:
            api.add_event_handler(ServerMessageType.AddPartialTranslation, on_partial(translated))
        api.add_event_handler(ServerMessageType.AddTranslation, on_final(translated))
    if print_json or translation_config is None:
        if enable_partials or enable_transcription_partials:
            api.add_event_handler(ServerMessageType.AddPartialTranscript, on_partial(written))
        api.add_event_handler(ServerMessageType.AddTranscript, on_final(written))


def _add_symbols(api: Any) -> None:
    for received, symbol in (
        (ServerMessageType.AudioAdded, "-"),
        (ServerMessageType.ChannelAudioAdded, "="),
        (ServerMessageType.AddPartialTranscript, "."),
        (ServerMessageType.AddTranscript, "|"),
    ):
        api.add_event_handler(received, lambda _, symbol=symbol: print_symbol(symbol))
    for sent, symbol in (
        (ClientMessageType.AddAudio, "+"),
        (ClientMessageType.AddChannelAudio, "x"),
    ):
        api.add_middleware(sent, lambda *_, symbol=symbol: print_symbol(symbol))
