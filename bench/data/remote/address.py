"""Tell addresses from local paths, check them, and keep their credentials out of everything that is written.

Credentials, as in https://user:password@host, stay in the environment of this process and of those that it starts. What
goes on to configurations and records has `***` in their place.
"""

import difflib
import json
import os
import re
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.untrusted.masking import HIDDEN, masked

LOGINS = "SEGBENCH_LOGINS"  # the variable with them, as JSON: masked beginning of an address -> the whole one
WEB = ("http", "https")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+(?:::|://)", re.IGNORECASE)  # two letters at least: C:// is a disk
_LOGIN = re.compile(r"[a-z][a-z0-9+.-]+://[^/\s]*@[^/\s:]+(?::\d+)?", re.IGNORECASE)
_LOCAL = re.compile(r"(?:file|local)://(?=/)", re.IGNORECASE)
_PROTOCOL = re.compile(r"([a-z][a-z0-9+.-]+)(?=::|://)", re.IGNORECASE)


def is_address(text: Path | str) -> bool:
    """Tell whether a text is an address and not the path of a file or folder."""
    return bool(_ADDRESS.match(str(text))) and not os.path.lexists(text)


def place_of(text: Path | str) -> str:
    """Return a data set's place as configurations name it: an absolute path, or an address without credentials.

    Raises:
        BenchError: it is an address that can't be used.
    """
    if not is_address(text):
        return str(Path(text).expanduser().resolve())
    if _LOCAL.match(str(text)) and "::" not in str(text):
        return str(Path(_LOCAL.sub("", str(text))).resolve())
    address = str(text).rstrip("/") if not str(text).endswith("://") else str(text)
    _check(address)
    _keep_logins(address)
    return masked(address)


def last_part(place: str) -> str:
    """Return the name of a place's folder or file, by which a data set is called: `pets` of https://host/data/pets."""
    first, _, chained = place.partition("::")
    inner = first.partition("://")[2].rstrip("/")
    if not inner and chained:
        return last_part(chained)
    return inner.rpartition("/")[2] if is_address(place) else Path(place).name


def with_logins(address: str) -> str:
    """Return an address with the credentials that were given with it.

    Raises:
        BenchError: they are not known, as when a record names the address.
    """
    for hidden, whole in _logins().items():
        address = address.replace(hidden, whole)
    if f"://{HIDDEN}@" in address:
        raise BenchError(f"'{address}' was given with credentials, which aren't kept. Give it by --data-dir again, "
                         f"with USER:PASSWORD in place of {HIDDEN}; write / as %2F and @ as %40 in them.")  # fmt: skip
    return address


def known_login(address: str) -> str | None:
    """Return the beginnings with credentials that an address needs; None if it needs none or they aren't known."""
    found = [whole for hidden, whole in _logins().items() if hidden in address]
    return " ".join(sorted(found)) or None


def protocols(address: str) -> list[str]:
    """List the protocols of an address, the first of a chain first."""
    return [match[1].lower() for part in address.split("::") if (match := _PROTOCOL.match(f"{part}::"))]


def _check(address: str) -> None:
    known = _known()
    if unknown := [name for name in protocols(address) if name not in known]:
        near = difflib.get_close_matches(unknown[0], known, 1)
        guess = f" Did you mean {near[0]}://?" if near else ""
        raise BenchError(f"'{address}': the protocol {unknown[0]} is unknown.{guess} Accepted are a folder's path and "
                         "the protocols of fsspec, such as https://, s3://, gs:// and zip://.")  # fmt: skip
    chained, _, last = address.rpartition("::")
    if chained and "://" not in last and not os.path.isabs(last):
        raise BenchError(
            f"'{address}' depends on the working folder. Give the whole path: {chained}::{Path(last).resolve()}"
        )
    web = set(WEB) & set(protocols(address))
    if web and (mark := re.search(r"[?#]", address)):
        raise BenchError(f"'{address[: mark.start()]}': an address with {mark[0]} names no folder, since files can't "
                         "be named below it. Give the folder's address alone.")  # fmt: skip


def _known() -> Any:
    try:
        from fsspec import available_protocols  # seldom needed
    except ImportError as error:
        raise BenchError(f"Data at an address need the package fsspec ({error}): pip install fsspec") from error
    return available_protocols()


def _logins() -> dict[str, str]:
    try:
        return dict(json.loads(os.environ.get(LOGINS, "{}")))
    except (ValueError, TypeError):
        return {}


def _keep_logins(address: str) -> None:
    """Keep the credentials of an address for this process and those that it starts."""
    if given := {masked(whole): whole for whole in _LOGIN.findall(address) if masked(whole) != whole}:
        os.environ[LOGINS] = json.dumps(_logins() | given)
