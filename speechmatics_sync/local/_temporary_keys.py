"""Temporary keys: JSON Web Tokens (RFC 7519) that this server signs and knows again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid

__all__ = ["TemporaryKeys"]


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


_HEADER = _encoded(b'{"alg":"HS256","typ":"JWT"}')


class TemporaryKeys:
    """Makes temporary keys, and checks them. They are worth nothing to any other server."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def __repr__(self) -> str:
        return "TemporaryKeys()"

    def make(self, ttl: int) -> str:
        """Return a key that is valid for `ttl` seconds."""
        now = int(time.time())
        claims = {"iat": now, "exp": now + ttl, "jti": str(uuid.uuid4())}
        signed = f"{_HEADER}.{_encoded(json.dumps(claims).encode())}"
        return f"{signed}.{self._signature(signed.encode())}"

    def accept(self, key: bytes) -> bool:
        """Whether a key was made here and is still valid."""
        signed, _, signature = key.rpartition(b".")
        if not hmac.compare_digest(signature, self._signature(signed).encode()):
            return False
        payload = signed.partition(b".")[2]
        claims = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
        return bool(time.time() < claims["exp"])

    def _signature(self, signed: bytes) -> str:
        return _encoded(hmac.new(self._secret, signed, hashlib.sha256).digest())
