"""A speed-only trial: it times the compiled steps of a model on random pixels, without training and without data."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.config import catalog
from bench.core.errors import Diverged
from bench.core.trial_config import TrialConfig
from bench.profiling.clock.ledger import Ledger
from bench.profiling.clock.timing import Blocks, Effort, inference_sweep, rate_summary, steady
from bench.profiling.clock.timing_table import TRAIN
from bench.profiling.energy import TRAIN_ENERGY
from bench.profiling.environment import actual_device, cpu_device
from bench.profiling.host import cpu_noise, turns
from bench.profiling.instruments import Instruments
from bench.results.trial_files import IF_KILLED, write_json
from bench.training import augment
from bench.training.build import ResidentBatch, build_engine, build_model
from bench.training.engines import create_runtime
from bench.training.engines.engine import Engine, training_model
from bench.training.optimizer import create_optimizer
from bench.trials.batch_search import find_batch_size
from bench.trials.model_speed import (
    bare_steps,
    first_step,
    measure_inference,
    top_up,
    trace_steps,
    under_load,
    utilisation,
)
from bench.trials.progress import Progress
from bench.trials.record_sections import describe_machine, describe_model, stalls


class SpeedSession:
    """A speed-only trial in its own process."""

    def __init__(self, config: TrialConfig, folder: Path, ledger: Ledger):
        self.config, self.folder, self.ledger = config, folder, ledger
        self.progress = Progress(folder, ledger)
        turns.waits_in(self.progress.waiting)
        self.effort = Effort(sweep_seconds=config.sweep_seconds)
        self.on_built: Callable[[], None] = lambda: None  # called when the model has been built
        self.found: dict[str, Any] = {}  # parts of the record that are kept even if the rest fails

    def run(self, fingerprint: str) -> dict[str, Any]:
        """Build, compile and measure; return the parts of the record by name.

        Args:
            fingerprint: written into the record; a speed-only trial has no data to compare it with.
        """
        with self.ledger.phase("profile"):
            self.searched = self.search()
            self.found.update({"memory": self.searched} if self.searched else {})
            write_json(self.folder / IF_KILLED, self.found, sync=False)
        self.instruments = Instruments(create_runtime(self.config.backend))
        with self.progress.stage("build"):
            self.engine, self.batch = build(self.config)
            self.on_built()
        with turns.alone():
            return self.measure(fingerprint)

    def measure(self, fingerprint: str) -> dict[str, Any]:
        """Compile and measure; return the parts of the record by name."""
        ledger, stage = self.ledger, self.progress.stage
        with stage("compile"):
            self.instruments.note_state("device_before")
            first_step_seconds = self.compile()
        noise = self.instruments.noise
        with stage("train"), noise.phase(cpu_noise.TRAIN):
            blocks, loss = self.train()
        with stage("profile"):
            model = describe_model(self.engine.model, self.folder)
            with noise.phase(cpu_noise.PROFILE):
                speed = measure_inference(self.engine, self.batch, self.instruments)
            memory = self.instruments.memory.summary()
            rates = blocks.rates(self.config.batch_size)
            median, iqr = rate_summary([rates[0], *rates])  # it drops the first block, but none of these is a warm-up
            rated = {"train_images_per_second": median, **speed}
            speed |= utilisation(self.config, rated, model["gflops"], self.instruments)
            trace_steps(self.config, self.engine, self.batch, self.instruments, self.folder)
            self.instruments.timings.write(self.folder)
        self.found |= {
            "dataset": {"name": self.config.dataset, "fingerprint": fingerprint, "images": {}},
            "model": model,
            "training": {
                "steps": blocks.steps * len(blocks.seconds),
                "images": blocks.steps * len(blocks.seconds) * self.config.batch_size,
                "train_seconds": round(sum(blocks.seconds), 3),
                "final_loss": loss,
                **stalls(),
            },
            "speed": {
                "first_step_seconds": round(first_step_seconds, 3),
                "train_images_per_second": median,
                "train_images_per_second_iqr": iqr,
                "train_blocks": len(rates),
                **speed,
            },
            "memory": {**memory, **self.searched},
            **describe_machine(self.config, self.engine, self.instruments),
        }
        with ledger.phase("profile"), noise.phase(cpu_noise.SWEEP):
            swept = self.sweep()  # last, because the system may kill the process for its large batches
        self.found["environment"] |= self.instruments.environment()  # with the noise during the sweep
        return self.with_sweep(swept)

    def search(self) -> dict[str, Any]:
        """Find the largest batch if that is asked for, before this process takes any memory of the device."""
        if not self.config.find_batch_size:
            return {}
        return find_batch_size(self.config, lambda size: self.progress.phase(f"batch of {size}"))

    def compile(self) -> float:
        """Run the training step and the prediction once; return the seconds of the first training step."""
        seconds = first_step(self.engine, self.batch, self.instruments)
        self.engine.wait(self.engine.predict(self.batch[0]))
        return seconds

    def train(self) -> tuple[Blocks, float]:
        """Time blocks of training steps on the resident batch; return them and the last loss.

        Raises:
            Diverged: the loss is not finite.
        """
        gpu = actual_device(self.instruments.runtime) != cpu_device()
        with self.instruments.memory.phase("train"), self.instruments.energy.window(TRAIN_ENERGY) as window:
            run = bare_steps(self.engine, self.batch, window)
            blocks = steady(run, self.effort, gpu=gpu, on_block=self.progress.update, note=self.note_block)
            top_up(window, run, blocks.steps)
        self.instruments.memory.plan("train", self.engine.planned_bytes("train", self.batch))
        under_load(self.engine, self.batch, blocks.steps, self.instruments)
        loss = float(self.engine.train_step(*self.batch, 0.0))
        if not math.isfinite(loss):
            raise Diverged(f"The loss became {loss} while the training step was timed.")
        return blocks, loss

    def note_block(self, seconds: float, steps: int) -> None:
        """Note the time of a block of training steps."""
        self.instruments.timings.note(TRAIN, [seconds], steps * self.config.batch_size)

    def sweep(self) -> dict[str, Any]:
        """Measure the inference throughput over batch sizes; return it with the best batch size."""

        def note(points: Sequence[tuple[int, float]]) -> None:
            found = {"status": "ok", "reason": "", **self.with_sweep(_swept(points, "out of memory"))}
            write_json(self.folder / IF_KILLED, found, sync=False)

        return _swept(*inference_sweep(self.prediction, self.effort, on_point=note))

    def with_sweep(self, swept: dict[str, Any]) -> dict[str, Any]:
        """Return the parts of the record, those of the sweep included."""
        return {**self.found, "speed": {**self.found["speed"], **swept}, "ledger": self.ledger.close()}

    def prediction(self, size: int) -> Callable[[], None]:
        """Make an awaited call of the compiled prediction on a resident batch of that size."""
        images = random_batch(self.engine, self.config, size)[0]
        return lambda: self.engine.wait(self.engine.predict(images))


def _swept(points: Sequence[tuple[int, float]], end: str) -> dict[str, Any]:
    """Return the part of the record's `speed` that a sweep gives."""
    size, rate = max(points, key=lambda point: point[1])
    return {
        "inference_sweep": [[size, round(rate, 3)] for size, rate in points],
        "sweep_end": end,
        "best_inference_images_per_second": rate,
        "best_inference_batch_size": size,
    }


def build(config: TrialConfig) -> tuple[Engine, ResidentBatch]:
    """Make an engine with model and optimizer, and a batch on the device, from the seed."""
    model = build_model(config, _classes(config))
    engine = build_engine(config, model, create_optimizer(config, training_model(model)))
    return engine, random_batch(engine, config, config.batch_size)


def random_batch(engine: Engine, config: TrialConfig, size: int) -> ResidentBatch:
    """Make random pixels, labels and augmentation parameters on the device; equal for equal seeds."""
    rng, classes = np.random.default_rng(config.seed), _classes(config)
    images = rng.integers(0, 256, (size, *config.input_size, config.bands), np.uint8)
    labels = rng.integers(0, classes, (size, *config.input_size), np.uint8)
    return engine.put(images), engine.put(labels), engine.put(augment.draw(config.augment, rng, size))


def _classes(config: TrialConfig) -> int:
    """Return the number of classes of a model whose speed is measured."""
    return 2 if config.head == "sigmoid" else catalog.dataset(config).num_classes
