"""Keep the hashes of a data set's samples in one file of the cache, for trials without a pack."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from bench.data.opened.table_file import keep, recall

_KIND = "digests-1"  # changed whenever the facts or the columns change


class Digests(NamedTuple):
    """The hashes of a data set."""

    fingerprint: str
    of_samples: Sequence[str]  # SHA-256 in hexadecimal digits, in the order of the samples


def kept_digests(path: Path, state: str, make: Callable[[], Digests]) -> Digests:
    """Return what the file has kept for a state of the data, or else what `make` returns, which is kept.

    Args:
        state: as in `Source`; empty: nothing is kept.
    """
    kept = recall(path, _KIND) if state else None
    if kept and kept.facts["state"] == state:
        return Digests(kept.facts["fingerprint"], [one.hex() for one in kept.table.column("digest").to_pylist()])
    made = make()
    if state:
        table = pa.table({"digest": pa.array(map(bytes.fromhex, made.of_samples), pa.binary(32))})
        keep(path, _KIND, {"state": state, "fingerprint": made.fingerprint}, table)
    return made
