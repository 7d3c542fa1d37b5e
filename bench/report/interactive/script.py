"""The page's script, from its parts."""

from pathlib import Path

_PARTS = (
    "tables",
    "ranks",
    "comparable",
    "leaderboard",
    "limits",
    "view",
    "maps",
    "start",
)  # each uses only those before it


def script(folder: Path) -> str:
    """Join the parts that lie in the templates' folder; their order is that of their dependence."""
    return "\n".join((folder / f"{part}.js").read_text(encoding="utf-8") for part in _PARTS)
