"""The names of a group and its rows: titles, labels that are unique within a group, values as text."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from bench.config.searching.dimensions import PARAM
from bench.config.searching.search_space import Space
from bench.core.errors import BenchError
from bench.core.trial_config import OPTIONS
from bench.report.text.setting_texts import BUILT, differing, setting_text, setting_words, value_text
from bench.results.analysis.configurations import COMPARABLE, SAME, TUNING_FIELDS, Configuration, comparable
from bench.results.clean_text import shorten

_WORDS = {BUILT: "with"}
_TELLING = tuple(name for name in COMPARABLE if name not in ("dataset", "budget"))  # besides dataset and budget
_SPEED = ", speed-only"
_SHOWN = (*COMPARABLE, "arch", "backbone", "weights")  # never repeated among the columns that vary


def group_title(configuration: Configuration) -> str:
    """Write a group's title, `pets at 128x128, 10 epochs, on NVIDIA H200`, and its versions if there are others."""
    value = configuration.values
    until = f" or until {value['target']}" if value["target"] else ""
    budget = f"{budget_text(str(value['budget']))}{until}"
    versions = f", {configuration.versions}" if configuration.versions else ""
    tested = f", {value['test_limit']} test images" if value["test_limit"] else ""
    folds = f", {count} folds" if (count := field_text("folds", configuration)) else ""
    tuned = f", tuned by {tuning_text(value)}" if value_text(value["tune"]) else ""
    return f"{value['dataset']} at {_size(value)}{tested}{folds}, {budget}{tuned}, on {value['device']}{versions}"


def group_titles(configurations: Sequence[Configuration]) -> list[str]:
    """Write the titles of groups; those that would be equal end with what differs, such as `protocol 2`."""
    titles = [group_title(one) for one in configurations]
    alike: dict[str, list[Configuration]] = {}
    for title, one in zip(titles, configurations, strict=True):
        alike.setdefault(title, []).append(one)
    return [
        ", ".join([title, *(_apart(name, one) for name in COMPARABLE if _differs(name, alike[title]))])
        for title, one in zip(titles, configurations, strict=True)
    ]


def _differs(name: str, members: Iterable[Configuration]) -> bool:
    return len({str(comparable(member.values, name)) for member in members}) > 1


def _apart(name: str, member: Configuration) -> str:
    text = field_text(name, member) or "none"
    return f"data {text[:8]}" if name == "data_fingerprint" else f"{COMPARABLE[name]} {shorten(text, 40)}"


def tuning_text(value: Mapping[str, object]) -> str:
    """Write how many tuning trials there were, and their share of the budget: `12 trials of 20 %`."""
    share = value["tune_budget"]
    return f"{value_text(value['tune'])} trials of {100 * share if isinstance(share, float) else 0:.3g} %"


def searched(value: Mapping[str, object]) -> list[str]:
    """List the columns of the options that were tuned; none if none were, or if somebody has edited the record."""
    try:
        space = Space.parse(str(value["search"])) if value_text(value["tune"]) else None
    except BenchError:
        return []
    if not space:
        return []
    return [*dict.fromkeys(BUILT if field.startswith(PARAM) else OPTIONS[field].column for field in space.dimensions)]


def declared(value: Mapping[str, object], names: Iterable[str]) -> tuple[str, ...]:
    """Return the values of columns as texts; an empty one for what tuning chose, which differs from data to data."""
    chosen = searched(value)
    return tuple("" if name in chosen else str(value[name]) for name in names)


def _size(value: dict[str, object]) -> str:
    return "native size" if value["evaluation_size"] == "native" else str(value["evaluation_size"])


def budget_text(text: str) -> str:
    """Write `10epochs` as `10 epochs`; `90s` stays."""
    return re.sub(r"(?<=\d)(k?)(?=[a-z]{2})", r"\1 ", text)


def field_text(name: str, member: Configuration) -> str:
    """Write the value of one of COMPARABLE for the head of the table; empty if it isn't set, such as a target."""
    text = value_text(comparable(member.values, name))
    if name == "folds":
        return f"{float(text):g}" if text and float(text) else ""
    if name in TUNING_FIELDS:
        return text if value_text(member.values["tune"]) else ""
    return (budget_text(text) if name == "budget" else text) or ("" if name in ("target", "test_limit") else "unknown")


