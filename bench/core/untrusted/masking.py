"""Keep out of messages what they must not say: credentials, and the folder of the cache that stands for an address."""

import re
from pathlib import Path

_CREDENTIALS = re.compile(
    r"""(?<!github://)(?<!git://)(?<=://)(?:[^/\s]*@|[^/\s:]+:(?!:|\d+(?![^/\s'"]))\S*@)"""
)  # of https://user:password@host; what github:// and git:// have there is the repository
HIDDEN = "***"
_addresses: dict[str, str] = {}  # folder of the cache -> the address that it stands for


def masked(text: str) -> str:
    """Write `***` for the credentials of every address in a text."""
    return _CREDENTIALS.sub(f"{HIDDEN}@", text) if "@" in text else text


def stands_for(folder: Path, address: str) -> None:
    """Have messages name the address instead of a folder of the cache."""
    _addresses[str(folder)] = address


def said(text: str) -> str:
    """Write a text as a message says it."""
    for folder, address in _addresses.items():
        text = text.replace(folder, address)
    return masked(text)
