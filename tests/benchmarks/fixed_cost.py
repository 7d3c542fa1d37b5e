"""Measure what a trial costs besides training, as a ratio: `python -m tests.benchmarks.fixed_cost BACKEND [SEEDS]`.

The cost is the wall time of a trial of U-Net on MobileNetV2 (shapes, 128 px, batch 8, 20 steps) but for training on the
budget's clock. It is divided by the bare minimum, measured before and after in a process of its own: the import of the
backend, and the first training step and the first prediction, less a second one of each. The machine must be quiet. The
compilation cache of JAX is in a new folder, so that the first seed compiles.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

OPTIONS = {
    "arch": "unet:mobilenet_v2",
    "dataset": "shapes",
    "image-size": "128",
    "batch-size": "8",
    "budget": "20steps",
}
SIZE, BATCH, CLASSES = 128, 8, 5


def bare() -> None:
    """Print the seconds of the import, of compiling a training step, and of compiling a prediction."""
    started = time.perf_counter()
    import keras
    import numpy as np

    from bench.config import grid
    from bench.training.build import build_engine, build_model
    from bench.training.optimizer import create_optimizer

    imported = time.perf_counter() - started
    given = {name.replace("-", "_"): value for name, value in OPTIONS.items()}
    (config,) = grid.configs({**given, "backend": keras.backend.backend()})
    model = build_model(config, CLASSES)
    engine = build_engine(config, model, create_optimizer(config, model))
    arrays = (
        np.zeros((BATCH, SIZE, SIZE, 3), np.uint8),
        np.zeros((BATCH, SIZE, SIZE), np.uint8),
        np.zeros((BATCH, 0), "float32"),
    )
    batch = [engine.put(array) for array in arrays]
    steps = [_timed(lambda: engine.wait(engine.train_step(*batch, 0.001))) for _ in range(2)]
    predictions = [_timed(lambda: engine.wait(engine.predict(batch[0]))) for _ in range(2)]
    print(imported, steps[0] - steps[1], predictions[0] - predictions[1])


def _timed(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _bare_in_child(backend: str) -> list[float]:
    command = [sys.executable, "-m", "tests.benchmarks.fixed_cost", "bare"]
    found = subprocess.run(
        command, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True, check=True
    )
    return [float(text) for text in found.stdout.splitlines()[-1].split()]


def main(backend: str, seeds: int) -> None:
    """Measure and print the parts, the minimum and the ratio of each seed."""
    from bench.results.loading import load

    with TemporaryDirectory() as folder:
        minima = [_bare_in_child(backend)]
        options = [part for name, value in OPTIONS.items() for part in (f"--{name}", value)]
        command = [sys.executable, "-m", "bench", "run", *options, "--backend", backend, "--seeds", str(seeds)]
        caches = {"SEGBENCH_CACHE": f"{folder}/cache"}
        subprocess.run(
            [*command, "--results", folder + "/r"], env={**os.environ, **caches}, check=True, stdout=subprocess.DEVNULL
        )
        minima.append(_bare_in_child(backend))
        records = sorted(
            (trial.record for trial in load([Path(folder) / "r"]).trials), key=lambda one: one.config["seed"]
        )
    least = mean(sum(one) for one in minima)
    parts = ", ".join(
        f"{name} {mean(values):.1f}"
        for name, values in zip(("import", "step", "prediction"), zip(*minima, strict=True), strict=True)
    )
    print(f"least: {least:.1f} s ({parts}; {', '.join(f'{sum(one):.1f}' for one in minima)})")
    for record in records:
        cost = record.wall_seconds - record.training["train_seconds"]
        phases = ", ".join(f"{name} {seconds:.1f}" for name, seconds in record.ledger.items() if seconds >= 0.05)
        print(f"seed {record.config['seed']}: {cost:.1f} s, {cost / least:.2f} times the least ({phases})")


if __name__ == "__main__":
    if sys.argv[1:] == ["bare"]:
        bare()
    else:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2)
