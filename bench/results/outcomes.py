"""Turn the outcome that a trial's process leaves in its folder into its record, by its own runner or by a later one.

All that a record needs is in the running folder: the request (trial.json), the outcome, the log and the progress. So a
trial that had ended when its runner died is taken up by the next run, not trained again.
"""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import Timeout

from bench.core.errors import BenchError
from bench.core.specs import PROTOCOL_VERSION, TrialRecord
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import read_file
from bench.profiling.environment import cpu_device, expected_device, host_environment
from bench.results.record_reader import check_config, misfit_of
from bench.results.store import ResultsFolder, may_replace
from bench.results.trial_files import MOST_BYTES, OUTCOME, REQUEST
from bench.results.trial_output import earlier_attempts, is_moment, log_tail, of_its_kind, read_progress, usable

_COMMON = ("key", "device", "configuration", "config")  # of the request, as they are in the record
_NEEDED = {*_COMMON, "fingerprint", "time"}  # of the request for a record
_SHOWN = ("phase", "fraction", "steps", "images", "train_seconds")  # of the progress of a failed trial


def record_of(folder: Path, request: dict[str, Any], outcome: dict[str, Any], ended: float) -> TrialRecord:
    """Make a trial's record from its running folder.

    Args:
        outcome: what `usable` has returned.
        ended: when the trial's process ended, in seconds since 1970.
    """
    config = request["config"]
    outcome = of_its_kind(outcome, config.get("measure", "all"))
    common: dict[str, Any] = {name: request[name] for name in _COMMON}
    earlier = earlier_attempts(request)
    began = earlier.get("started", request["time"])
    common["protocol_version"] = request.get("protocol_version", PROTOCOL_VERSION)
    common |= {"repeat": config["repeat"], "started": _utc(began), "finished": _utc(ended)}
    common["wall_seconds"] = round(ended - request["time"] + earlier.get("seconds", 0.0), 3)  # without the pauses
    if outcome["status"] != "ok":
        common["log_tail"] = log_tail(folder)
        common["dataset"] = {"name": config["dataset"], "fingerprint": request["fingerprint"]}
        progress = read_progress(folder)
        common["training"] = {name: progress[name] for name in _SHOWN if name in progress}
        if earlier:
            common["training"]["resumed"] = earlier["attempts"]
        if "environment" not in outcome:
            here = request.get("environment") or host_environment(gpu=expected_device() != cpu_device())
            common["environment"] = here
    return TrialRecord.from_dict({**common, **outcome})


def recover(results: ResultsFolder) -> None:
    """Settle all trials whose runner died; leave those that run or can't be read."""
    for identity in results.unsettled():
        with suppress(Timeout, BenchError), results.claim(identity).acquire(timeout=0):
            settle(results, identity)


def settle(results: ResultsFolder, identity: str, *, force: bool = False) -> TrialRecord | None:
    """Complete what a runner that died had begun: its moves, or the record of a trial that had ended.

    The caller holds the trial's lock.

    Args:
        force: take up a trial that ended also where a final record is, which another run leaves as it is.

    Returns:
        The record that took its place, if one did.

    Raises:
        BenchError: a record or an outcome can't be read, so it was left alone.
    """
    if record := results.settle(identity, force=force):
        return record
    folder = results.running_folder(identity)
    request, outcome = _whole(folder / REQUEST), _whole(folder / OUTCOME)
    whole = "status" in outcome and _is_of_runner(request, identity)
    if not whole or not (force or may_replace(results.find(identity))):
        return None
    record = record_of(folder, request, usable(outcome), (folder / OUTCOME).stat().st_mtime)
    results.finish(identity, record)
    return record


def _is_of_runner(request: dict[str, Any], identity: str) -> bool:
    """Tell whether a request is one that a runner has written for that trial: a plug-in or a stranger may write, too.

    The trial of any other request has no record to be made; it runs anew.
    """
    config = request.get("config")
    if not request.keys() >= _NEEDED or not isinstance(config, dict) or "repeat" not in config:
        return False
    if misfit_of({**request, "repeat": config["repeat"]}) or request["key"] not in identity.split("_"):
        return False
    try:
        check_config(config)
    except ValueError:
        return False
    return is_moment(request["time"]) and isinstance(request["fingerprint"], str)


def _whole(path: Path) -> dict[str, Any]:
    """Read a JSON object; {} if it is missing or was cut short; raise BenchError if it can't be read now."""
    try:
        value = safe_json.loads(read_file(path, MOST_BYTES))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    except OSError as error:
        raise BenchError(f"'{path}' can't be read ({error.strerror}).") from error
    return value if isinstance(value, dict) else {}


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
