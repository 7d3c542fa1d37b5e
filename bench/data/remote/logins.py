"""Tell whether an address was listed with the same credentials, without keeping them."""

import hashlib
import hmac
import os
from typing import Any

from bench.core.untrusted.masking import HIDDEN
from bench.data.remote.address import known_login


def digest(address: str) -> list[str] | None:
    """Return a salt and a slow hash of the credentials that were given with an address; None without any."""
    login = known_login(address)
    if login is None:
        return None
    salt = os.urandom(16)
    return [salt.hex(), _hash(login, salt)]


def is_same(kept: Any, address: str) -> bool:
    """Tell whether the credentials of an address are those of a digest; so they are where none are known now."""
    login = known_login(address)
    if login is None:
        return kept is None or f"://{HIDDEN}@" in address
    try:
        salt, found = kept
        return hmac.compare_digest(found, _hash(login, bytes.fromhex(salt)))
    except (TypeError, ValueError):
        return False


def _hash(login: str, salt: bytes) -> str:
    return hashlib.scrypt(login.encode(), salt=salt, n=2**12, r=8, p=1).hex()
