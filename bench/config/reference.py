"""The tables of options, architectures and layouts in the documents, written from the code by `make docs`."""

from bench.architectures import read_specs
from bench.core.option_kinds import text_of
from bench.core.options import Option
from bench.core.specs import ArchitectureSpec
from bench.core.trial_config import OPTIONS
from bench.datasets.layouts import layouts


def option_reference() -> str:
    """Write a Markdown table with a row for each field of a configuration."""
    rows = [_row(option) for option in OPTIONS.values()]
    return "\n".join(("| column | option | unit | default | meaning |", "| --- | --- | --- | --- | --- |", *rows))


def _row(option: Option) -> str:
    recorded = f" (`{option.field}`)" if option.field != option.column else ""
    default = (
        "" if option.default in (None, "") or option.field in ("arch", "dataset") else f"`{text_of(option.default)}`"
    )
    meaning = option.meaning if option.in_key else f"{option.meaning}. Not in the key"
    flag = "" if option.internal else f"`{option.flag}`"
    return f"| `{option.column}`{recorded} | {flag} | {option.unit} | {default} | {meaning} |"


def architecture_table() -> str:
    """Write a Markdown table with a row for each architecture of the repository."""
    rows = [f"| `{spec.name}` | {spec.summary} | {spec.paper} | {_backbones(spec)} |" for spec in read_specs()]
    return "\n".join(("| name | what it is | paper | backbones |", "| --- | --- | --- | --- |", *rows))


def _backbones(spec: ArchitectureSpec) -> str:
    names = [f"`{name}`" for name in spec.backbones]
    if not names:
        return "its own" if spec.package else "none"
    return ", ".join(names if spec.needs_backbone else ["none", *names])


def layout_table() -> str:
    """Write a Markdown table with a row for each layout of a user's folder."""
    rows = [f"| `{each.name}` | {each.summary} | {each.files} |" for each in layouts().values()]
    return "\n".join(("| layout | what it is | recognised by |", "| --- | --- | --- |", *rows))
