"""Transcribe many files on the workers of a Dask cluster: of this machine, or of many.

    python examples/dask_cluster.py [FILE …] [--workers 2] [--sessions 4]
    python examples/dask_cluster.py FILE … --scheduler tcp://scheduler:8786

Without ``--scheduler`` it starts worker processes here. With it, start a scheduler and workers
first, on any machines that have this package and see the files, and give the workers the key:

    dask scheduler
    SPEECHMATICS_API_KEY=… dask worker tcp://scheduler:8786 --nthreads 4

A session waits most of the time, so one process runs several: ``--nthreads`` is how many. Files
whose worker dies are transcribed on another one, from their beginning. It needs
``pip install distributed``.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from _server import server_url
from distributed import Client, LocalCluster

from speechmatics_sync import SpeechmaticsError, transcribe_many

SAMPLE = Path(__file__).parent / "audio" / "demo.wav"


def main() -> int:
    parser = argparse.ArgumentParser(description="Transcribe files on a Dask cluster.")
    parser.add_argument("files", nargs="*", default=[SAMPLE], help="default: a sample of speech")
    parser.add_argument("--scheduler", help="default: a cluster of this machine")
    parser.add_argument("--workers", type=int, default=2, help="processes of such a cluster")
    parser.add_argument("--sessions", type=int, default=4, help="at once in each of them")
    parser.add_argument("--ledger", help="a file that keeps what is done, to go on after a crash")
    args = parser.parse_args()
    files = [os.path.abspath(file) for file in args.files]

    if args.scheduler:  # its workers have the key in their environment
        with Client(args.scheduler) as cluster:
            return transcribe(files, cluster, args.ledger)
    with (
        server_url() as url,
        LocalCluster(
            n_workers=args.workers, threads_per_worker=args.sessions, dashboard_address=None
        ) as local,
        Client(local) as cluster,
    ):
        return transcribe(files, cluster, args.ledger, **({"url": url} if url else {}))


def transcribe(files: list[str], cluster: Client, ledger: str | None, **options: str) -> int:
    """Transcribe files on a cluster, print their texts, and return how many failed."""
    failed = 0
    sessions = sum(cluster.nthreads().values())
    for job in transcribe_many(
        files, executor=cluster.get_executor(), max_sessions=sessions, ledger=ledger, **options
    ):
        if job.error:
            failed += 1
            print(f"{job.source} failed: {job.error}", file=sys.stderr, flush=True)
        else:
            print(f"{job.source}: {job.transcript.text}", flush=True)
    return failed


if __name__ == "__main__":  # each process of a cluster imports this file
    try:
        sys.exit(min(main(), 1))
    except SpeechmaticsError as error:
        sys.exit(f"Not transcribed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
