"""Collect what the comment of `bench check` says of both sides: commits, baselines, the machine, and the command."""

import shlex
from pathlib import Path

import typer

from bench.core.backends import TABLE
from bench.profiling.environment import cpu_device, expected_device, host_environment
from bench.results.clean_text import clean
from bench.results.gate.baseline import last_changes
from bench.trials.children.revisions import commit_of

_LEFT_OUT = ("markdown", "junit", "update", "reason")  # options that judge nothing


def facts(baseline: Path | None, against: str | None) -> dict[str, str]:
    """Return what was compared, by name, on which machine.

    Args:
        baseline: the file that records were compared with; None if none were.
        against: the revision whose speed was compared; None if none was.
    """
    here = host_environment(gpu=expected_device() != cpu_device())
    commit = here["commit"] or f"segbench {here['versions'].get('segbench', '')}"
    found = {"this code": commit + (", with changes" if here["dirty"] else "")}
    if against:
        found["compared with"] = f"{against}, commit {commit_of(against)}"
    for hardware, change in last_changes(baseline).items() if baseline else ():
        told = ", ".join(filter(None, (change.get("commit", ""), change.get("time", ""))))
        found[f"baseline of {hardware}"] = f"{told}: {change.get('reason', '')}"
    found["machine"] = f"{expected_device()}, {here['memory_gib']:g} GiB, {here['platform']}"
    versions = [f"{name} {here['versions'][name]}" for name in ("keras", *TABLE) if name in here["versions"]]
    found["software"] = ", ".join([f"Python {here['python']}", *versions])
    return {name: clean(value) for name, value in found.items()}


def command(context: typer.Context) -> str:
    """Return the command line that judges the same again, without the options that write files."""
    arguments: list[str] = []
    options: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in _LEFT_OUT or source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[name]
        if isinstance(value, list | tuple):
            arguments += map(str, value)
        else:
            options += [parameter.opts[0], str(value)]
    return clean(shlex.join(["bench", "check", *arguments, *options]))
