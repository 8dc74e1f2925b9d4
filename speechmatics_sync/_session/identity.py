"""Which session this is: what its log records and its errors say about it."""

from __future__ import annotations

import os
import uuid
from typing import Any, Optional

from .._auth.headers import request_id_in
from .._logs import SessionLogger
from .._model.secret import Secret
from .._model.session_info import LanguagePackInfo
from .._transcript.transcript import Transcript
from ..errors import SessionError, SpeechmaticsError

__all__ = ["Identity"]


class Identity:
    """The ids of a session, its logger and its transcript, and the process that it belongs to.

    Args:
        ws_headers: The user's headers, which may set the request id.
        transcript: Collects the session's messages.
        request_id: This client's id of the session, unless the headers have one; None makes one.
    """

    def __init__(
        self,
        ws_headers: Secret[dict[str, str]],
        transcript: Transcript,
        request_id: Optional[str] = None,
    ) -> None:
        # These never change.
        self.request_id = request_id_in(ws_headers) or request_id or str(uuid.uuid4())
        self.log = SessionLogger(self.request_id)
        self.words = self.log.words
        self.transcript = transcript
        self._process = os.getpid()

        # The receiver sets these at RecognitionStarted, holding the session's lock; any thread may
        # read them without.
        self.session_id: Optional[str] = None
        self.language_pack_info: Optional[LanguagePackInfo] = None

    def attach_to(self, error: SpeechmaticsError) -> Any:
        """Add the ids and the transcript to an error, unless it has those of another session.

        What it repeats of others' words, and the errors that led to it, is cleaned.
        """
        if error.request_id is None:
            self._clean(error)
            error.request_id, error.session_id = self.request_id, self.session_id
            if self.session_id is not None:
                error.session_id = self.words.clean(self.session_id)
            error.transcript = self.transcript
        return error

    def _clean(self, error: SpeechmaticsError) -> None:
        for name in ("message", "type", "reason", "retry_after"):
            value = getattr(error, name, None)
            if isinstance(value, str):
                setattr(error, name, self.words.clean(value))
        error.args = (error.message, *error.args[1:])
        for earlier in (error.__cause__, error.__context__):
            if isinstance(earlier, SpeechmaticsError) and earlier.request_id is None:
                self._clean(earlier)

    @property
    def forked(self) -> bool:
        """Whether this is a copy in a child process, where the session has no threads."""
        return self._process != os.getpid()

    def check_process(self) -> None:
        """Raise SessionError in a child process."""
        if self.forked:
            raise self.attach_to(
                SessionError(
                    "This session was started before fork(), and its threads stayed in the parent "
                    "process: start one in each process."
                )
            )
