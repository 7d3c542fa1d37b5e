"""A pack that is being written: one row after the other, with a journal by which a later process goes on.

journal.jsonl  a line that identifies the order, and one for each row, with its sample's stamp and its bytes' checksum

A row counts if its line and all of its bytes are there, so it doesn't matter when the process before was killed.
"""

import json
import os
import zlib
from collections.abc import Generator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from bench.core.files import text_hash
from bench.core.untrusted.plain_files import is_file, is_folder, remove
from bench.data.duplicates import Look
from bench.data.packing.manifest import DATA_FILES, IMAGES, LABELS, Order
from bench.data.reading.decode import Row
from bench.data.reading.values import Values

_JOURNAL = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class RowFacts:
    """The facts about a row that a manifest needs."""

    digest: str  # SHA-256 of the source files and the token
    size: tuple[int, int]  # height, width in pixels of the original
    written: tuple[int, ...]  # bytes in each of the data files
    look: Look
    labelled: bool  # whether any pixel is not ignored at the pack's size
    reduced: bool  # whether the picture was decoded at a fraction of its size
    missing: int  # pixels in which a band has no value
    counts: dict[int, int]  # pixels with each label at original size

    @classmethod
    def of(cls, row: Row, written: tuple[int, ...]) -> Self:
        """Take what is known of a row that has so many bytes in each file."""
        counts = {int(label): int(row.counts[label]) for label in np.flatnonzero(row.counts)}
        return cls(row.digest, row.original_size, written, row.look, row.labelled, row.reduced,
                   row.missing, counts)  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON can hold."""
        look = [None if part is None else part.hex() for part in (self.look.pixels, self.look.bits)]
        return {**asdict(self), "look": look}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Take what `to_dict` returned."""
        pixels, bits = values["look"]
        look = Look(bytes.fromhex(pixels), None if bits is None else bytes.fromhex(bits))
        counts = {int(label): int(count) for label, count in values["counts"].items()}
        height, width = values["size"]
        return cls(**{**values, "size": (height, width), "written": tuple(values["written"]), "look": look,
                      "counts": counts})  # fmt: skip


class Unfinished:
    """The folder of a pack that is being written; one of the same order, which a process has left, is taken up.

    Call `taken_up`, then `begin`, then `append` for each further row. On the way out of a `with` block what is reserved
    and not filled is given back.
    """

    def __init__(self, folder: Path, order: Order):
        self._folder, self._order = folder, order
        self._stack = ExitStack()
        names = (*DATA_FILES, _JOURNAL)
        begun = is_folder(folder) and all(is_file(folder / name) for name in names)
        if not (begun and self._header() == _first_line(order)):
            remove(folder)
            folder.mkdir()
            for name in names:
                (folder / name).touch()
            (folder / _JOURNAL).write_bytes(_first_line(order))
        self._files = [self._stack.enter_context((folder / name).open("r+b")) for name in DATA_FILES]
        self._journal = self._stack.enter_context((folder / _JOURNAL).open("r+b"))
        self._ends = [*(0 for _ in DATA_FILES), len(_first_line(order))]  # of what is taken up, in each file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def _header(self) -> bytes:
        with (self._folder / _JOURNAL).open("rb") as file:
            return file.readline(2 * len(_first_line(self._order)))

    def taken_up(self) -> Generator[tuple[int, RowFacts]]:
        """Yield the number of each sample that is there already, and what is known of it, in order.

        A row is taken once the next one is asked for.
        """
        self._journal.seek(self._ends[-1])
        while found := self._next():
            yield found
            written = (*found[1].written, self._journal.tell() - self._ends[-1])
            self._ends = [end + count for end, count in zip(self._ends, written, strict=True)]

    def _next(self) -> tuple[int, RowFacts] | None:
        """Read the next line and compare the row's bytes with their checksum; None if they aren't whole."""
        try:
            line = json.loads(self._journal.readline())
            facts = RowFacts.from_dict(line["facts"])
            if line["crc"] != _crc(*(file.read(count) for file, count in zip(self._files, facts.written, strict=True))):
                return None
            number = int(line["row"])
            return (number, facts) if line["stamp"] == self._stamp(number) else None
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None

    def _stamp(self, number: int) -> str:
        """Hash all by which a change of a sample is noticed."""
        return text_hash(json.dumps(self._order.stamps[number]))[:16]

    def begin(self, rows: int) -> None:
        """Drop what was not taken up, and reserve the space of the images and labels of so many rows.

        A full disk shows at once. Until then nothing is changed, so an interrupted process loses nothing.
        """
        for file, end in zip((*self._files, self._journal), self._ends, strict=True):
            file.seek(end)
            file.truncate()
        self._stack.callback(self._trim)
        height, width = self._order.image_size
        values = self._order.source.values or Values()
        for name, count in ((IMAGES, values.bytes_of_pixel), (LABELS, 1)):
            if hasattr(os, "posix_fallocate"):  # not on macOS and Windows
                file = self._files[DATA_FILES.index(name)]
                os.posix_fallocate(file.fileno(), 0, rows * height * width * count)

    def append(self, number: int, row: Row) -> RowFacts:
        """Write the row of a sample, whose number is larger than those before."""
        parts: list[bytes | memoryview] = [_bytes_of(row.image), _bytes_of(row.labels), row.truth, row.instances]
        facts = RowFacts.of(row, tuple(map(len, parts)))
        line = json.dumps({"row": number, "stamp": self._stamp(number), "facts": facts.to_dict(), "crc": _crc(*parts)})
        for file, part in zip((*self._files, self._journal), [*parts, f"{line}\n".encode()], strict=True):
            file.write(part)
            file.flush()
        return facts

    def finish(self) -> None:
        """Give back what wasn't filled."""
        self._trim()

    def _trim(self) -> None:
        for file in self._files:
            with suppress(OSError):  # of a full disk, whose error is on its way
                file.truncate()


def allocated(folder: Path) -> int:
    """Return the bytes of what a process has left in a folder."""
    return sum(path.lstat().st_size for path in folder.iterdir()) if is_folder(folder) else 0


def has_rows(folder: Path) -> bool:
    """Tell whether a process has left rows in a folder, by which a later one goes on."""
    return all(is_file(folder / name) and (folder / name).stat().st_size for name in (_JOURNAL, IMAGES))


def forget_journal(folder: Path) -> None:
    """Remove the journal of a folder that is a whole pack now."""
    (folder / _JOURNAL).unlink()


def _first_line(order: Order) -> bytes:
    """Identify what is the same for all rows; each row has its sample's stamp."""
    fields = {name: value for name, value in order.fields.items() if name != "stamps"}
    return f"{text_hash(json.dumps(fields))}\n".encode()


def _bytes_of(pixels: np.ndarray) -> memoryview:
    """Return all bytes of an array, without a copy if they lie one after the other."""
    return np.ascontiguousarray(pixels).reshape(-1).view(np.uint8).data


def _crc(*parts: bytes | memoryview) -> int:
    found = 0
    for part in parts:
        found = zlib.crc32(part, found)
    return found
