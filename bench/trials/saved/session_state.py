"""Capture the state of a session that trains as a checkpoint, and restore it in a new process."""

from typing import TYPE_CHECKING

from bench.core.files import write_atomically
from bench.results.trial_files import HISTORY
from bench.training import fine_tune
from bench.training.checkpoint import Checkpoint
from bench.training.random_states import random_states, restore_random_states

if TYPE_CHECKING:
    from bench.trials.training_session import Session

_TIMINGS = "timings of "  # before the kind of samples
_PLAIN = ("validations", "best_phase", "training_phase", "reached", "first_step_seconds")


def capture(session: "Session") -> Checkpoint:
    """Return everything that a new process needs to go on from here."""
    engine, history = session.training.engine, session.folder / HISTORY
    return Checkpoint(
        values={
            "training": session.training.state(),
            "session": {name: getattr(session, name) for name in _PLAIN},
            "val_mean_iou": session.progress.val_mean_iou,
            "fine_tuning_since": fine_tune.fine_tuning_since(session.training),
            "random": random_states(),
            "history": history.read_text(encoding="utf-8") if history.is_file() else "",
            "ledger": session.ledger.close(),
        },
        arrays={
            "engine": engine.state(),
            "best": session.best,
            "random": engine.random_states(),
            **{f"{_TIMINGS}{kind}": samples for kind, samples in session.instruments.timings.state().items()},
        },
    )


def prepare(session: "Session", found: Checkpoint) -> None:
    """Bring a session that has been built to the checkpoint's phase of training, before anything is compiled."""
    if session.config.freeze_encoder and found.values["session"]["training_phase"] == "all":
        fine_tune.take_up_fine_tuning(session.config, session.training, found.values["fine_tuning_since"])


def restore(session: "Session", found: Checkpoint) -> None:
    """Go on from a checkpoint; everything is compiled."""
    values, arrays, engine = found.values, found.arrays, session.training.engine
    engine.restore(list(arrays["engine"]))
    engine.restore_random_states(arrays["random"])
    restore_random_states(values["random"])
    session.training.restore(values["training"])
    timings = {name: samples for name, samples in arrays.items() if name.startswith(_TIMINGS)}
    session.instruments.timings.restore({name.removeprefix(_TIMINGS): some for name, some in timings.items()})
    for name in _PLAIN:
        setattr(session, name, values["session"][name])
    session.best, session.progress.val_mean_iou = list(arrays["best"]), values["val_mean_iou"]
    with write_atomically(session.folder / HISTORY, sync=False) as part:
        part.write_text(values["history"], encoding="utf-8")
