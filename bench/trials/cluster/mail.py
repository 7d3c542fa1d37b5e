"""The files of a trial on their way between two machines, as bytes in chunks that say where they belong."""

import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench.core.errors import BenchError
from bench.core.files import MARK, file_stamp, is_part
from bench.core.untrusted.plain_files import MIB, is_file, is_folder, remove
from bench.results.trial_files import CHECKPOINTS, CODE, OUTCOME, PROGRESS, REQUEST

CHUNK_BYTES = 8 * MIB  # of a message, so that no weights are too large for one
_OF_RUNNER = (REQUEST, CODE)  # written by the runner, which has them


@dataclass(frozen=True)
class Chunk:
    """A part of a file, or the whole of a small one."""

    path: str  # below the trial's folder
    size: int  # of the whole file
    offset: int
    content: bytes

    @property
    def is_last(self) -> bool:
        """Tell whether the file is whole with this chunk."""
        return self.offset + len(self.content) == self.size


def chunks(folder: Path, paths: Iterable[str]) -> Iterator[Chunk]:
    """Read files below a folder; one that has vanished is left out, one that shrinks meanwhile never gets whole."""
    for path in paths:
        try:
            file = (folder / path).open("rb")
        except FileNotFoundError:
            continue
        with file:
            size, offset = os.fstat(file.fileno()).st_size, 0
            while True:
                content = file.read(min(CHUNK_BYTES, size - offset))
                yield Chunk(path, size, offset, content)
                offset += len(content)
                if offset == size or not content:
                    break


def parcels(found: Iterable[Chunk]) -> Iterator[tuple[Chunk, ...]]:
    """Put chunks together up to the size of one, since each message takes its time."""
    some: list[Chunk] = []
    for chunk in found:
        if some and sum(len(other.content) for other in some) + len(chunk.content) > CHUNK_BYTES:
            yield tuple(some)
            some = []
        some.append(chunk)
    if some:
        yield tuple(some)


class Receiver:
    """A receiver that writes files below a folder; each takes its name once it is whole."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._part = f".{secrets.token_hex(4)}{MARK}mail"

    def take(self, chunk: Chunk) -> None:
        """Write a chunk; those of a file come one after the other.

        Raises:
            OSError: it can't be written, such as on a full disk.
            BenchError: it belongs elsewhere.
        """
        parts = PurePosixPath(chunk.path).parts
        if not parts or ".." in parts or parts[0].startswith("/"):
            raise BenchError(f"A worker sent a file '{chunk.path}', which is not one of its trial's folder.")
        target = self._folder.joinpath(*parts)
        if len(parts) > 1:
            target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(self._part)
        with part.open("ab" if chunk.offset else "wb") as file:
            file.write(chunk.content)
        if chunk.is_last:
            if is_folder(target):
                remove(target)
            part.replace(target)


class Outbox:
    """A list of what is still to be sent of a trial's folder: a file again once it has changed.

    While the trial runs, these are its progress and its checkpoints, which must survive its machine; at its end all
    of its files, and the outcome last. What is there at first has come from the other side.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._sent = {path: file_stamp(folder / path) for path in self._files()}

    def changed(self, *, ended: bool) -> list[str]:
        """List what is to be sent now, which then counts as sent."""
        found = self._files() if ended else [PROGRESS, *self.checkpoints()]
        stamps = {path: file_stamp(self._folder / path) for path in found if is_file(self._folder / path)}
        changed = [path for path, stamp in stamps.items() if self._sent.get(path) != stamp]
        self._sent |= stamps
        return sorted(changed, key=lambda path: path == OUTCOME)

    def checkpoints(self) -> list[str]:
        """List the trial's checkpoints that are whole."""
        folder = self._folder / CHECKPOINTS
        if not is_folder(folder):
            return []
        return sorted(f"{CHECKPOINTS}/{path.name}" for path in folder.iterdir() if not is_part(path))

    def _files(self) -> list[str]:
        found = []
        for folder, _, names in os.walk(self._folder):
            paths = [Path(folder, name) for name in names]
            found += [path for path in paths if is_file(path) and not is_part(path)]
        relative = (path.relative_to(self._folder).as_posix() for path in sorted(found))
        return [path for path in relative if path.partition("/")[0] not in _OF_RUNNER]
