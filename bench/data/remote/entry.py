"""A file or folder of an address, as a listing tells it."""

import os
from dataclasses import dataclass
from typing import Any

_VERSIONS = ("ETag", "etag", "e_tag", "md5Hash", "content_md5", "Content-MD5", "CRC", "sha", "oid", "generation",
             "mtime", "LastModified", "last_modified", "Last-Modified", "modified", "updated", "timeModified", "modify",
             "created")  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A file or folder, as a listing tells it."""

    name: str  # its path below the address, with "/"
    is_folder: bool
    size: int | None = None  # bytes; None: not told
    version: str = ""  # changes with the content, as far as the protocol tells


def plain(name: str) -> bool:
    """Tell whether a name can be that of a file in a folder, and leads nowhere else."""
    return name not in ("", ".", "..") and not any(mark in name for mark in "/\\\0") and len(os.fsencode(name)) < 256


def version_of(info: dict[str, Any]) -> str:
    """Return what tells the versions of a file apart: the first of the fields that any protocol has for that."""
    return next((f"{name} {info[name]}" for name in _VERSIONS if info.get(name)), "")
