"""API keys: the interface to bring your own, and one static key."""

from __future__ import annotations

import abc
import os
import re
from typing import Optional

from .._model.secret import Secret
from ..errors import ConfigurationError

__all__ = ["KEY_VARIABLE", "AuthBase", "StaticKeyAuth", "checked_key"]

KEY_VARIABLE = "SPEECHMATICS_API_KEY"


class AuthBase(abc.ABC):
    """Gives the headers that carry a key, once for each connection.

    Derive from it to bring keys from elsewhere:

    >>> class VaultAuth(AuthBase):
    ...     def get_auth_headers(self):
    ...         return {"Authorization": "Bearer " + "from-the-vault"}
    >>> sorted(VaultAuth().get_auth_headers())
    ['Authorization']
    """

    @abc.abstractmethod
    def get_auth_headers(self) -> dict[str, str]:
        """Return the headers to connect with. May block; any thread may call it.

        Raises:
            AuthenticationError: There is no key.
        """

    def invalidate(self) -> bool:
        """Drop a key that the service refused, and return whether a fresh one can be had.

        If so, a handshake that was answered with 401 is tried once more. By default there is none.
        """
        return False


class StaticKeyAuth(AuthBase):
    """Connects with one API key.

    Args:
        api_key: The key; None reads ``SPEECHMATICS_API_KEY`` now. Without a key (an empty string,
            or the variable is not set) no header is sent: a container on premises needs none.

    Raises:
        ConfigurationError: The key has characters that no key has.

    >>> StaticKeyAuth("an-api-key").get_auth_headers()
    {'Authorization': 'Bearer an-api-key'}
    >>> StaticKeyAuth("").get_auth_headers()
    {}
    """

    def __init__(self, api_key: Optional[str] = None) -> None:
        given = Secret(api_key)
        del api_key
        self._key = checked_key(given)

    @property
    def has_key(self) -> bool:
        """Whether there is a key; without one no Authorization header is sent."""
        return bool(self._key.reveal())

    def get_auth_headers(self) -> dict[str, str]:
        """Return the Authorization header, or nothing without a key."""
        return {"Authorization": f"Bearer {self._key.reveal()}"} if self.has_key else {}

    def __repr__(self) -> str:
        return f"StaticKeyAuth({'<key>' if self.has_key else '<no key>'})"


def checked_key(given: Secret[Optional[str]]) -> Secret[str]:
    """Return the key without surrounding white space; empty if there is none.

    Args:
        given: The ``api_key`` of a call; None reads the environment.

    Raises:
        ConfigurationError: It is not a string, or has characters that no key has.
    """
    name = "api_key"
    if given.reveal() is None:
        name, given = KEY_VARIABLE, Secret(os.environ.get(KEY_VARIABLE, ""))
    if not isinstance(given.reveal(), str):
        raise ConfigurationError(
            f"{name} is of type {type(given.reveal()).__name__}; allowed: a string"
        )
    key = Secret(str(given.reveal()).strip())
    if "://" in key.reveal():
        raise ConfigurationError(f"{name} is a URL; allowed: a key. The server is passed as url=….")
    if not re.fullmatch(r"[\x21-\x7e]*", key.reveal()):
        # The value is not shown.
        raise ConfigurationError(
            f"{name} holds a space, a line break or a character outside ASCII; "
            "allowed: the key alone, without quotes around it or a word before it"
        )
    return key
