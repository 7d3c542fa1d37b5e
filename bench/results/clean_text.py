"""Make text from a record safe to show: no control characters, no lone surrogates, no endless lines."""

import json
import re
import unicodedata
from typing import Any

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control, format (text direction), surrogate, private, unassigned


def clean(value: Any, *, keep: str = "") -> str:
    """Turn any JSON value into text for one line; None becomes an empty text.

    Terminal colours are dropped. Hidden characters (control, bidirectional, lone surrogates) become U+FFFD or a space,
    except for those in `keep`.
    """
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    if text.isascii() and text.isprintable():
        return text
    text = _ANSI.sub("", text)
    return "".join(c if c in keep else _visible(c) for c in text)


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    return "\ufffd" if unicodedata.category(character) in _HIDDEN else character


def shorten(text: str, length: int = 80) -> str:
    """Cut a text to at most `length` characters and mark the cut."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
