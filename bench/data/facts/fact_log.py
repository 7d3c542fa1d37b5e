"""An append-only file of the cache: facts that took a while to compute, each under a key, whole or not at all.

A record is a header (CRC-32 of all that follows it, length of the fact in bytes, key) and the fact. Records are written
in one piece as they are made, so a process that is killed loses the last few. What a killed process or a power cut left
incomplete is cut off before more is written.
"""

import hashlib
import mmap
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from bench.core.files import utf8

_HEADER = struct.Struct("<II16s")  # CRC-32, length, key
_CHECKED = 4  # bytes of the header that the checksum doesn't cover


def key_of(text: str) -> bytes:
    """Return the key, 16 bytes, of a text that says all that a fact depends on."""
    return hashlib.blake2b(utf8(text), digest_size=16).digest()


class FactLog:
    """The facts of one file, as they were when it was opened; bytes by key."""

    def __init__(self, path: Path) -> None:
        """Read the file; one that is missing or can't be read has no facts."""
        self.path = path
        self.buffer = _mapped(path)
        self.places: dict[bytes, tuple[int, int]] = {}  # key -> begin and end of the fact in `buffer`
        self.end = self._scan()  # of the last whole record

    def _scan(self) -> int:
        begin, whole = 0, memoryview(self.buffer)
        while begin + _HEADER.size <= len(whole):
            checksum, length, key = _HEADER.unpack_from(whole, begin)
            fact, end = begin + _HEADER.size, begin + _HEADER.size + length
            if end > len(whole) or zlib.crc32(whole[begin + _CHECKED : end]) != checksum:
                break
            self.places[key] = fact, end
            begin = end
        return begin

    def get(self, key: bytes) -> memoryview | None:
        """Return a fact; None if it isn't known."""
        place = self.places.get(key)
        return memoryview(self.buffer)[slice(*place)] if place else None

    def append(self, facts: Mapping[bytes, bytes]) -> bool:
        """Write facts behind the last whole record, in one piece; return whether that went well.

        Only with the lock of the file. This object goes on showing what it showed.
        """
        piece = b"".join(_record(key, fact) for key, fact in facts.items())
        try:
            with self.path.open("r+b" if self.path.exists() else "wb", buffering=0) as file:
                file.truncate(self.end)
                file.seek(self.end)
                if file.write(piece) < len(piece):
                    return False
        except OSError:  # such as a full disk
            return False
        self.end += len(piece)
        return True


def _record(key: bytes, fact: bytes) -> bytes:
    rest = struct.pack("<I16s", len(fact), key) + fact
    return struct.pack("<I", zlib.crc32(rest)) + rest


def _mapped(path: Path) -> mmap.mmap | bytes:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # none yet; an empty file can't be mapped
        return b""
