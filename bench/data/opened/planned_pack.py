"""Keep what is known of a pack in a file of its folder: a trial opens the pack by it, and no source file.

So the data set is listed and parsed once a run, and in a later command only if one of its files has changed. The file
names the manifest that it belongs to, by the hash in the manifest's first line; a pack that was made again has another
one. The bytes of the pack are compared with their checksums as always.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.core.files import UnwritableCache, locked
from bench.data.opened.table_file import keep, recall
from bench.data.packing.manifest import Unfit, check_files, first_line
from bench.data.packing.packed import Pack, map_pack, states_of
from bench.data.reading.values import Values

FILE = "opened.arrow"
_KIND = "pack-4"  # changed whenever the facts or the columns change
_OF_FILES = {"path", "states", "images", "labels", "truths", "numbers"}  # fields that aren't kept
_COLUMNS = {"names", "groups", "splits", "original_sizes", "truth_offsets", "number_offsets"}
_FACTS = [field.name for field in fields(Pack) if field.name not in _OF_FILES | _COLUMNS]


def keep_pack(pack: Pack) -> str:
    """Keep what is known of a pack beside it; return the path of the file, empty if that isn't possible."""
    try:
        facts = {name: getattr(pack, name) for name in _FACTS} | {"manifest": first_line(pack.path).decode()}
        facts["values"] = pack.values.to_dict()
    except (OSError, UnicodeDecodeError):
        return ""
    heights, widths = zip(*pack.original_sizes, strict=True)
    columns = {
        "name": pa.array(pack.names, pa.large_string()),
        "group": pa.array(pack.groups, pa.large_string()),
        "split": pa.array(pack.splits).dictionary_encode(),
        "height": pa.array(heights, pa.int32()),
        "width": pa.array(widths, pa.int32()),
        "truth": pa.array(_lengths(pack.truth_offsets), pa.int64()),
        "numbers": pa.array(_lengths(pack.number_offsets), pa.int64()),
    }
    return str(pack.path / FILE) if keep(pack.path / FILE, _KIND, facts, pa.table(columns)) else ""


def reopen_pack(path: Path, **wanted: str) -> Pack | None:
    """Open the pack that is kept in a file.

    Args:
        wanted: what its fields must be: `fingerprint`, or the state of the data that it is `made_from`.

    Returns:
        None if there is no such pack, or if it isn't as it was: then the data set's files must be looked at.
    """
    kept = recall(path, _KIND)
    if kept is None or any(kept.facts[name] != value for name, value in wanted.items()):
        return None
    try:
        with locked(path.parent):
            if first_line(path.parent).decode() != kept.facts["manifest"]:
                return None
            states = states_of(path.parent)
            check_files(path.parent, kept.facts["checksums"])
            return map_pack(path.parent, states, **_facts(kept.facts), **_columns(kept.table))
    except (Unfit, UnwritableCache, OSError, UnicodeDecodeError):
        return None


def _facts(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what JSON has kept, with tuples where it has made them lists."""
    facts = {name: tuple(kept[name]) if isinstance(kept[name], list) else kept[name] for name in _FACTS}
    return {**facts, "values": Values.from_dict(kept["values"])}


def _columns(kept: pa.Table) -> dict[str, Any]:
    columns = {name: kept.column(name).to_pylist() for name in kept.column_names}
    return {
        "names": tuple(columns["name"]),
        "groups": tuple(columns["group"]),
        "splits": tuple(columns["split"]),
        "original_sizes": tuple(zip(columns["height"], columns["width"], strict=True)),
        "truth_offsets": _offsets(columns["truth"]),
        "number_offsets": _offsets(columns["numbers"]),
    }


def _lengths(offsets: Sequence[int]) -> list[int]:
    return [end - begin for begin, end in pairwise(offsets)]


def _offsets(lengths: Sequence[int]) -> tuple[int, ...]:
    return (0, *np.cumsum(np.array(lengths, np.int64)).tolist())
