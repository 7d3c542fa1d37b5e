"""Change bytes and JSON values at random, by a seed: what a careless or a hostile hand leaves in a file."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

TOKENS = (
    *("NaN", "Infinity", "-Infinity", "null", "true", "1e999", "-1", "0", "9" * 25, "9" * 400, "9" * 5000, "1.5"),
    *(
        '"',
        "'",
        "[",
        "]",
        "{",
        "}",
        ",",
        "=",
        ":",
        "\n",
        "\r",
        "\t",
        " ",
        "#",
        "\\",
        "/",
        "..",
        "[" * 200,
        '{"a":' * 200,
    ),
    *("\0", "\x85", "\xa0", "\u2003", "\u202e", "\ufeff", "\x1b[2J", "\u0661", "\ud800", "\\ud800", "é", "日本"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**62, 2**70, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", "ok", "x" * 5000, "\ud800", "\x1b[2J", "\0", "[/red]", "9" * 400, "soon", [], {}, [[]], [None], {"": None}),
    *([1, "a", None], {"a": {"a": {"a": 1}}}, ["\ud800"], [float("inf")], {"\ud800": 1}, {"\0": "\0"}, [1] * 300),
)


def mutated_bytes(rng: random.Random, data: bytes) -> bytes:
    """Change a few places of a file."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        start = rng.randrange(len(found) + 1)
        end = min(len(found), start + rng.choice((0, 1, 1, 2, 8, 100)))
        kind = rng.randrange(5)
        if kind == 0 and found:
            found[min(start, len(found) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del found[start:end]
        elif kind == 2:
            found[start:end] = rng.choice(TOKENS).encode("utf-8", "surrogatepass")
        elif kind == 3:
            found[start:start] = found[start:end] * rng.choice((1, 2, 50))
        else:
            found[start:end] = rng.randbytes(end - start)
    return bytes(found)


def mutated_json(rng: random.Random, value: Any) -> Any:
    """Replace, remove, rename or repeat a few parts of a JSON value."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.randint(1, 3)):
        places = list(_places(value))
        if not places:
            return copy.deepcopy(rng.choice(VALUES))
        parent, key = rng.choice(places)
        kind = rng.randrange(6)
        if kind == 0:
            del parent[key]
        elif kind == 1 and isinstance(parent, dict):
            parent[rng.choice(TOKENS)] = parent.pop(key)
        elif kind == 2:
            parent[key] = [parent[key]]
        else:
            parent[key] = copy.deepcopy(rng.choice(VALUES))
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _places(inner)
