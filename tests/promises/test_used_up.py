"""Descriptors, threads and memory that are used up: an error that says so, or another attempt."""

from __future__ import annotations

import sys
import textwrap

import pytest
from support.places import ROOT
from support.programs import run_program
from support.reconnecting import cut
from support.scripts import PREAMBLE
from support.serving import PATIENCE, Peer, final, serving

pytest.importorskip("resource", reason="limits are set as Unix does")
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="what a limit counts differs"),
    pytest.mark.usefixtures("programs"),
]

LIMITS = """
import contextlib, logging, os, resource, traceback
import speechmatics_sync._session.session, speechmatics_sync._client.stream, stringprep
from encodings import idna

SOFT, HARD = resource.getrlimit(resource.RLIMIT_NOFILE)
policy = ReconnectPolicy(max_attempts=1, initial_delay=0.01, max_delay=0.01)
patient = ReconnectPolicy(max_attempts=100, initial_delay=0.01, max_delay=0.01)

def descriptors_left(number):
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + number if number else 3, HARD))

def restore_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, HARD))

def limit_memory():
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (500 << 20), resource.RLIM_INFINITY))

def no_threads():
    threading.stack_size(1 << 30)  # more than the memory that is left

def restore_threads():
    threading.stack_size(0)

class Attempts(logging.Handler):
    "Calls something at the second attempt to connect again."
    def __init__(self, call):
        super().__init__()
        self.call, self.left = call, 2
    def attempt(self):
        self.left -= 1
        if self.left == 0:
            self.call()
    def emit(self, record):
        if "no file descriptor left" in record.getMessage():
            self.attempt()
    def watch_threads(self):
        "Without a thread there is none for log records either, so the start of one tells."
        start = threading.Thread.start
        def tell(thread):
            if "opener" in thread.name:
                self.attempt()
            start(thread)
        threading.Thread.start = tell

def tell(call, *args, **options):
    "Print how a call ends; that it could not be had must not come as another error."
    try:
        print(call(*args, **options))
    except SpeechmaticsError as error:
        print(type(error).__name__, error)
        print("has ids and transcript", bool(error.request_id), error.transcript is not None)
"""


