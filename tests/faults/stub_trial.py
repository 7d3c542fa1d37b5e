"""A trial's process whose session trains nothing: what `bench.trials.process` is, but in a third of a second.

It writes what a session writes, in the same order, from files that `harness.make_results` made. Everything around it,
runner, locks, outcome and record, is segbench's own.
"""

import json
import os
import shutil
import time
from pathlib import Path

from bench.core.files import write_atomically
from bench.profiling.host import turns
from bench.results.trial_files import HISTORY, IMAGES, KEEP, PROGRESS, SAMPLES, WEIGHTS, write_json
from bench.trials import process

SECONDS = float(os.environ.get("STUB_SECONDS", "0.2"))
STEPS = (1, 2, 3)


class Session:
    """A session that pauses where others train, and says in STUB_LOG that it has begun."""

    def __init__(self, config, folder, ledger):
        self.config, self.folder, self.ledger, self.found = config, folder, ledger, {}

    def run(self, fingerprint):
        """Write a trial's files; return the parts of its record."""
        with open(os.environ["STUB_LOG"], "a", encoding="utf-8") as log:
            log.write(f"{self.folder.stem}\n")
        made = Path(os.environ["STUB_MADE"]) / str(self.config.seed)
        known = json.loads((made / "known.json").read_text(encoding="utf-8"))
        for step in STEPS:
            self.train(step, known["validation"][step - 1])
            turns.give_way()
        with turns.alone():
            time.sleep(SECONDS / len(STEPS))
        self.copy(made)
        return {
            "dataset": {"name": self.config.dataset, "fingerprint": fingerprint, **known["dataset"]},
            "training": {"steps": STEPS[-1], "validations": len(STEPS)},
            "metrics": known["metrics"],
            "validation": {"mean_iou": known["validation"][-1]},
            "weights": {"file": WEIGHTS},
            "ledger": self.ledger.close(),
        }

    def train(self, step, score):
        write_json(self.folder / PROGRESS, {"phase": "train", "time": time.time(), "pid": os.getpid()}, sync=False)
        time.sleep(SECONDS / len(STEPS))
        with (self.folder / HISTORY).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"steps": step, "val_mean_iou": score}) + "\n")

    def copy(self, made):
        with write_atomically(self.folder / IMAGES, sync=False) as part:
            shutil.copyfile(made / IMAGES, part)
        (self.folder / SAMPLES).mkdir()
        (self.folder / SAMPLES / "0_image.png").write_bytes(b"no picture")
        with write_atomically(self.folder / WEIGHTS, sync=False) as part:
            part.write_bytes(os.urandom(100_000))
        (self.folder / KEEP).touch()


if __name__ == "__main__":
    if "STUB_DEVICE" in os.environ:
        process.expected_device = lambda: os.environ["STUB_DEVICE"]
    if "STUB_CLOCK_HOURS" in os.environ:
        own, ahead = time.time, 3600 * float(os.environ["STUB_CLOCK_HOURS"])
        time.time = lambda: own() + ahead
    process._session = lambda config: Session
    process.main()
