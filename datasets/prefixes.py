"""The data sets that a prefix names: a user's own folder, and those of two libraries of data sets."""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.option_kinds import shown
from bench.core.specs import FOLDER, DatasetSpec, Param
from bench.core.untrusted.plain_files import require_plain
from bench.data.remote.address import last_part, place_of

_EXIF = Param("exif", "str", "", "apply or ignore the images' EXIF orientation; empty: by the labels' sizes")
_LAYOUT = Param("layout", "str", "", "the folder's layout, see docs/data.md; empty: the one that it looks like")
_CONFIG = Param("config", "str", "", "the configuration, where the data set has several")
_FEATURES = (
    Param("image", "str", "", "the feature with the images; empty: found by type and name"),
    Param("mask", "str", "", "the feature with the masks; empty: found by type and name"),
    Param("classes", "path", "", "a classes.json that says what the masks' values are"),
    _EXIF,
)


def _of_folders() -> tuple[Param, ...]:
    from bench.datasets import layouts

    return (_LAYOUT, _EXIF, *layouts.params())


def _never(text: str) -> bool:
    return False


def _is_folder(text: str) -> bool:
    return Path(text).expanduser().is_dir()


def _fault_of_hf(given: str, data_dir: Path | str | None) -> str:
    """Say what is wrong with what follows hf:, before the library is asked; an empty text if nothing is."""
    from bench.datasets import layouts
    from bench.datasets.library_folders import library_of

    if data_dir is not None:
        return ""
    if not _is_folder(given):
        named = re.fullmatch(r"\w[\w.-]*/[\w.-]+", given)
        return "" if named else "There is no such folder, and data sets of Hugging Face are named hf:OWNER/NAME."
    folder = Path(given).expanduser()
    require_plain(folder)
    found = [] if library_of(folder) else layouts.fitting(folder)
    return f"That folder is your own, read as {found[0].name}: write {FOLDER}{given}" if found else ""


@dataclass(frozen=True)
class Prefix:
    """A prefix of data sets' names, with what all of its data sets have in common."""

    text: str
    rest: str  # what follows the prefix, for help and messages
    adapter: str
    summary: str
    params: Callable[[], tuple[Param, ...]]
    library: str = ""  # the one that opens its data sets by name; empty: it reads folders
    is_path: Callable[[str], bool] = _never  # whether what follows is the path of a folder
    fault: Callable[[str, Path | str | None], str] = lambda given, data_dir: ""  # what is wrong with it, or ""

    @property
    def form(self) -> str:
        """The way in which its data sets are named, such as folder:PATH."""
        return f"{self.text}{self.rest}"

    def find(self, name: str, data_dir: Path | str | None) -> tuple[DatasetSpec, Path | str | None]:
        """Return the spec that a name means, and the folder that it is read from.

        The data set of a folder is named by the prefix and the last part of the path; with that name, `data_dir` has
        the path.
        """
        given = name.removeprefix(self.text)
        if not given:
            raise BenchError(f"'{name}' names nothing. Write {self.form}.")
        if fault := self.fault(given, data_dir):
            raise BenchError(f"'{name}': {fault}")
        if self.is_path(given) and (data_dir is None or last_part(str(data_dir)) != given):
            data_dir = place_of(given)
            if not (given := last_part(data_dir)):
                raise BenchError(f"'{name}' is a whole disk. Write {self.form} with the folder of the data.")
        return self._spec(given), data_dir

    def _spec(self, given: str) -> DatasetSpec:
        return DatasetSpec(
            name=f"{self.text}{given}",
            adapter=self.adapter,
            classes=(),  # found when it is opened
            summary=self.summary,
            needs_data_dir=not self.library,
            source=given if self.library else "",
            params=self.params(),
        )


FOLDER_PREFIX = Prefix(
    text=FOLDER,
    rest="PATH",
    adapter="bench.datasets.folder:load",
    summary="Images and masks of your own.",
    params=_of_folders,
    is_path=lambda text: True,
)
PREFIXES = (
    FOLDER_PREFIX,
    Prefix(
        text="tfds:",
        rest="NAME[/CONFIG]",
        adapter="bench.datasets.library:load_tfds",
        summary="A data set of tensorflow-datasets with images and masks.",
        params=lambda: _FEATURES,
        library="tensorflow-datasets",
    ),
    Prefix(
        text="hf:",
        rest="OWNER/NAME",
        adapter="bench.datasets.library:load_hf",
        summary="A data set of Hugging Face with images and masks, or the path of one on disk.",
        params=lambda: (_CONFIG, *_FEATURES),
        library="datasets",
        is_path=_is_folder,
        fault=_fault_of_hf,
    ),
)


def prefix_of(name: str) -> Prefix | None:
    """Return the prefix that a data set's name begins with, if there is one."""
    return next((prefix for prefix in PREFIXES if name.startswith(prefix.text)), None)


def advice(name: str) -> str:
    """Say which prefixes there are for a name such as Folder:x or folder=x; an empty text for a name without any."""
    match = re.match(r"(\w+)\s*[:=]\s*(.*)", name)
    if not match:
        return ""
    texts = {prefix.text.rstrip(":"): prefix for prefix in PREFIXES}
    near = difflib.get_close_matches(match[1].lower(), texts, 1)
    guess = f" Did you mean '{near[0]}:{shown(match[2])}'?" if near else ""
    return f"{guess} Data sets with a prefix: {', '.join(prefix.form for prefix in PREFIXES)}."
