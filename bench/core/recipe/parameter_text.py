"""The values of parameters as texts: what is TOML is read as TOML, and other text is a word."""

from typing import Any

from bench.core.untrusted import safe_toml


def read_values(text: str) -> list[Any]:
    """Read `8,16` as [8, 16] and `[8,16],[16,32]` as two lists; read text that is no TOML as a list of words."""
    try:
        return safe_toml.loads(f"x = [{text}]")["x"]
    except ValueError:
        return [read_value(word.strip()) for word in text.split(",") if word.strip()]


def read_value(text: str) -> Any:
    """Read `8`, `[8,16]`, `true` or a word."""
    try:
        return safe_toml.loads(f"x = {text}")["x"]
    except ValueError:
        return text