def varied_and_labels(members: Sequence[Configuration]) -> tuple[list[str], list[str]]:
    """Return the names of the fields in which rows differ, and a unique label for each row.

    Labels name what differs among the ok rows. If nothing else does, as with an edited plug-in, they end with the
    first digits of the configuration's hash, which then is a field of its own.
    """
    varied, between_ok = _varied(members), _varied([m for m in members if m.seeds])
    labels = _labels(members, [between_ok if m.seeds else varied for m in members])
    often = Counter(labels)
    for place, (label, member) in enumerate(zip(labels, members, strict=True)):
        if often[label] > 1 and member.values["configuration"]:
            labels[place] = f"{label}, configuration {value_text(member.values['configuration'])[:6]}"
            varied = varied if "configuration" in varied else [*varied, "configuration"]
    return varied, _numbered(labels)


def _varied(members: Sequence[Configuration]) -> list[str]:
    return [c for c in SAME if c not in _SHOWN and len({str(m.values[c]) for m in members}) > 1]


def labels_without(members: Sequence[Configuration], fields: Collection[str]) -> list[str]:
    """Make a unique label for each configuration that names neither the given fields nor what tuning chose."""
    chosen = {name for member in members for name in searched(member.values)}
    varied = [name for name in _varied(members) if name not in chosen.union(fields)]
    return _numbered(_labels(members, [varied] * len(members)))


def pair_titles(members: Sequence[Configuration]) -> list[str]:
    """Make unique titles for configurations of several tables: `unet:resnet50 on pets, 10 epochs, device NVIDIA H200`.

    A speed-only trial has no data set and no budget: `unet, batch size 8, speed-only`.
    """
    titles = [""] * len(members)
    of_table: dict[str, list[int]] = {}
    for place, member in enumerate(members):
        of_table.setdefault(_table_name(member), []).append(place)
    for table, places in of_table.items():
        some = [members[place] for place in places]
        varied = [name for name in _varied(some) if name != "measure"]  # the title says "speed-only"
        apart = [name for name in _TELLING if _differs(name, some)]
        labels = _labels(some, [varied] * len(some))
        for place, member, label in zip(places, some, labels, strict=True):
            budget = [] if table == _SPEED else [field_text("budget", member)]
            more = [f"{COMPARABLE[name]} {shorten(field_text(name, member) or 'none', 40)}" for name in apart]
            titles[place] = ", ".join([f"{shorten(label, 80)}{table}", *budget, *more])
    return _numbered(titles)


def _table_name(member: Configuration) -> str:
    value = member.values
    return _SPEED if value["measure"] == "speed" else f" on {shorten(value_text(value['dataset']), 40)}"


def _numbered(labels: Sequence[str]) -> list[str]:
    """Make labels unique by numbering repeated ones: `a`, `a (2)`, `a (3)`."""
    times: Counter[str] = Counter()
    taken: set[str] = set()
    found = []
    for label in labels:
        times[label] += 1
        while (unique := f"{label} ({times[label]})" if times[label] > 1 else label) in taken:
            times[label] += 1
        taken.add(unique)
        found.append(unique)
    return found


def _labels(members: Sequence[Configuration], fields: Sequence[Sequence[str]]) -> list[str]:
    """Make labels of the pair, the weights if they differ, and each row's fields; of its parameters what differs."""
    pairs = [":".join(filter(None, (value_text(m.values["arch"]), value_text(m.values["backbone"])))) for m in members]
    built: dict[str, list[Configuration]] = {}
    for pair, member in zip(pairs, members, strict=True):
        built.setdefault(pair, []).append(member)
    keys = {pair: differing(BUILT, some) for pair, some in built.items()}
    weighed = len({weights_name(member) for member in members}) > 1
    return [
        _label(pair, member, names, keys[pair], weighed=weighed)
        for pair, member, names in zip(pairs, members, fields, strict=True)
    ]


def _label(
    pair: str, member: Configuration, fields: Sequence[str], differing: tuple[str, ...] | None, *, weighed: bool
) -> str:
    shown = [name for name in fields if name != BUILT or differing != ()]
    texts = [setting_text(name, member, differing if name == BUILT else None) for name in shown]
    extra = [
        f"{_WORDS.get(name, setting_words(name))} {text or 'none'}" for name, text in zip(shown, texts, strict=True)
    ]
    weights = shorten(weights_name(member), 24) if weighed else ""
    versions = [str(member.values["software"])] if member.versions else []
    return ", ".join([pair, *([weights] if weights not in ("none", "") else []), *extra, *versions])


def weights_name(member: Configuration) -> str:
    """Return the name of the weights, for a file without its folder, which only this machine has."""
    return value_text(member.values["weights"]).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
