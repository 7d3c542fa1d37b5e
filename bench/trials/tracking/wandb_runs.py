"""Runs of Weights & Biases, offline in the files of a folder unless WANDB_MODE says otherwise."""

import netrc
import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.core.errors import BenchError
from bench.core.files import text_hash
from bench.trials.tracking.tracked_run import Ending, TrackedRun

_MODE, _OFFLINE, _PROJECT, _NAME = "WANDB_MODE", "offline", "WANDB_PROJECT", "segbench"
_KEYS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
_HOST = "https://api.wandb.ai"


def place(folder: Path) -> str:
    """Return where the runs go; raise BenchError if they are to be sent and there is no account for it."""
    if _mode() == _OFFLINE:
        return f"to send the runs: wandb sync {shlex.quote(str(folder / 'wandb'))}/offline-run-*"
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or _HOST).hostname or ""
    if _mode() == "online" and not any(map(os.environ.get, _KEYS)) and not _in_netrc(host):
        raise BenchError(
            f"{_MODE}=online needs an account, and none is known for {host}. Run `wandb login`, or set {_KEYS[0]}; "
            f"without {_MODE} the runs stay on this machine."
        )
    return f"{_MODE}={_mode()}, runs go to {host}" if _mode() == "online" else f"{_MODE}={_mode()}"


def open_tracker(folder: Path) -> "WandbRuns":
    return WandbRuns(folder)


def _mode() -> str:
    return os.environ.get(_MODE) or _OFFLINE


def _in_netrc(host: str) -> bool:
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


class WandbRuns:
    """A tracker with a run for each trial, whose id stays the same when the trial runs again, which replaces it.

    Its own measurements of the machine are off: they would disturb ours.
    """

    def __init__(self, folder: Path):
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # before the import
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._library: Any = wandb
        self._runs: dict[str, Any] = {}

    def begin(self, run: TrackedRun) -> None:
        identifier = text_hash(f"{self._folder.parent}: {run.identity}")[:16]
        for old in (self._folder / "wandb").glob(f"*run-*-{identifier}"):
            shutil.rmtree(old, ignore_errors=True)
        quiet = {"console": "off", "silent": True, "disable_git": True, "save_code": False}
        light = {"x_disable_stats": True, "x_disable_machine_info": True, "x_disable_meta": True}
        self._runs[run.identity] = self._library.init(
            project=os.environ.get(_PROJECT) or _NAME,
            dir=str(self._folder),
            id=identifier,
            name=run.name,
            group=run.group,
            config=dict(run.config),
            mode=_mode(),
            reinit="create_new",
            settings=self._library.Settings(**quiet, **light),
        )

    def log(self, run: TrackedRun, step: int, values: Mapping[str, float]) -> None:
        self._runs[run.identity].log(dict(values), step=step)

    def end(self, run: TrackedRun, ending: Ending) -> None:
        open_run = self._runs.pop(run.identity)
        open_run.summary.update({**ending.values, "status": ending.status, "reason": ending.reason})
        open_run.finish(exit_code=0 if ending.ok else 1)
