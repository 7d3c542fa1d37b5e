"""A table with facts beside it in one file of the cache, which another process reads in a moment; whole or not at all.

The first line is JSON: the version of the format, a kind, and the CRC-32 of all that follows. Then the length of the
facts in bytes, a line with the facts as JSON, and the table as an Arrow stream.
"""

import json
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from bench.core.files import write_atomically
from bench.core.untrusted.plain_files import require_file

FORMAT = 1  # of the file; one of another version counts as absent
_LONGEST_HEAD = 200  # bytes of the first line


class Kept(NamedTuple):
    """The content of a file."""

    facts: dict[str, Any]
    table: pa.Table


def keep(path: Path, kind: str, facts: Mapping[str, Any], table: pa.Table) -> bool:
    """Write the file unless it is there with this content; return whether it is there then.

    Args:
        kind: what is kept, with a version that changes whenever its meaning does.
        facts: what JSON can hold.
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    body = json.dumps(facts).encode() + b"\n" + sink.getvalue().to_pybytes()
    head = json.dumps({"format": FORMAT, "kind": kind, "crc": zlib.crc32(body)}).encode() + b"\n"
    with suppress(OSError):  # a cache that can't be written, or a full disk
        if _head(path) != head or path.stat().st_size != len(head) + len(body):
            path.parent.mkdir(parents=True, exist_ok=True)
            with write_atomically(path, sync=False) as part:
                part.write_bytes(head + body)
        return True
    return False


def recall(path: Path, kind: str) -> Kept | None:
    """Return what `keep` has written; None if there is nothing of that kind or format, or it is damaged."""
    try:
        require_file(path, links=True)  # a FIFO would wait for ever
        head, _, body = path.read_bytes().partition(b"\n")
        if json.loads(head) != {"format": FORMAT, "kind": kind, "crc": zlib.crc32(body)}:
            return None
        facts, _, stream = body.partition(b"\n")
        with pa.ipc.open_stream(stream) as found:
            table = found.read_all()
        table.validate(full=True)
        return Kept(dict(json.loads(facts)), table)
    except (OSError, ValueError, TypeError, RecursionError, pa.ArrowException):
        return None


def _head(path: Path) -> bytes:
    """Return the first line; empty if there is no file."""
    try:
        require_file(path, links=True)
        with path.open("rb") as file:
            return file.readline(_LONGEST_HEAD)
    except OSError:
        return b""
