"""The command ``doctor``: checks what a session needs, and says what to do."""

from __future__ import annotations

import argparse
import os
import re
import ssl
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import NamedTuple, Optional
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from speechmatics_sync import (
    AuthenticationError,
    Client,
    ConfigurationError,
    ConnectionConfig,
    SpeechmaticsError,
    StaticKeyAuth,
    __version__,
)
from speechmatics_sync.errors import MissingKeyError, ProxyError

from ._exits import OK, exit_code, sentence
from ._parser import flags_of
from ._settings import API_KEY, Settings, shown

__all__ = ["doctor"]

_SECONDS = 5.0
"""The longest that it waits for the server."""
_DEFAULT_URL = "wss://eu.rt.speechmatics.com/v2"
_FOR_DEVELOPMENT = ("test", "services", "lint", "bench", "bench-full", "docs", "release")
"""Extras of this project's own targets of make, which no user needs."""


class Finding(NamedTuple):
    """What a check found.

    Args:
        subject: What was checked.
        state: ``ok``, ``--`` (not there, and not needed) or ``BAD``.
        text: What was found.
        advice: What to do about it.
        code: The exit code if it is bad.
    """

    subject: str
    state: str
    text: str
    advice: str = ""
    code: int = OK


def doctor(arguments: argparse.Namespace) -> int:
    """Check everything; return the exit code of the first that is bad.

    Raises:
        ConfigurationError: A setting cannot be read.
    """
    settings = Settings(flags_of(arguments), profile=arguments.profile)
    code = OK
    for finding in _findings(settings):
        sys.stdout.write(f"{finding.state:4}{finding.subject:12}{finding.text}\n")
        if finding.advice:
            sys.stdout.write(f"{'':16}→ {finding.advice}\n")
        sys.stdout.flush()
        code = code or finding.code
    return code


def _findings(settings: Settings) -> Iterator[Finding]:
    yield Finding("version", "ok", f"{__version__}, Python {sys.version.split()[0]}")
    path = settings.profiles.path
    there = "" if path.exists() else " (not there yet)"
    yield Finding("settings", "ok", f"profile {settings.profile!r} of {path}{there}")
    if path.exists() and os.name == "posix" and path.stat().st_mode & 0o077:
        yield Finding("settings", "BAD", "others can read the file", f"chmod 600 {path}", 2)
    yield from _connection(settings)
    yield from _extras()
    yield _microphone()


# -- the server ------------------------------------------------------------------------------------


def _connection(settings: Settings) -> Iterator[Finding]:
    """Check the address, the proxy, TLS and the key by starting a session as `transcribe` does."""
    url = settings.get("url") or _DEFAULT_URL
    address = Finding("address", "ok", f"{shown('url', url)} ({settings.source('url')})")
    proxy = _proxy(settings, url)
    error = _attempt(settings, settings.get(API_KEY))
    missing = error if isinstance(error, MissingKeyError) else None
    if missing is not None:
        error = _attempt(settings, "none")  # what the server thinks of it does not matter
    if isinstance(error, ConfigurationError):
        yield _bad(address, error)
        yield proxy
    elif isinstance(error, ProxyError):
        yield address
        yield _bad(proxy, error)
    else:
        yield address
        yield proxy
        yield from _reached(url, error)
    if missing is not None:
        yield _bad(Finding("key", "BAD", "not set"), missing)
    elif error is None or isinstance(error, AuthenticationError):
        key = Finding("key", "ok", "none is needed")
        if settings.get(API_KEY):
            key = Finding("key", "ok", f"set ({settings.source(API_KEY)})")
        yield key if error is None else _bad(key, error)


def _attempt(settings: Settings, key: Optional[str]) -> Optional[SpeechmaticsError]:
    """Start a session and end it; return what went wrong."""
    try:
        config = settings.config("conn_config") or ConnectionConfig()
        config.open_timeout = config.start_timeout = _SECONDS
        auth = settings.auth() if key == settings.get(API_KEY) else StaticKeyAuth(key)
        client = Client(auth, url=settings.get("url"), conn_config=config, reconnect=None)
        with client:
            client.start_session()
            client.close()
    except SpeechmaticsError as error:
        return error
    return None


def _bad(finding: Finding, error: Optional[SpeechmaticsError]) -> Finding:
    """Return a finding as one that this error says is bad."""
    if error is None:
        return finding
    return finding._replace(state="BAD", advice=sentence(error), code=exit_code(error))


def _reached(url: str, error: Optional[SpeechmaticsError]) -> Iterator[Finding]:
    """Give what was found of TLS and the connection, once the address was understood."""
    connection = Finding("connection", "ok", "the server answers")
    tls = Finding("TLS", "ok", "the server is trusted")
    if _caused_by(error, ssl.SSLError):
        found = _bad(tls._replace(text="no secure connection"), error)
        if _caused_by(error, ssl.SSLCertVerificationError):
            advice = "behind a firewall that reads TLS, name its authority in SSL_CERT_FILE"
            found = found._replace(
                text="the server is not trusted", advice=f"{found.advice} ({advice})"
            )
        yield found
        return
    if error is not None and not isinstance(error, AuthenticationError):
        yield _bad(connection._replace(text="there is no session"), error)
        return
    if urlsplit(url).scheme == "wss":
        yield tls
    yield connection


def _caused_by(error: Optional[BaseException], kind: type[BaseException]) -> bool:
    """Return whether an error, or what caused it, is of a class."""
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def _proxy(settings: Settings, url: str) -> Finding:
    chosen = settings.get("connection-proxy")
    if chosen:
        source = settings.source("connection-proxy")
        return Finding("proxy", "ok", f"{shown('proxy', chosen)} ({source})")
    parts = urlsplit(url)
    scheme = "https" if parts.scheme == "wss" else "http"
    found = getproxies().get(scheme)
    if not found or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return Finding("proxy", "--", "none")
    return Finding("proxy", "ok", f"{shown('proxy', found)} ({scheme.upper()}_PROXY)")


# -- this machine ----------------------------------------------------------------------------------


def _extras() -> Iterator[Finding]:
    """Check the packages of each extra that users need, as the package itself declares them."""
    try:
        declared = metadata.requires("speechmatics-sync") or []
    except metadata.PackageNotFoundError:
        yield Finding("extras", "--", "not known: the package is not installed")
        return
    needed: dict[str, list[str]] = {}
    for requirement in declared:
        found = re.match(r"""([\w.-]+)[^;]*;.*extra == ["']([\w-]+)["']""", requirement)
        if found is not None and found[2] not in _FOR_DEVELOPMENT:
            needed.setdefault(found[2], []).append(found[1])
    for extra, packages in needed.items():
        missing = [package for package in packages if not _is_installed(package)]
        if missing:
            advice = f'if you need it: pip install "speechmatics-sync[{extra}]"'
            yield Finding("extra", "--", f"{extra}: {', '.join(missing)} missing", advice)
        else:
            yield Finding("extra", "ok", extra)


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _microphone() -> Finding:
    try:
        from speechmatics_sync import Microphone

        found = Microphone.devices()
    except SpeechmaticsError as error:
        return Finding("microphone", "--", "none", sentence(error))
    if not found:
        return Finding("microphone", "--", "none", "connect one, or allow this program to use it")
    return Finding("microphone", "ok", ", ".join(each.name for each in found[:3]))
