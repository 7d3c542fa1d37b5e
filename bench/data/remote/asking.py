"""Ask an address by the library fsspec: list a folder, tell a file's size and version, and read it whole or not at all.

A failed attempt is repeated after growing pauses. A file that didn't come whole counts as failed.
"""

import contextlib
import errno
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.core.untrusted.masking import said
from bench.data.remote.address import WEB, protocols
from bench.data.remote.entry import Entry, plain, version_of
from bench.data.remote.failures import Cut, Failure, Unreachable
from bench.data.remote.patience import wait

Answer = TypeVar("Answer")
AT_ONCE = 16  # requests: most of each is waiting
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before a failed attempt is repeated
MOST_FAILED = 20  # files in a row that can't be read, after which none is tried any more
_TOLD = 4.0  # seconds; longer pauses are told


@dataclass
class Connection:
    """The files below an address."""

    address: str  # without credentials, as messages name it
    system: Any  # of fsspec
    root: str  # what the address is called there
    _failed: int = 0  # files in a row
    _told: float = -math.inf  # when a pause was last told
    _one: Any = field(default_factory=Lock)  # of what only one thread may use

    @property
    def is_web(self) -> bool:
        """Tell whether folders are pages with links, which tell no sizes."""
        return protocols(self.address)[:1] in [[name] for name in WEB]

    def shown(self, name: str) -> str:
        """Name a file or folder in messages."""
        return f"{self.address}/{name}".rstrip("/")

    def entries(self, folder: str = "") -> list[Entry]:
        """List a folder; raise BenchError if that isn't possible, FileNotFoundError if it isn't there."""
        place = self._place(folder) + "/" * self.is_web
        found = self._ask(folder, lambda: self.system.ls(place, detail=True))
        entries = (self._entry(folder, place, info) for info in found)
        return sorted({entry.name: entry for entry in entries if entry}.values(), key=lambda entry: entry.name)

    def look(self, name: str) -> Entry:
        """Tell a file's size and version; errors as in `read`."""
        info = self._ask(name, lambda: self.system.info(self._place(name)))
        return Entry(name, info.get("type") == "directory", info.get("size"), version_of(info))

    def read(self, name: str, size: int | None = None) -> bytes:
        """Read a whole file.

        Args:
            size: of the file in bytes, by its listing.

        Raises:
            FileNotFoundError: it is missing.
            DataFault: it can't be read, or has changed since it was listed.
            Unreachable: its address doesn't answer.
        """

        def whole() -> bytes:
            content: bytes = self.system.cat_file(self._place(name))
            if size is not None and len(content) != size:
                self._check_unchanged(name, size)
                raise Cut(len(content), size)
            return content

        return self._ask(name, whole)

    def begin(self, name: str, size: int) -> bytes:
        """Read the beginning of a file, or all of it if its server gives no part; errors as in `read`."""
        found: bytes = self._ask(name, lambda: self.system.cat_file(self._place(name), start=0, end=size))
        return found

    def _check_unchanged(self, name: str, size: int) -> None:
        now = self.system.info(self._place(name)).get("size")
        if now is not None and now != size:
            raise changed(self.shown(name), f"it has {now:,} bytes, in the listing {size:,}")

    def _place(self, name: str) -> str:
        if not name:
            return self.root
        return f"{self.root.rstrip('/')}/{quote(name) if self.is_web else name}".lstrip("/" * (not self.root))

    def _entry(self, folder: str, place: str, info: dict[str, Any]) -> Entry | None:
        """Read an entry of a listing; None for what isn't directly in the folder, such as a link to elsewhere."""
        full = str(info["name"])
        is_folder = info.get("type") == "directory" or full.endswith("/")
        name = full.rstrip("/").rpartition("/")[2]
        if self.is_web:
            if full.rstrip("/") != f"{place}{name}" or any(mark in name for mark in "?#"):
                return None
            name = unquote(name)
        if not plain(name) or full.rstrip("/") == place.rstrip("/"):
            return None
        return Entry(f"{folder}/{name}".lstrip("/"), is_folder, info.get("size"), version_of(info))

    def _ask(self, name: str, question: Callable[[], Answer]) -> Answer:
        """Ask until there is an answer, or for the last time; raise errors as `read` does."""
        for pause in (*PAUSES, None):
            try:
                with contextlib.nullcontext() if self.system.async_impl else self._one:
                    answer = question()
            except BenchError:
                raise
            except Exception as error:  # noqa: BLE001 - each protocol's package has exceptions of its own
                failure = Failure.of(error)
            else:
                self._failed = 0
                return answer
            if failure.is_final or pause is None:
                break
            self._tell(name, failure, pause)
            if not wait(pause):
                raise Unreachable(f"{self.shown(name)}: {failure.text}.")
        raise self._error(name, failure)

    def _tell(self, name: str, failure: Failure, pause: float) -> None:
        """Say that a long pause comes; once where many requests fail together."""
        now = time.monotonic()
        if pause >= _TOLD and now - self._told >= pause:
            self._told = now
            print(f"{self.shown(name)}: {failure.text}; asked again in {pause:g} s.", file=sys.stderr, flush=True)

    def _error(self, name: str, failure: Failure) -> Exception:
        where = self.shown(name)
        if failure.missing:
            return FileNotFoundError(errno.ENOENT, "it is missing", said(where))
        if failure.refused:
            return DataFault(f"{where}: it may not be read ({failure.text}). Give credentials, or an address that may "
                             "be read: docs/data.md.", "unreadable")  # fmt: skip
        tries = f"{failure.text}; asked {len(PAUSES) + 1} times in {sum(PAUSES):g} s"
        self._failed += 1
        if self._failed >= MOST_FAILED or not self._answers():
            return Unreachable(f"{where}: it can't be reached ({tries}). Check address and network; then the same "
                               "command goes on with what is missing.")  # fmt: skip
        return DataFault(f"{where}: it can't be read whole ({tries}), while others can. Put the file there anew, or "
                         "try the same command later.", "unreadable")  # fmt: skip

    def _answers(self) -> bool:
        """Tell whether the address itself answers now, whatever it says."""
        try:
            self.system.info(self.root + "/" * self.is_web)
        except Exception as error:  # noqa: BLE001 - as in `_ask`
            return Failure.of(error).is_final
        return True


def changed(where: str, how: str) -> DataFault:
    """Return the fault of a file that isn't what was listed or hashed before."""
    return DataFault(f"{where}: it has changed since it was listed ({how}). List the address again by bench prepare, "
                     "then give the same command.", "unreadable")  # fmt: skip
