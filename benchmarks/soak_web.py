"""Whether a web application loses words, lags or grows with forty live sessions and twenty uploads.

    $ make soak-web                                        # a minute and a half
    $ python benchmarks/soak_web.py --seconds 600          # ten minutes

One gunicorn worker with threads (`web_app`), on one core, serves forty browsers that speak and
read live lines over WebSockets, and twenty that upload, all again and again; every third of them
vanishes in the middle. The audio counts (`witness`), and the embedded server, in a process of its
own, hears it: each word must come once, in its order. A line is late by the time from the moment
when a browser sends the beginning of a word to the moment when it has a line with the word; what
the service needs is in it. At the end, the application must have no session, thread or socket that
it did not have before, and its memory must not have grown. Ends with exit code 1 if anything is
wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import os
import random
import re
import socket
import sys
import tempfile
import threading
import time
import wave
from io import BytesIO
from pathlib import Path
from typing import Any

from web_processes import THREADS, Service, Worker, application, service
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from witness import PERIOD, Counted

CHUNK = 3200
"""Bytes that a browser sends at once: a tenth of a second."""
CHUNK_SECONDS = 0.1
ONSET = 0.06
"""Seconds of a word after which it can be known."""
WARM_UP = 20.0
"""Seconds in which what is loaded once is loaded, and memory still grows."""
SETTLING = 15.0
"""Seconds for threads and sockets to end."""
LATEST = 1.0
"""Seconds that a line may be late, but for one in a hundred."""
GROWTH = 16 << 20
"""Bytes by which memory may grow: threads and allocators keep some of what was freed."""
LIVE_WORDS, UPLOAD_WORDS = (20, 40), (40, 200)
"""The fewest and the most words of a session, two of which take a second."""
OBJECTS = 500
"""Python objects by which it may: one session has two thousand."""
UPLOAD_SPEED = 5
"""Times as fast as it is spoken that a recording is uploaded: 1.3 Mbit/s."""


class Tally:
    """What came of it all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts = dict.fromkeys(("live", "uploads", "vanished", "words", "lost", "repeated"), 0)
        self.late: list[float] = []
        self.wrong: list[str] = []

    def add(self, **counts: int) -> None:
        with self._lock:
            for name, count in counts.items():
                self.counts[name] += count

    def compare(self, what: str, spoken: list[str], heard: list[str]) -> None:
        """Count the words that are missing, and those that came twice."""
        lost = len(set(spoken) - set(heard))
        repeated = len(heard) - len(set(heard))
        self.add(words=len(spoken), lost=lost, repeated=repeated)
        if heard != spoken:
            self.wrong.append(f"{what}: heard {heard}, spoken was {spoken}")


