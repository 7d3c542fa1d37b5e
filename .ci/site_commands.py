"""The site's page of all commands and their options, made from the command line itself."""

import re
from itertools import groupby
from typing import Any

import typer

from bench.cli import app

NAME = "commands.md"


def commands_page() -> str:
    """Write the page: for each command what it does, its example, and a row for each argument and option."""
    group = typer.main.get_command(app)
    parts = [_part(name, command) for name, command in group.commands.items()]  # type: ignore[attr-defined]
    intro = "Made from the command line itself: `bench COMMAND --help` says the same."
    return "\n\n".join(["# Commands", intro, *parts]) + "\n"


def _part(name: str, command: Any) -> str:
    texts = [
        f"```sh\n{text}\n```" if text.startswith("bench ") else _escaped(text) for text in command.help.split("\n\n")
    ]
    shown = [param for param in command.params if not param.hidden]
    tables = [_table(panel, list(params)) for panel, params in groupby(shown, key=lambda param: param.rich_help_panel)]
    return "\n\n".join([f"## bench {name}", *texts, *tables])


def _table(panel: str | None, params: list[Any]) -> str:
    rows = [f"| {_names(param)} | {_escaped(param.help or '')}{_default(param)} |" for param in params]
    return "\n".join((f"| {panel or 'argument, option'} | meaning |", "| --- | --- |", *rows))


def _names(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"`{(param.metavar or param.name).upper()}`"
    return ", ".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))


def _default(param: Any) -> str:
    """Write a default that its help text doesn't name, as `--help` does."""
    value = getattr(param.default, "value", param.default)
    return f" Default: `{value}`." if param.show_default and value not in (None, False, "", (), []) else ""


def _escaped(text: str) -> str:
    """Keep what isn't code from being read as Markdown."""
    parts = re.sub(r"\s+", " ", text).split("`")
    plain = [re.sub(r"([*_\[\]|])", r"\\\1", part).replace("<", "&lt;") for part in parts[::2]]
    code = [f"`{part}`" for part in parts[1::2]]
    return "".join(text for pair in zip(plain, [*code, ""], strict=True) for text in pair)
