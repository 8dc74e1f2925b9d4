"""What belongs to one process says so where it is sent to another."""

from __future__ import annotations

import copy
import pickle
from multiprocessing.reduction import ForkingPickler
from typing import Callable

import pytest
from support.serving import Peer, serving
from support.sessions import RAW, Blocking, client_of, let_sources_go

from speechmatics_sync import Client, EventEmitter, MultiChannelClient

__all__ = ["let_sources_go"]

URL = "ws://localhost:1"


@pytest.mark.parametrize(
    "made",
    [Client(url=URL), MultiChannelClient(url=URL), EventEmitter()],
    ids=lambda made: type(made).__name__,
)
@pytest.mark.parametrize("copied", [ForkingPickler.dumps, copy.copy, copy.deepcopy])
def test_what_cannot_be_copied_says_where_to_make_another(
    made: object, copied: Callable[[object], object]
) -> None:
    with pytest.raises(TypeError, match=f"^{type(made).__name__} cannot be pickled.* worker runs$"):
        copied(made)


def test_a_stream_cannot_be_copied_either() -> None:
    def starts(peer: Peer) -> None:
        peer.start()
        peer.wait_closed()

    with serving(starts) as url, client_of(url) as client:  # noqa: SIM117
        with client.stream(Blocking(), audio_format=RAW) as stream:
            with pytest.raises(TypeError, match="Stream cannot be pickled"):
                pickle.dumps(stream)