class Live:
    """A browser that speaks and reads along.

    Args:
        port: Of the application.
        speech: What it says.
        vanishes_after: After how many chunks it is gone without a word; None to go on to the end.
    """

    def __init__(self, port: int, speech: Counted, vanishes_after: int | None) -> None:
        self._address = f"ws://127.0.0.1:{port}/live"
        self._speech = speech
        self._vanishes_after = vanishes_after
        self._sent: list[float] = []
        self._final: dict[int, str] = {}
        self._seen: set[str] = set()
        self._late: list[float] = []

    def run(self, tally: Tally) -> None:
        with connect(self._address, compression=None, close_timeout=2) as application:
            reader = threading.Thread(target=self._read, args=(application,))
            reader.start()
            with contextlib.suppress(ConnectionClosed):  # what came is compared
                self._speak(application)
            reader.join()
        tally.late += self._late
        if self._vanishes_after is None:
            heard = " ".join(self._final[id] for id in sorted(self._final))
            tally.add(live=1)
            tally.compare("live", list(self._speech.words()), words_of(heard))
        else:
            tally.add(vanished=1)

    def _speak(self, application: ClientConnection) -> None:
        audio = self._speech.audio()
        begun = time.monotonic()
        for number, at in enumerate(range(0, len(audio), CHUNK)):
            if number == self._vanishes_after:
                vanish(application.socket)
                return
            time.sleep(max(0.0, begun + (number + 1) * CHUNK_SECONDS - time.monotonic()))
            self._sent.append(time.monotonic())
            application.send(audio[at : at + CHUNK])
        application.send("end")

    def _read(self, application: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                line = json.loads(application.recv())
                now = time.monotonic()
                if line["is_final"]:
                    self._final[line["id"]] = line["text"]
                for word in words_of(line["text"]):
                    if word not in self._seen:
                        self._seen.add(word)
                        self._late.append(now - self._could_be_known(word))

    def _could_be_known(self, word: str) -> float:
        seconds = (int(word[1:]) - self._speech.first) * PERIOD + ONSET
        return self._sent[int(seconds / CHUNK_SECONDS)]


def upload(port: int, speech: Counted, vanishes: bool, tally: Tally) -> None:
    """Upload a recording, at the speed of a telephone's network."""
    content = BytesIO()
    with wave.open(content, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16000)
        wav.writeframes(speech.audio())
    audio = content.getvalue()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("POST", "/transcribe")
    connection.putheader("Content-Length", str(len(audio)))
    connection.endheaders()
    begun = time.monotonic()
    for number, at in enumerate(range(0, len(audio), CHUNK * UPLOAD_SPEED)):
        if vanishes and at > len(audio) // 2:
            vanish(connection.sock)
            connection.close()
            tally.add(vanished=1)
            return
        time.sleep(max(0.0, begun + number * CHUNK_SECONDS - time.monotonic()))
        connection.send(audio[at : at + CHUNK * UPLOAD_SPEED])
    answer = json.loads(connection.getresponse().read())
    connection.close()
    tally.add(uploads=1)
    tally.compare("upload", list(speech.words()), words_of(answer.get("text", str(answer))))


def vanish(connection: socket.socket) -> None:
    """End a connection without a word, as the system does for a browser that is killed."""
    connection.shutdown(socket.SHUT_RDWR)


def words_of(text: str) -> list[str]:
    return re.findall(r"\bw\d+\b|clipped", text)


# -- the whole of it ----------------------------------------------------------------------------


class Browsers:
    """Keeps so many browsers busy until a time."""

    def __init__(self, port: int, seed: int, tally: Tally) -> None:
        self._port = port
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._tally = tally

    def run(self, live: int, uploads: int, seconds: float) -> None:
        until = time.monotonic() + seconds
        works = [self._speak] * live + [self._upload] * uploads
        threads = [threading.Thread(target=self._work, args=(work, until)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, work: Any, until: float) -> None:
        while time.monotonic() < until:
            try:
                work()
            except Exception as error:
                self._tally.wrong.append(f"{type(error).__name__}: {error}")
                time.sleep(1.0)  # or a server that is down fills the list

    def _speak(self) -> None:
        speech, vanishes = self._choose(*LIVE_WORDS)
        chunks = int(speech.seconds / CHUNK_SECONDS)
        after = self._random.randrange(chunks) if vanishes else None
        Live(self._port, speech, after).run(self._tally)

    def _upload(self) -> None:
        speech, vanishes = self._choose(*UPLOAD_WORDS)
        upload(self._port, speech, vanishes, self._tally)

    def _choose(self, fewest: int, most: int) -> tuple[Counted, bool]:
        with self._lock:
            first, count = self._random.randrange(1, 30000), self._random.randint(fewest, most)
            return Counted(first, count), next(self._numbers) % 3 == 0


class Samples:
    """What memory the worker has, every second, until it is left."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.memory: list[int] = []

    def __enter__(self) -> Samples:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(1.0):
            self.memory.append(self._worker.memory())

    def tenths(self) -> list[float]:
        """Return the memory at ten moments, in MB."""
        step = max(1, len(self.memory) // 10)
        return [size / 2**20 for size in self.memory[::step]][:10]

    def growth(self) -> int:
        """Return by how much the last fifth lies above the second one: the first is warm-up."""
        fifth = max(1, len(self.memory) // 5)
        early, late = self.memory[fifth : 2 * fifth], self.memory[-fifth:]
        return sum(late) // len(late) - sum(early) // len(early) if early else 0


def fill(worker: Worker) -> None:
    """Have the web server make all of its threads, which it keeps: that many browsers at once."""
    with contextlib.ExitStack() as opened:
        for _ in range(THREADS):
            opened.enter_context(connect(f"ws://127.0.0.1:{worker.port}/live", close_timeout=2))


def in_use(worker: Worker) -> dict[str, int]:
    """Return how many Python objects and bytes the worker has when nobody is served."""
    connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=60)
    connection.request("GET", "/memory")
    told: dict[str, int] = json.loads(connection.getresponse().read())
    connection.close()
    return told


def left_over(worker: Worker, served: Service, threads: int, sockets: int) -> dict[str, int]:
    """Return what there is more than before, after a while."""
    deadline = time.monotonic() + SETTLING
    while True:
        left = {
            "sessions left": served.ask()["open"],
            "threads left": worker.threads() - threads,
            "sockets left": worker.sockets() - sockets,
        }
        if not any(count > 0 for count in left.values()) or time.monotonic() > deadline:
            return left
        time.sleep(0.2)


def soak(*, seconds: float, live: int, uploads: int, seed: int, log: Path) -> bool:
    """Run it all and print the figures; return whether all is well."""
    core = max(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    with service() as served, application(served.url, core, log) as worker:
        warm_up, tally = Tally(), Tally()
        fill(worker)
        Browsers(worker.port, seed, warm_up).run(live, uploads, min(WARM_UP, seconds / 3))
        left_over(worker, served, 10_000, 10_000)  # sessions alone are waited for
        threads, sockets, before = worker.threads(), worker.sockets(), in_use(worker)
        cpu, begun = worker.cpu_seconds(), time.monotonic()
        with Samples(worker) as samples:
            Browsers(worker.port, seed + 1, tally).run(live, uploads, seconds)
        share = (worker.cpu_seconds() - cpu) / (time.monotonic() - begun)
        left = left_over(worker, served, threads, sockets)
        after = in_use(worker)
        errors = served.ask()["errors"]
    late = sorted(tally.late) or [float("inf")]
    p50, p99 = (late[min(len(late) - 1, int(len(late) * part))] for part in (0.5, 0.99))
    counts = {name: tally.counts[name] + warm_up.counts[name] for name in ("lost", "repeated")}
    wrong = [*warm_up.wrong, *tally.wrong]
    left["objects left"] = after["objects"] - before["objects"]
    allowed = {"objects left": OBJECTS}
    wrong += [f"{count} {name}" for name, count in left.items() if count > allowed.get(name, 0)]
    kept = after["bytes"] - before["bytes"]
    wrong += [f"the service sent {error}" for error in errors]
    said = log.read_text(encoding="utf-8", errors="replace")
    wrong += [f"the application said: {said[-2000:]}"] if "Traceback" in said else []
    if p99 > LATEST:
        wrong.append(f"one line in a hundred came more than {p99:.2f} s late")
    for what, grown in (("at rest", kept), ("at work", samples.growth())):
        if grown > GROWTH:
            wrong.append(f"memory {what} has grown by {grown / 2**20:.1f} MB")
    rows: dict[str, object] = {
        "browsers at once": f"{live} live, {uploads} uploads",
        "seconds": f"{seconds:g}",
        "load of the machine before": f"{load:.1f}",
        "live sessions": tally.counts["live"],
        "uploads": tally.counts["uploads"],
        "vanished in the middle": tally.counts["vanished"],
        "words": tally.counts["words"],
        "words lost": counts["lost"],
        "words repeated": counts["repeated"],
        "lines": len(tally.late),
        "lines late, median": f"{p50 * 1000:.0f} ms",
        "lines late, p99": f"{p99 * 1000:.0f} ms",
        "lines late, most": f"{late[-1] * 1000:.0f} ms",
        "core of the worker": f"{share:.0%}",
        "memory of the worker": f"{max(samples.memory) / 2**20:.0f} MB",
        "growth at work": f"{samples.growth() / 2**20:.1f} MB",
        "growth at rest": f"{kept / 2**20:.1f} MB",
        "memory in MB, ten times": " ".join(f"{part:.0f}" for part in samples.tenths()),
        **left,
    }
    for name, value in rows.items():
        print(f"{name:<34} {value}")
    for number, problem in enumerate(wrong[:20], 1):
        print(f"\n{number}. {problem}")
    print(f"\n{len(wrong)} things are wrong" if wrong else "\nnothing is wrong")
    return not wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=60, help="how long, after the warm-up")
    parser.add_argument("--live", type=int, default=40, help="how many speak at once")
    parser.add_argument("--uploads", type=int, default=20, help="how many upload at once")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        well = soak(
            seconds=arguments.seconds,
            live=arguments.live,
            uploads=arguments.uploads,
            seed=arguments.seed,
            log=Path(place) / "log",
        )
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