def run(script: str, url: str) -> str:
    """Run Python in a process of its own; return what it printed. Nothing may be on stderr."""
    done = run_program(
        ["-W", "error", "-c", PREAMBLE + LIMITS + textwrap.dedent(script), url],
        cwd=ROOT,
        text=True,
        timeout=2 * PATIENCE,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


def finishes(peer: Peer) -> None:
    peer.start()
    peer.take_audio()
    peer.send(final("word"), {"message": "EndOfTranscript"})
    peer.wait_closed()


class CutOnce:
    """A server that loses its first connection once that has sent some audio."""

    def __init__(self) -> None:
        self.connections = 0

    def __call__(self, peer: Peer) -> None:
        self.connections += 1
        if self.connections > 1:
            finishes(peer)
            return
        peer.start()
        peer.receive()
        cut(peer)


CALLS = {
    "transcribe": "tell(client.transcribe, bytes(3200), audio_format=RAW)",
    "stream": "tell(client.stream, bytes(3200), audio_format=RAW)",
    "start_session": "tell(client.start_session, audio_format=RAW)",
}


@pytest.mark.parametrize("left", [0, 1, 2])
@pytest.mark.parametrize("call", CALLS)
def test_without_a_descriptor_a_call_says_which_limit_was_met(call: str, left: int) -> None:
    with serving(finishes) as url:
        said = run(
            f"""
            client = Client(url=url, reconnect=policy)
            descriptors_left({left})
            {CALLS[call]}
            restore_descriptors()
            print(client.transcribe(bytes(3200), audio_format=RAW).text)
            """,
            url,
        )
    assert said.startswith("ConnectionError This process has no file descriptor left: its limit is")
    assert "ulimit -n" in said
    assert "Is a server running there" not in said
    assert said.endswith("has ids and transcript True True\nword\n")


@pytest.mark.parametrize("call", CALLS)
def test_without_a_thread_a_call_says_which_limit_was_met(call: str) -> None:
    with serving(finishes) as url:
        said = run(
            f"""
            client = Client(url=url, reconnect=policy)
            limit_memory()
            no_threads()
            {CALLS[call]}
            restore_threads()
            print(client.transcribe(bytes(3200), audio_format=RAW).text)
            """,
            url,
        )
    assert said.startswith("ConnectionError No thread can be started")
    assert "ulimit -u" in said
    assert said.endswith("has ids and transcript True True\nword\n")


@pytest.mark.skipif("coverage" in sys.modules, reason="coverage cannot save what it counted")
@pytest.mark.parametrize("call", CALLS)
def test_without_a_descriptor_the_first_call_of_a_process_says_so(call: str) -> None:
    """It has to read the modules that a session is made of."""
    said = run(
        f"""
        for name in [name for name in sys.modules if "speechmatics_sync._" in name]:
            del sys.modules[name]
        del sys.modules["speechmatics_sync"]
        from speechmatics_sync import AudioFormat, Client, SpeechmaticsError
        RAW = AudioFormat("pcm_s16le", 16000)
        client = Client(url=url)
        descriptors_left(0)
        {CALLS[call]}
        """,
        "ws://localhost:1/v2",
    )
    assert said.startswith("ConnectionError This process has no file descriptor left")


RECONNECTING = """
client = Client(url=url, reconnect=patient)
limit_memory()
logger = logging.getLogger("speechmatics_sync")
logger.propagate = False
attempts = Attempts({restore})
client.start_session(audio_format=RAW)
{tell}
{exhaust}
client.send_audio(bytes(3200))
while client.stats.reconnects < 1:
    pass
client.send_audio(bytes(3200))
print(client.stop_session().text, attempts.left)
"""


@pytest.mark.parametrize(
    ("tell", "exhaust", "restore"),
    [
        ("logger.addHandler(attempts)", "descriptors_left(0)", "restore_descriptors"),
        ("attempts.watch_threads()", "no_threads()", "restore_threads"),
    ],
    ids=["descriptors", "threads"],
)
def test_on_a_reconnect_it_is_an_attempt_like_any_other(
    tell: str, exhaust: str, restore: str
) -> None:
    """And audio is sent from the main thread although there is no thread to shield it."""
    server = CutOnce()
    with serving(server) as url:
        said = run(RECONNECTING.format(tell=tell, exhaust=exhaust, restore=restore), url)
    assert said == "word 0\n"
    assert server.connections == 2


def test_without_a_thread_log_records_wait_and_hold_up_nothing() -> None:
    """A handler of the program that blocks must not do so under the session's lock."""

    def behave(peer: Peer) -> None:
        peer.start()
        peer.receive()
        peer.send({"message": "Warning", "type": "x", "reason": "said meanwhile"})
        peer.wait_closed()

    with serving(behave) as url:
        said = run(
            """
            go_on, heard, connected = threading.Event(), threading.Event(), threading.Event()
            class Blocks(logging.Handler):
                def emit(self, record):
                    if "Recognition started" in record.getMessage():
                        connected.set()
                    elif "said meanwhile" in record.getMessage():
                        assert go_on.wait(60)
                        print("logged")
            logger = logging.getLogger("speechmatics_sync")
            logger.propagate = False
            logger.setLevel(logging.DEBUG)
            logger.addHandler(Blocks())
            client = Client(url=url, reconnect=None)
            client.on("Warning", lambda message: heard.set())
            client.start_session(audio_format=RAW)
            connected.wait()
            while any("-log" in each.name for each in threading.enumerate()):
                pass
            limit_memory()
            no_threads()
            client.send_audio(bytes(3200))
            print("heard", heard.wait(20))
            go_on.set()
            client.close()
            """,
            url,
        )
    assert said == "heard True\nlogged\n"
