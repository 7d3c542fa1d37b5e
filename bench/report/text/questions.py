"""Answer a preset's question in words: what was asked and published, what these trials say, and what they changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.config import given, grid, presets
from bench.core.errors import first_few
from bench.core.options import DATA, MODEL, REPETITION, TRAINING
from bench.core.trial_config import OPTIONS, POOLED
from bench.report.constraints import choose
from bench.report.labels import weights_name
from bench.report.table_model import Group, Row
from bench.report.text.setting_texts import setting_text, setting_words, value_text
from bench.report.text.tables import markdown_cell
from bench.results.analysis.configurations import Configuration
from bench.results.clean_text import shorten
from bench.results.quantities import RANKED
from bench.results.trial_files import presets_of

_OWN = ("carvana_dice", "airbus_f2")  # the scores that the published figures of a data set are of
_SKIPPED = {"arch", "backbone", *given.PARAMETERS, "params", "dataset_params"}  # rows name what of them differs
_COMPARED = tuple(  # also where the preset leaves them at their default
    name
    for name, option in OPTIONS.items()
    if option.in_key and option.panel in (DATA, MODEL, TRAINING, REPETITION) and name not in {*_SKIPPED, *POOLED}
)
_TIED = 5  # rows named as tied
_LABEL = 80


@dataclass(frozen=True)
class Question:
    """A preset's question with its answers."""

    preset: str
    asked: str
    published: tuple[str, ...]  # paragraphs: the published figures, and how the preset was made
    answers: tuple[str, ...]  # sentences

    def markdown(self) -> list[str]:
        """Return the lines of a section."""
        answers = [f"- {markdown_cell(answer)}" for answer in self.answers]
        return [f"## {markdown_cell(self.asked)}", "", *answers, "", *map(markdown_cell, self.published[:1]), ""]


def questions(paths: Iterable[Path], groups: Sequence[Group]) -> list[Question]:
    """Answer the questions of the presets that the results folders were made with; those that ask nothing are left out.

    The folders are read as data: only names of this version's presets count.
    """
    known = set(presets.names())
    names = dict.fromkeys(name for path in paths for name in presets_of(Path(path)) if name in known)
    return [_question(name, groups) for name in names if "?" in presets.summary(name)]


def _question(name: str, groups: Sequence[Group]) -> Question:
    asked, *published = presets.head(name)
    wanted = _wanted(name)
    some = [group for group in groups if group.fields["data set"] in wanted["dataset"]]
    if not some:
        return Question(name, asked, tuple(published), ("No trial of the preset's data set is ok yet.",))
    members = [row.configuration for group in some for row in group.ranked]
    answers = (*map(_best, some), *_side_by_side(some), *_changed(wanted, members))
    return Question(name, asked, tuple(published), answers)


def _best(group: Group) -> str:
    """Name the best row of a table with its scores, and those that are tied with it."""
    tied, title = choose(group, {}).tied, shorten(group.title, 160)
    if not tied:
        return f"{title}: none learned anything; {_scores(group, group.ranked[0])}."
    best, *others = tied
    found = f"{shorten(best.label, _LABEL)}{_trained_at(group, best)} with {_scores(group, best)}"
    if len(group.ranked) == 1:
        return f"{title}: one row, {found}."
    labels = [shorten(row.label, _LABEL) for row in others]
    rest = f"statistically tied with {_several(labels)}" if labels else "significantly better than all others"
    return f"{title}: the best of {len(group.ranked)} rows is {found}, {rest}."


def _trained_at(group: Group, row: Row) -> str:
    """Write the image size of a row if neither the table nor the row's label tells it."""
    if group.fields["evaluation size"] != "native" or "image_size" in group.columns:
        return ""
    return f" trained at {value_text(row.configuration.values['image_size'])}"


def _several(labels: Sequence[str]) -> str:
    """Join labels, which have commas, and count those that there is no room for."""
    more = [f"and {len(labels) - _TIED} more"] if len(labels) > _TIED else []
    return "; ".join([*labels[:_TIED], *more])


def _scores(group: Group, row: Row) -> str:
    """Write the score that is ranked by and the data set's own, with their intervals."""
    names = dict.fromkeys([group.metric.name, *(name for name in _OWN if name in row.cells)])
    return ", ".join(f"{RANKED[name].heading} {row.cells[name].text}" for name in names if name in row.cells)


def _side_by_side(groups: Sequence[Group]) -> list[str]:
    """Compare equal rows of tables that differ in the parameters of the data set, such as how images are divided."""
    told = []
    for one, other in pairwise(groups):
        parts = [_data(group) for group in (one, other)]
        alike = {name for name in one.fields if one.fields[name] != other.fields.get(name)} <= {"data fingerprint"}
        if not alike or parts[0] == parts[1]:
            continue
        rows = {row.label: row for row in other.ranked}
        for first in one.ranked:
            if second := rows.get(first.label):
                told += _difference(one, first, second, parts)
    if not told and len(groups) > 1:
        names = [name for name in groups[0].fields if len({group.fields.get(name) for group in groups}) > 1]
        count, what = len(groups), first_few(names)
        return [f"The rows of these {count} tables are not ranked against each other: they differ in {what}."]
    return told


def _difference(group: Group, one: Row, other: Row, parts: Sequence[str]) -> list[str]:
    name = next((name for name in _OWN if name in one.cells), group.metric.name)
    means = [row.configuration.spread(name).mean for row in (one, other)]
    if any(mean != mean for mean in means):
        return []
    metric = RANKED[name]
    sign = "+" if means[0] >= means[1] else "-"
    return [
        f"{shorten(one.label, _LABEL)}: {metric.heading} {metric.write(means[0])} with {parts[0]} and "
        f"{metric.write(means[1])} with {parts[1]}, a difference of {sign}{metric.write(abs(means[0] - means[1]))}. "
        "The test images differ too, so part of it may be chance."
    ]


def _data(group: Group) -> str:
    return setting_text("dataset_params", group.ranked[0].configuration) or "the default parameters"


def _wanted(name: str) -> dict[str, set[str]]:
    """Return the values of the options that a preset names, of all its trials, as a frame of results has them."""
    file = given.read_toml(presets.find(Path(name)))
    named = {option for table in (file.grid, *file.trials) for option in table if option in OPTIONS}
    trials = grid.configs({}, file)
    return {
        OPTIONS[option].column: {_text(getattr(trial, option)) or "none" for trial in trials}
        for option in (*_COMPARED, *sorted(named - {*_SKIPPED, *_COMPARED}))
    }


def _text(value: Any) -> str:
    return "none" if value is None else "x".join(map(str, value)) if isinstance(value, tuple) else value_text(value)


def _value(column: str, member: Configuration) -> str:
    """Write a value; of a path only the name, since only this machine has its folder."""
    text = value_text(member.values[column])
    return Path(text).name if column == "init_from" else weights_name(member) if column == "weights" else text


def _changed(wanted: dict[str, set[str]], members: Sequence[Configuration]) -> list[str]:
    """Say in which options the trials leave the preset, since its figures are of its own values."""
    told = []
    for column, values in wanted.items():
        found = dict.fromkeys(_value(column, member) or "none" for member in members if column in member.values)
        if other := [text for text in found if text not in values]:
            told.append(
                f"{setting_words(column)} {first_few([shorten(text, 40) for text in other], 4)} "
                f"(the preset's: {first_few(sorted(values), 4)})"
            )
    return [f"Not as in the preset: {'; '.join(told)}."] if told else []
