"""Group images that belong together, such as all pictures of a car: by a regular expression or by groups.csv."""

import csv
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.core.dataset_protocol import Sample
from bench.core.errors import BenchError, first_few
from bench.data.reading.contents import here

TABLE = "groups.csv"
_COLUMNS = ("name", "group")
_ACCEPTED = f"Accepted: UTF-8 with the columns {','.join(_COLUMNS)}, separated by commas, and a row for each image."


def by_pattern(samples: Sequence[Sample], pattern: str, dataset: str) -> tuple[Sample, ...]:
    """Take each sample's group from its name: the first group of a regular expression, or the whole match.

    Args:
        dataset: the data set's name, for messages.

    Raises:
        BenchError: the pattern is no regular expression, or it doesn't find a group in each name.
    """
    try:
        expression = re.compile(_composed(pattern))
    except re.error as error:
        raise BenchError(
            f"group_by is '{pattern}', which is no regular expression ({error}). Accepted: one such as 'car_(\\w+)_'."
        ) from error
    found = [expression.search(_composed(sample.name)) for sample in samples]
    groups = [match.group(min(1, match.re.groups)) if match else "" for match in found]
    if without := [sample.name for sample, group in zip(samples, groups, strict=True) if not group]:
        raise BenchError(
            f"group_by '{pattern}' finds no group in {len(without)} of {len(samples)} names of '{dataset}': "
            f"{first_few(without)}. Write a regular expression that fits every name; its first group, "
            "or else the whole match, is the group."
        )
    if len(set(groups)) == 1 < len(groups):
        raise BenchError(
            f"group_by '{pattern}': all {len(groups)} names give the one group '{groups[0]}'. Put ( ) around the part "
            "that differs from group to group, as in 'car_(\\w+)_'. The names are "
            f"{first_few(sample.name for sample in samples)}."
        )
    return tuple(replace(sample, group=group) for sample, group in zip(samples, groups, strict=True))


def by_table(samples: Sequence[Sample], table: Path) -> tuple[Sample, ...]:
    """Take each sample's group from a table, which has its name or the name of its image file.

    Raises:
        BenchError: the table can't be read, lacks an image, or names one twice.
    """
    groups = _read(table)
    names = [next((name for name in _names(sample) if name in groups), None) for sample in samples]
    if without := [sample.name for sample, name in zip(samples, names, strict=True) if name is None]:
        raise BenchError(
            f"{table}: it has no row for {len(without)} of {len(samples)} images: {first_few(without)}. "
            "Add a row for each; an image that belongs to no other has a group of its own."
        )
    return tuple(replace(sample, group=groups[str(name)]) for sample, name in zip(samples, names, strict=True))


def _names(sample: Sample) -> list[str]:
    """List the names that a table may have for a sample: its own, then with the ending of its image file."""
    files = [sample.files[0].name, sample.name + sample.files[0].suffix] if sample.files else []
    return [_composed(name) for name in (sample.name, *files)]


def _read(table: Path) -> dict[str, str]:
    groups: dict[str, str] = {}
    try:
        with here(table).open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            header = [column.strip().lower() for column in next(rows, [])]
            if any(column not in header for column in _COLUMNS):
                raise BenchError(f"{table}: its first line is '{','.join(header)}'. {_ACCEPTED}")
            name_at, group_at = map(header.index, _COLUMNS)
            for row in rows:
                if not any(map(str.strip, row)):
                    continue
                name, group = (row[at].strip() if at < len(row) else "" for at in (name_at, group_at))
                if not name or not group:
                    raise BenchError(f"{table}, row {rows.line_num}: the name or the group is empty. {_ACCEPTED}")
                if groups.setdefault(_composed(name), group) != group:
                    raise BenchError(f"{table}, row {rows.line_num}: '{name}' is also in the group '{groups[name]}'.")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BenchError(f"{table}: can't be read ({error}). {_ACCEPTED}") from error
    return groups


def _composed(name: str) -> str:
    """Return one Unicode form: a Mac writes the same name in another one than a table."""
    return unicodedata.normalize("NFC", name)


def singles(samples: Sequence[Sample], source: str) -> tuple[str, ...]:
    """Doubt groups of one image each, which is what images without groups have."""
    count = len({sample.group for sample in samples})
    if count < len(samples) or count < 2:
        return ()
    return (
        f"{count} groups for {count} images: {source} keeps nothing together. Name by it what several images share, "
        "such as a patient, or leave it out.",
    )


def split_groups(samples: Sequence[Sample]) -> list[str]:
    """List the groups that are in several splits, each with its splits and one image of each."""
    members: dict[str, dict[str, str]] = defaultdict(dict)
    for sample in samples:
        members[sample.group].setdefault(str(sample.split), sample.name)
    return [
        f"'{group}' ({', '.join(f'{name} in {split}' for split, name in splits.items())})"
        for group, splits in members.items()
        if len(splits) > 1
    ]


def describe_split_groups(found: Sequence[str]) -> str:
    """Say which groups are in several splits, for a message."""
    what = "the group is" if len(found) == 1 else f"{len(found)} groups are"
    return f"{what} in several splits: {first_few(found)}"
