"""The tree of stubs that stands for an address in the cache.

remote/ADDRESS.lock            held while the address is listed
remote/ADDRESS/files/NAME      the stubs; NAME is the last part of the address
remote/ADDRESS/files.part/NAME  those of a listing that isn't complete
remote/ADDRESS/files.old       those of the listing before, while they are replaced
remote/ADDRESS/listing.json    when it was listed, and the number of files
remote/ADDRESS/whole/          whole files that were fetched: tables, lists and annotations

ADDRESS is written without special characters, so that a path tells the address which it stands for.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from bench.core.errors import BenchError
from bench.core.files import cache_path, locked, write_atomically
from bench.core.untrusted.masking import stands_for
from bench.core.untrusted.plain_files import remove
from bench.data.remote import logins
from bench.data.remote.address import last_part
from bench.data.remote.connecting import connect
from bench.data.remote.entry import plain
from bench.data.remote.listing import list_address

_FILES, _LISTING, _WHOLE = "files", "listing.json", "whole"
_MOST_BYTES = 250  # of a name in a folder
_anew: ContextVar[set[str] | None] = ContextVar("anew", default=None)


@contextmanager
def listed_anew(wanted: bool = True) -> Iterator[None]:
    """List each address again that is opened inside the context, once."""
    token = _anew.set(set()) if wanted and _anew.get() is None else None
    try:
        yield
    finally:
        if token:
            _anew.reset(token)


def mirror_of(address: str) -> Path:
    """Return the folder that stands for an address; list the address first if that was never done to the end.

    Raises:
        BenchError: it can't be listed; what was listed until then is kept.
    """
    place = _root() / quote(address, safe="")
    if len(place.name.encode()) > _MOST_BYTES:
        raise BenchError(f"'{address}' is too long an address: {_MOST_BYTES} characters are read, of which special "
                         "ones count three times.")  # fmt: skip
    tree = place / _FILES / _name(address)
    stands_for(place / f"{_FILES}.part" / tree.name, address)
    stands_for(tree, address)
    known = _anew.get()
    others = not logins.is_same((_listing(place) or {}).get("login"), address)
    if others or not _listing(place) or (known is not None and address not in known):
        _list(address, place, tree)
    if known is not None:
        known.add(address)
    return tree


def note_of(tree: Path) -> str:
    """Say from where the files of a mirror come and when they were listed."""
    address, listing = address_of(tree), _listing(tree.parents[1]) or {}
    return f"read from {address and address[0]}, {listing.get('files', 0):,} files as listed on {listing.get('listed')}"


def address_of(path: Path | str) -> tuple[str, str] | None:
    """Return the address that a path of the cache stands for, and the name below it; None for any other path."""
    text, root = str(path), f"{_root()}/"
    if not text.startswith(root):
        return None
    place, kind, _, *parts = [*text[len(root) :].split("/"), "", ""]
    return (unquote(place), "/".join(filter(None, parts))) if kind == _FILES else None


def whole_copy(path: Path) -> Path:
    """Return where the whole content of a stub is kept, if it is."""
    place, rest = path.relative_to(_root()).parts[0], path.relative_to(_root()).parts[2:]
    return _root().joinpath(place, _WHOLE, *rest)


def _root() -> Path:
    return _absolute(cache_path("remote"))


@cache
def _absolute(path: Path) -> Path:
    return path.absolute()


def _name(address: str) -> str:
    name = last_part(address)
    return name if plain(name) else "data"


def _listing(place: Path) -> Any:
    try:
        return json.loads((place / _LISTING).read_bytes())
    except (OSError, ValueError):
        return None


def _list(address: str, place: Path, tree: Path) -> None:
    part = place / f"{_FILES}.part"
    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(place):
        listing = _listing(place) or {}
        if _anew.get() is None and listing and logins.is_same(listing.get("login"), address):
            return  # another process has listed it meanwhile
        if listing and not logins.is_same(listing.get("login"), address):  # somebody else may see other files
            remove(part)
            remove(place / _WHOLE)
        (part / tree.name).mkdir(parents=True, exist_ok=True)
        count = list_address(connect(address), part / tree.name)
        remove(place / _LISTING)
        old = place / f"{_FILES}.old"
        remove(old)
        if tree.parent.exists():  # a trial may be reading there: it is gone for a moment only
            tree.parent.rename(old)
        part.rename(tree.parent)
        with write_atomically(place / _LISTING) as file:
            about = {"address": address, "files": count, "login": logins.digest(address)}
            listed = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
            file.write_text(json.dumps(about | {"listed": listed}), encoding="utf-8")
        remove(old)
