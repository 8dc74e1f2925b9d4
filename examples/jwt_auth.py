"""Connect with temporary keys, so that the API key itself is not sent to the server.

SPEECHMATICS_API_KEY=… python examples/jwt_auth.py [FILE]
python examples/jwt_auth.py --local [FILE]     # needs no key: runs a key service on this machine
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from _key_service import key_service

from speechmatics_sync import Client, JWTAuth, SpeechmaticsError

SAMPLE = Path(__file__).parent / "audio" / "demo.wav"


def transcribe_twice(auth: JWTAuth, file: str, url: Optional[str] = None) -> None:
    """Run two sessions with one temporary key, which is fetched once and kept until it expires."""
    for session in (1, 2):
        with Client(auth, url=url) as client:
            print(f"Session {session}: {client.transcribe(file).text}")


@contextlib.contextmanager
def local_services() -> Iterator[tuple[JWTAuth, str]]:
    """Run a key service, and a server that accepts only its temporary key, on this machine."""
    from speechmatics_sync.local import LocalServer

    with key_service("an-api-key") as keys, LocalServer(api_keys=[keys.temporary_key]) as server:
        print(f"Temporary keys from {keys.url}, recognising at {server.url}", file=sys.stderr)
        yield JWTAuth("an-api-key", mp_url=keys.url), server.url


def main() -> None:
    parser = argparse.ArgumentParser(description="Transcribe with temporary keys.")
    parser.add_argument("file", nargs="?", default=SAMPLE, help="default: a sample of speech")
    parser.add_argument("--local", action="store_true", help="use no key and no network")
    args = parser.parse_args()

    if args.local:
        with local_services() as (auth, url):
            transcribe_twice(auth, args.file, url)
    elif os.environ.get("SPEECHMATICS_API_KEY"):
        transcribe_twice(JWTAuth(ttl=3600), args.file)
    else:
        sys.exit("Set SPEECHMATICS_API_KEY, or try it without one: --local")


if __name__ == "__main__":
    try:
        main()
    except SpeechmaticsError as error:
        sys.exit(f"Not transcribed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
