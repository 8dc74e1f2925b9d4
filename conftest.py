"""What every test starts from, and what none may leave behind."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.places import ROOT

pytest_plugins = ["support.pages"]

if os.environ.get("PLAIN"):
    # ``PLAIN=1``: nothing is masked or decoded by compiled code, as without the extra ``speed``.
    sys.modules["orjson"] = sys.modules["websockets.speedups"] = None  # type: ignore[assignment]

# Threads and sockets that are just ending are given this long; nothing is asserted about speed.
ENDING_SECONDS = 10.0

# What Hypothesis keeps is in one place, wherever pytest is started, or a test starts a program.
os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(ROOT / ".hypothesis")

# A busy machine must not fail a test: no limit on how long an example takes. In CI there are four
# times as many examples, as in ``support.fuzzing.examples``.
settings.register_profile(
    "patient",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=100 if os.environ.get("CI") == "true" else 25,
)
settings.load_profile("patient")


LONG = (
    "test_examples.py",
    "test_local_speech.py",
    "test_demo.py",
    "test_local_call.py",
    "test_shared_sessions.py",
    "test_rollover_overlap.py",
    "test_terminal.py",
    "test_fault_matrix.py",
    "test_reconnect_words.py",
    "test_bad_input.py",
    "test_shutting_down.py",
    "test_microphone.py",
    "test_reconnect_retries.py",
    "test_soak.py",
    "test_closing.py",
    "test_faults.py",
    "test_logging_setups.py",
    "test_rollover.py",
    "test_outputs.py",
    "test_transcribe.py",
    "test_packaging.py",
    "test_open_audio.py",
    "test_interrupts.py",
    "test_local_server.py",
    "test_pytest_plugin.py",
    "test_peers.py",
    "test_local_official_client.py",
    "test_local_any_order.py",
)
"""By how long they take, waits included, with those that hear speech first."""

# In the background of a shell SIGINT is ignored, and in every program that the tests start as well.
# Some send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


# Keys, endpoints, proxies and authorities of the machine reach no test.
for _name in list(os.environ):
    if _name.upper().startswith(("SPEECHMATICS_", "SM_", "SSL_CERT_")) or _name.upper().endswith(
        ("_PROXY", "_CA_BUNDLE")
    ):
        del os.environ[_name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: of the processes that share the files, none is left with one at the end."""
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONG)))


# Thousands of tests are collected, and none is garbage: the collector need not look at them,
# now or each time it runs.
gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage again, but not among the tests."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what recognises speech on Python 3.9, where pocketsphinx has to be compiled."""
    if item.get_closest_marker("speech") is None or sys.version_info >= (3, 10):
        return
    pytest.importorskip("pocketsphinx", reason="needs pocketsphinx, which has no wheel for 3.9")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of reference files beside the project: the API description and recordings."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{path} is not there, and in CI no test may be skipped for it")
        pytest.skip(f"needs {path}")
    return path


@pytest.fixture(scope="session")
def programs() -> Iterator[None]:
    """The process that forks for `support.programs.Program`, started before it could be a leak."""
    from support.programs import forking

    with forking():
        yield


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a program of a test sets up for logging is gone with it."""
    loggers = [logging.getLogger(), logging.getLogger("speechmatics_sync")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        for handler in set(logger.handlers) - set(handlers):
            logger.removeHandler(handler)


def _open_descriptors() -> set[tuple[int, str]]:
    """Number and target of every open descriptor; both, for the numbers are used again."""
    found = set()
    try:
        numbers = os.listdir("/proc/self/fd")
    except FileNotFoundError:  # not Linux
        return set()
    for number in numbers:
        try:
            found.add((int(number), os.readlink(f"/proc/self/fd/{number}")))
        except FileNotFoundError:
            continue  # the descriptor of the listing itself, or one that closed meanwhile
    return found


@pytest.fixture(autouse=True)
def leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test after which a thread still runs or a socket, pipe or file is still open.

    Nothing is garbage-collected first: what is closed only by the collector counts as left open.
    ``@pytest.mark.leaves_threads(reason="…")`` allows threads, never descriptors.
    """
    marker = request.node.get_closest_marker("leaves_threads")
    if marker is not None and not (marker.args or marker.kwargs.get("reason")):
        pytest.fail("leaves_threads needs a reason")
    threads_before = set(threading.enumerate())
    descriptors_before = _open_descriptors()
    yield
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        threads = set() if marker else set(threading.enumerate()) - threads_before
        descriptors = _open_descriptors() - descriptors_before
        if not threads and not descriptors:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)  # the pace of the poll; what ends the wait is the state itself
    left = [repr(thread) for thread in threads]
    left += [f"descriptor {number}: {target}" for number, target in sorted(descriptors)]
    pytest.fail("the test leaves behind: " + "; ".join(left))
