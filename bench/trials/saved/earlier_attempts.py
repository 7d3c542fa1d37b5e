"""Take up the checkpoints of a trial that was interrupted, timed out or killed, in the process that runs its trials."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.files import is_part
from bench.core.untrusted.plain_files import is_folder, remove
from bench.results.store import ResultsFolder
from bench.results.trial_files import CHECKPOINTS, REQUEST, read_json
from bench.results.trial_output import earlier_attempts, is_moment, read_progress

Earlier = dict[str, float]  # {} for a first attempt; else when it began, its seconds, and the number of attempts


def fresh_folder(results: ResultsFolder, identity: str, *, anew: bool) -> Earlier:
    """Make the running folder of a trial, empty but for the checkpoints that it goes on from.

    They are in a running folder whose runner died, or beside the record of a trial that is to run again.

    Args:
        anew: start from the beginning in any case.

    Returns:
        `started` (seconds since 1970), `seconds` (the wall time of the earlier attempts) and `attempts`.
    """
    running, ended = results.running_folder(identity), results.folder(identity)
    earlier: Earlier = {}
    if not anew and _has_checkpoints(running):
        earlier = _of_request(running) or _of_record(results, identity)
        _empty(running)
    else:
        remove(running)
        running.mkdir()
        if not anew and _has_checkpoints(ended):
            earlier = _of_record(results, identity)
            (ended / CHECKPOINTS).rename(running / CHECKPOINTS)
    return earlier


def _has_checkpoints(folder: Path) -> bool:
    """Return whether there are any, after removing those that were being written when their process died."""
    kept = folder / CHECKPOINTS
    if not is_folder(folder) or not is_folder(kept):
        return False
    for path in filter(is_part, list(kept.iterdir())):
        remove(path)
    return any(kept.glob("*.npz"))


def _empty(folder: Path) -> None:
    """Remove all but the checkpoints."""
    for path in folder.iterdir():
        if path.name != CHECKPOINTS:
            remove(path)


def _of_request(folder: Path) -> Earlier:
    """Return the attempts of a folder whose runner died; the last one ended with the last sign of its progress."""
    request, progress = read_json(folder / REQUEST), read_progress(folder)
    if not is_moment(began := request.get("time")):
        return {}
    before = earlier_attempts(request) or {"started": began, "seconds": 0.0, "attempts": 0}
    seconds = max(0.0, progress.get("time", began) - began)
    return {**before, "seconds": before["seconds"] + seconds, "attempts": before["attempts"] + 1}


def _of_record(results: ResultsFolder, identity: str) -> Earlier:
    """Return the attempts of a trial that has a record."""
    with suppress(BenchError, ValueError, TypeError):
        if record := results.find(identity):
            attempts = int(record.training.get("resumed", 0))
            known = {"started": datetime.fromisoformat(record.started).timestamp(), "attempts": attempts}
            return {**known, "seconds": float(record.wall_seconds or 0.0), "attempts": attempts + 1}
    return {}
