"""One Realtime session, the server's side, without sockets, threads or clock.

Messages go in, messages come out; nothing outside changes the state. The states, and what a
client may send in each:

    state      StartRecognition  audio  settings and requests  EndOfStream  then
    WAITING    yes               no     no                     no           STARTED
    STARTED    no                yes    yes                    yes          ENDING
    ENDING     no                warns  ignored                no           CLOSED, by `complete`
    CLOSED     –                 –      –                      –            –

"no" is the Error ``protocol_error``. An Error closes a session in any state; `close_code` then
says how the connection is to be closed. Acknowledgements are given before the audio they
acknowledge is recognised, so that they do not wait for it; recognition happens between two
messages of the iterator, so whoever reads slowly is served slowly and nothing piles up.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Callable, Optional, Union

from .audio import decoder_for
from .channel import Channel, Message
from .recognizer import Recognizer
from .record import SessionRecord
from .speakers import Speakers
from .validation import (
    CLOSE_CODE,
    Refused,
    check_message,
    check_mid_session,
    check_start,
    parse,
)

__all__ = ["Session"]

_logger = logging.getLogger("speechmatics_sync.local")

VERSION = "speechmatics-sync-local"
_BROADCAST_RATE = 12000

WAITING, STARTED, ENDING, CLOSED = "WAITING", "STARTED", "ENDING", "CLOSED"


class Session:
    """The protocol of one session.

    Args:
        recognizer: Hears the audio.
        record: What is seen of the session is written here.
        strict: Whether a wrong ``last_seq_no`` is an Error; it is logged otherwise.

    Attributes:
        state: ``"WAITING"``, ``"STARTED"``, ``"ENDING"`` or ``"CLOSED"``.
        close_code: How to close the connection, once the session is closed.
    """

    def __init__(self, recognizer: Recognizer, record: SessionRecord, *, strict: bool) -> None:
        self.state = WAITING
        self.close_code: Optional[int] = None
        self._recognizer = recognizer
        self._record = record
        self._strict = strict
        self._abandoned = False
        self._channel: Optional[Channel] = None
        self._speakers: Optional[Speakers] = None
        self._language = ""
        self._speakers_at_end = False
        self._quality_told = False

    def greet(self, usage: int, quota: int, now: str) -> Iterator[Message]:
        """Give the first message of a connection.

        Args:
            usage: Sessions that run, this one included.
            quota: Sessions that may run.
            now: The time, as ``YYYY-MM-DDTHH:MM:SSZ``.

        Raises:
            Refused: ``quota_exceeded`` if this session is one too many.
        """
        yield {
            "message": "Info",
            "type": "concurrent_session_usage",
            "reason": f"{usage} of {quota} concurrent sessions in use",
            "usage": usage,
            "quota": quota,
            "last_updated": now,
        }
        if usage > quota:
            raise Refused("quota_exceeded", f"no more than {quota} sessions may run at a time")

    def receive(self, message: Union[str, bytes]) -> Iterator[Message]:
        """Take a client's message, text or audio; nothing happens until it is iterated.

        Raises:
            Refused: If the message is not allowed. Say so with `fail`.
        """
        if self.state == CLOSED:
            return
        if not isinstance(message, str):
            yield from self._add_audio(bytes(message))
            return
        parsed = parse(message)
        self._record.messages.append(parsed)
        handler = self._HANDLERS.get(parsed["message"])
        if handler is None:
            raise Refused("invalid_message", "not a message that a client can send")
        yield from handler(self, parsed)

    def complete(self) -> Iterator[Message]:
        """Give the last messages of a session whose stream has ended."""
        if self._speakers_at_end:
            yield self._speakers_result()
        yield {"message": "EndOfTranscript"}
        self._close(1000)

    def fail(self, type: str, reason: str) -> Message:
        """Close the session, and return the Error that says why."""
        error = {"message": "Error", "type": type, "reason": reason}
        self._record.error = error
        _logger.info("Error %s: %s [session_id=%s]", type, reason, self._record.id)
        self._close(CLOSE_CODE[type])
        return error

    def abandon(self) -> None:
        """Have recognition stop at the next frame; from any thread."""
        self._abandoned = True
        channel = self._channel
        if channel is not None:
            channel.abandoned = True

    def close(self) -> None:
        """Give back what the session holds, however it ended."""
        self.state = CLOSED
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _close(self, code: int) -> None:
        self.state = CLOSED
        self.close_code = code

    def _started(self, name: str) -> Channel:
        if self.state == WAITING or self._channel is None:
            raise Refused("protocol_error", f"{name} before StartRecognition")
        return self._channel

    def _start(self, message: Message) -> Iterator[Message]:
        if self.state != WAITING:
            raise Refused("protocol_error", "StartRecognition may be sent once")
        check_start(message, self._recognizer.languages)
        self._record.start = message
        config = message["transcription_config"]
        self._language = config["language"]
        if config.get("diarization") == "speaker":
            settings = config.get("speaker_diarization_config", {})
            self._speakers = Speakers(settings.get("speakers", ()), settings.get("max_speakers"))
            self._speakers_at_end = settings.get("get_speakers", False)
        decoder = decoder_for(message["audio_format"])
        recognition = self._recognizer.start(
            language=self._language, partials=config.get("enable_partials", False)
        )
        self._channel = Channel(decoder, recognition, config, self._speakers)
        self._channel.abandoned = self._abandoned
        self.state = STARTED
        yield from self._quality()
        yield {
            "message": "RecognitionStarted",
            "id": self._record.id,
            "orchestrator_version": VERSION,
            "language_pack_info": {
                "adapted": False,
                "itn": False,
                "language_description": self._recognizer.description,
                "word_delimiter": " ",
                "writing_direction": "left-to-right",
            },
        }
        if "translation_config" in message:
            yield from self._no_translation(message["translation_config"]["target_languages"])

    def _no_translation(self, targets: list[str]) -> Iterator[Message]:
        for target in targets:
            yield {
                "message": "Warning",
                "type": "unsupported_translation_pair",
                "reason": f"this server does not translate {self._language} to {target}",
            }
        yield {
            "message": "Warning",
            "type": "empty_translation_target_list",
            "reason": "no supported target language is left; translation will not run",
        }

    def _quality(self) -> Iterator[Message]:
        rate = self._channel.sample_rate if self._channel is not None else None
        if rate is None or self._quality_told:
            return
        self._quality_told = True
        quality = "broadcast" if rate >= _BROADCAST_RATE else "telephony"
        yield {
            "message": "Info",
            "type": "recognition_quality",
            "reason": f"running recognition using a {quality} model quality",
            "quality": quality,
        }

    def _add_audio(self, payload: bytes) -> Iterator[Message]:
        channel = self._started("audio")
        if self.state == ENDING:
            yield {
                "message": "Warning",
                "type": "add_audio_after_eos",
                "reason": "audio after EndOfStream is ignored",
            }
            return
        channel.received += 1
        self._record.audio_chunks += 1
        self._record.audio_bytes += len(payload)
        yield {"message": "AudioAdded", "seq_no": channel.received}
        yield from channel.add_audio(payload)
        yield from self._quality()

    def _end_of_stream(self, message: Message) -> Iterator[Message]:
        check_message(message)
        channel = self._started("EndOfStream")
        if self.state == ENDING:
            raise Refused("protocol_error", "EndOfStream may be sent once")
        last = self._record.last_seq_no = int(message["last_seq_no"])
        if last != channel.received:
            reason = f"last_seq_no is {last}, but {channel.received} chunks of audio came"
            if self._strict:
                raise Refused("protocol_error", reason)
            _logger.warning("%s [session_id=%s]", reason, self._record.id)
        self.state = ENDING
        yield from channel.finish()

    def _force(self, message: Message) -> Iterator[Message]:
        check_message(message)
        channel = self._started("ForceEndOfUtterance")
        if "channel" in message:
            raise Refused("protocol_error", "channel is for diarization by channel only")
        if self.state == STARTED:
            yield from channel.force_end_of_utterance(message.get("timestamp"))

    def _configure(self, message: Message) -> Iterator[Message]:
        channel = self._started("SetRecognitionConfig")
        check_mid_session(message, self._language)
        channel.configure(message["transcription_config"])
        yield from ()

    def _get_speakers(self, message: Message) -> Iterator[Message]:
        check_message(message)
        self._started("GetSpeakers")
        if message.get("final", False):
            self._speakers_at_end = True
            return
        if self._speakers is None:
            yield {
                "message": "Warning",
                "type": "speaker_id",
                "reason": "there are no speakers without diarization 'speaker'",
            }
        yield self._speakers_result()

    def _speakers_result(self) -> Message:
        speakers = [] if self._speakers is None else self._speakers.result()
        return {"message": "SpeakersResult", "speakers": speakers}

    def _of_channels(self, message: Message) -> Iterator[Message]:
        check_message(message)
        raise Refused("protocol_error", f"{message['message']} is for diarization by channel only")
        yield  # a generator, like the others

    _HANDLERS: dict[str, Callable[[Session, Message], Iterator[Message]]] = {  # noqa: RUF012
        "StartRecognition": _start,
        "EndOfStream": _end_of_stream,
        "ForceEndOfUtterance": _force,
        "SetRecognitionConfig": _configure,
        "GetSpeakers": _get_speakers,
        "AddChannelAudio": _of_channels,
        "EndOfChannel": _of_channels,
    }
