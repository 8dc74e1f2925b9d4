"""The names of the protocol can be used as strings."""

from __future__ import annotations

import json
from enum import Enum

import pytest

from speechmatics_sync import (
    ClientMessageType,
    ErrorType,
    InfoType,
    ServerMessageType,
    SessionInfo,
    WarningType,
)

ENUMS = [ClientMessageType, ServerMessageType, ErrorType, WarningType, InfoType]


@pytest.mark.parametrize("words", ENUMS)
def test_a_member_is_its_word_in_text_in_json_and_as_a_key(words: type[Enum]) -> None:
    for member in words:
        word = member.value
        assert str(member) == f"{member}" == word
        assert json.dumps({"message": member}) == json.dumps({"message": word})
        assert {member: 1}[word] == 1
        assert words(word) is member


def test_a_session_starts_out_with_its_request_id_alone() -> None:
    info = SessionInfo("r-1")
    assert info == SessionInfo(
        request_id="r-1",
        session_id=None,
        sequence_number=0,
        is_running=False,
        language_pack_info=None,
        channels=[],
    )
    info.channels.append("left")
    assert SessionInfo("r-2").channels == []
