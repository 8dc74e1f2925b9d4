"""The commands ``devices`` and ``key``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

from speechmatics_sync import JWTAuth
from speechmatics_sync.errors import MissingKeyError

from ._exits import OK
from ._settings import API_KEY, Settings

__all__ = ["devices", "key"]


def devices(arguments: argparse.Namespace) -> int:
    """List the microphones; return the exit code.

    Raises:
        SpeechmaticsError: They cannot be listed.
    """
    from speechmatics_sync import Microphone

    found = Microphone.devices()
    if arguments.json:
        sys.stdout.write(json.dumps([dataclasses.asdict(each) for each in found], indent=2) + "\n")
        return OK
    for each in found:
        plural = "" if each.channels == 1 else "s"
        sys.stdout.write(
            f"{each.index:3}  {each.name}  ({each.channels} channel{plural}, "
            f"{each.sample_rate:g} Hz)\n"
        )
    if not found:
        sys.stderr.write("there is no microphone: connect one, or allow this program to use it\n")
    return OK


def key(arguments: argparse.Namespace) -> int:
    """Print a temporary key; return the exit code.

    Raises:
        SpeechmaticsError: There is no key to fetch it with, or it was refused.
    """
    settings = Settings(profile=arguments.profile)
    permanent = settings.get(API_KEY)
    if not permanent:
        raise MissingKeyError
    auth = JWTAuth(permanent, ttl=arguments.ttl, client_ref=arguments.client_ref)
    temporary = auth.get_auth_headers()["Authorization"].partition(" ")[2]
    sys.stdout.write(f"{temporary}\n")
    return OK
