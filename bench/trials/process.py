"""The process of one trial: `python -m bench.trials.process FOLDER`.

It reads the request in the folder, runs the session and writes the outcome there, even if the session raises an error.
The outcome comes last: once it is there, the trial has ended, and this or a later runner makes its record of it.
It ends by itself when its runner dies.
"""

import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.core.child_process import end_with_parent
from bench.core.code.planned_code import planned_code, use_planned_code
from bench.core.durable import sync_tree
from bench.core.errors import BenchError, reason_of, status_of
from bench.core.trial_config import TrialConfig
from bench.profiling.clock.ledger import Ledger
from bench.profiling.clock.stalls import watch_stalls
from bench.profiling.environment import expected_device, several
from bench.profiling.host import turns
from bench.results.trial_files import CODE, LOG, OUTCOME, REQUEST, read_json, write_json
from bench.results.trial_output import earlier_attempts
from bench.training.engines import make_devices, on_devices
from bench.trials.identity import check_contents
from bench.trials.progress import Progress


def main() -> None:
    """Run the trial whose folder is the first argument."""
    folder = Path(sys.argv[1])
    request = read_json(folder / REQUEST)
    if not request or os.getppid() != request["runner"]:
        sys.exit("The runner that asked for this trial is gone.")
    end_with_parent(request["runner"])
    watch_stalls()
    use_planned_code(folder / CODE)
    outcome = _outcome(request, folder)
    sync_tree(folder)  # an outcome on the disk vouches for history, tables and weights
    write_json(folder / OUTCOME, outcome)
    restore_output(folder / LOG)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a backend can take seconds to shut down, and everything is written


def _outcome(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    ledger = Ledger(request["time"], earlier_attempts(request))
    found: dict[str, Any] = {}
    try:
        config = TrialConfig.from_dict(request["config"])
        with ledger.phase("startup"):
            if config.measure_alone:
                turns.take_turns(Progress(folder, ledger).waiting)
            check_device(request["device"], config.devices_per_trial)
            check_contents(config, request["contents"])
            make_devices(config.backend, config.devices_per_trial)
            kind = _session(config)  # imports keras, which takes time and may fail
        session = kind(config, folder, ledger)
        session.opened = str(request.get("opened", ""))
        session.on_built = partial(_check_built, config, folder, request["contents"])
        found = session.found
        with on_devices(config.backend, config.devices_per_trial):
            return {"status": "ok", **session.run(request["fingerprint"])}
    except Exception as error:  # noqa: BLE001 - whatever a trial raises becomes a record with its reason
        restore_output(folder / LOG)
        traceback.print_exc()
        reason = reason_of(error, [*map(str, planned_code())])
        return {"status": status_of(error), "reason": reason, "ledger": ledger.close(), **found}


def _check_built(config: TrialConfig, folder: Path, contents: dict[str, str]) -> None:
    """See to it that the model was built from what was planned, and that what follows can print."""
    check_contents(config, contents)
    restore_output(folder / LOG)


def restore_output(log: Path) -> None:
    """Open standard output and error anew if a plug-in has closed them: prints must neither fail nor go elsewhere."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.dup2(file, number)
            if file != number:
                os.close(file)
        if getattr(sys, name) is None or getattr(sys, name).closed:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", errors="replace", closefd=False))


def check_device(planned: str, count: int) -> None:
    """Raise BenchError if these aren't the planned devices, so that no trial of a GPU runs on a CPU."""
    if (found := several(expected_device(), count)) != planned:
        raise BenchError(f"The trial was planned for {planned}, but the device is now {found}. Has the GPU gone?")


def _session(config: TrialConfig) -> Callable[[TrialConfig, Path, Ledger], Any]:
    if config.measure == "speed":
        from bench.trials.speed_session import SpeedSession

        return SpeedSession
    if config.measure == "validation":
        from bench.trials.tuning.tuning_session import TuningSession

        return TuningSession
    from bench.trials.training_session import Session

    return Session


if __name__ == "__main__":
    main()
