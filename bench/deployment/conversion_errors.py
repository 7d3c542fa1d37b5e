"""Say in one line why a converter failed, and at which layer, from what it printed about it."""

import re
from collections.abc import Collection

MOST = 300  # characters of a reason
_LOCATION = re.compile(r"(?:<unknown>:0: )?(?:error: )?loc\(.*?\)\): ")  # of MLIR, hundreds of characters


def layer_in(text: str, names: Collection[str]) -> str:
    """Return the layer that a message names, in its first line if it has one there; empty if it names none.

    A backend's operations are named by paths, in which a layer's name may have a number: `deployed_1/decoder2_conv_1`.
    """
    for part in (text.strip().partition("\n")[0], text):
        found = [name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?:_\d+)?(?!\w)", part)]
        if found:
            return max(found, key=len)
    return ""


def reason_in(text: str) -> str:
    """Return the first line of a message, without MLIR's locations, and cut to a readable length."""
    line = _LOCATION.sub(" ", text.strip().partition("\n")[0])
    line = " ".join(line.split())
    return line if len(line) <= MOST else f"{line[:MOST].rstrip()} ..."
