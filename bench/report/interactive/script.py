"""The page's scripts, from their parts."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

_FIRST = ("opening",)
_PARTS = (
    "tables",
    "ranks",
    "comparable",
    "leaderboard",
    "limits",
    "view",
    "maps",
    "start",
)  # each uses those before it


@dataclass(frozen=True)
class Script:
    """A script in the page, and its hash for the page's policy, which allows no other."""

    code: Markup
    hash: str


def scripts(folder: Path) -> tuple[Script, Script]:
    """Read the script that runs before the body is read, and the one that runs after it."""
    return _joined(folder, _FIRST), _joined(folder, _PARTS)


def _joined(folder: Path, parts: tuple[str, ...]) -> Script:
    code = "\n".join((folder / f"{part}.js").read_text(encoding="utf-8") for part in parts)
    return Script(Markup(code), base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii"))
