"""A trial that trains: from the data to the measurements, in the order in which it runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.config import catalog
from bench.config.equal_cost import share_of_limit
from bench.core.errors import Diverged
from bench.core.files import file_hash
from bench.core.trial_config import TrialConfig
from bench.data.batches import evaluation
from bench.evaluation.batch_norm import reestimate
from bench.evaluation.evaluate import evaluate
from bench.evaluation.image_table import write_table
from bench.evaluation.pictures import write_samples, write_worst
from bench.evaluation.predictor import Predictor
from bench.evaluation.task import Task
from bench.evaluation.thresholds import tune
from bench.profiling.clock.ledger import Ledger
from bench.profiling.clock.timing_table import FROZEN, TRAIN
from bench.profiling.host import cpu_noise, turns
from bench.profiling.instruments import Instruments
from bench.results.analysis.target import Target
from bench.results.trial_files import HISTORY, IMAGES, PREDICTIONS, RUNNING, SAMPLES, WORST
from bench.results.weight_retention import keep
from bench.training import fine_tune
from bench.training.averages import averaged, take_average
from bench.training.build import (
    build_model,
    build_training,
    choose_indexes,
    resident_batch,
    training_batches,
)
from bench.training.checkpoint import Checkpoint
from bench.training.class_weights import class_weights
from bench.training.engines import create_runtime
from bench.training.engines.engine import Engine, to_numpy
from bench.trials.model_speed import first_step, measure_speed, trace_steps, utilisation
from bench.trials.plan import read_planned
from bench.trials.progress import Progress, training_state
from bench.trials.record_sections import (
    describe_data,
    describe_machine,
    describe_model,
    describe_training,
    kept_random,
)
from bench.trials.rescoring.keeping import about, evaluate_and_keep
from bench.trials.saved import checkpoints, session_state
from bench.trials.saved.resumption import Checkpoints
from bench.trials.symptoms.loss_spikes import loss_spikes
from bench.trials.symptoms.overfitting import overfitting, sample_of

STATISTICS_BATCHES = 4  # training batches from which batch norm statistics are estimated at each validation
FINAL_STATISTICS_BATCHES = 16  # and before the test


class Session:
    """A trial in its own process. It writes history, per-image table and samples to `folder` on the way."""

    def __init__(self, config: TrialConfig, folder: Path, ledger: Ledger):
        self.config, self.folder, self.ledger = config, folder, ledger
        self.progress = Progress(folder, ledger)
        turns.waits_in(self.progress.waiting)
        self.instruments = Instruments(create_runtime(config.backend), config.devices_per_trial)
        self.opened = ""  # the file by which the data is opened, see PlannedTrial
        self.on_built: Callable[[], None] = lambda: None  # called when the model has been built
        self.found: dict[str, Any] = {}  # parts of the record that are kept even if the rest fails: none
        self.validations: list[dict[str, float]] = []
        self.best: list[np.ndarray] = []  # the model's variables at the best validation, for `select`
        self.best_phase = ""  # the training phase of that validation
        self.overfitting: dict[str, float] = {}  # how much better the images of training are segmented
        self.weights: dict[str, Any] = {}  # the record's `weights`: what they started from, where they were saved
        self.training_phase = "frozen" if config.freeze_encoder else "all"
        self.target, self.reached = Target.of(config), False

    def run(self, fingerprint: str) -> dict[str, Any]:
        """Train, test and measure; return the parts of the record by name.

        Args:
            fingerprint: that of the data when the trial was planned; BenchError if it has changed since.
        """
        self.train(fingerprint)
        stage = self.progress.stage
        with stage("test", "evaluate"):
            metrics, validation = self.test()
        with stage("profile"), turns.alone():
            model = describe_model(self.model, self.folder)
            model |= share_of_limit(self.config, model["gflops"])
            model |= kept_random(self.model, self.config)
            with self.instruments.noise.phase(cpu_noise.PROFILE):
                speed = measure_speed(self.training, self.batch, self.instruments, alone=self.config.measure_alone)
            speed |= utilisation(self.config, speed, model["gflops"], self.instruments)
            trace_steps(self.config, self.training.engine, self.batch, self.instruments, self.folder)
            self.instruments.timings.write(self.folder)
        return {
            "model": model,
            "metrics": metrics,
            "speed": {"first_step_seconds": round(self.first_step_seconds, 3), **speed},
            **self.parts(validation),
        }

    def train(self, fingerprint: str) -> None:
        """Prepare the data, build the model and train it; the argument is that of `run`."""
        stage = self.progress.stage
        with stage("prepare"):
            self.pack = read_planned(self.config, fingerprint, self.opened)
            self.indexes = self.choose_indexes()
            own = catalog.dataset(self.config).metrics
            self.task = Task(self.pack, own, native=self.config.eval_size == "native")
        with stage("build"):
            self.build()
            self.on_built()
            found = self.checkpoints.newest()
        with stage("compile"):
            self.instruments.note_state("device_before")
            self.start(found)
        with stage("train"), self.instruments.noise.phase(cpu_noise.TRAIN):
            if not self.reached:
                with self.instruments.gpu_use.watched(lambda: self.ledger.current == "train"):
                    self.training.run()
            self.check_weights()

    def parts(self, validation: dict[str, float]) -> dict[str, Any]:
        """Make the parts of the record that every training has; `validation` has the scores of its final weights."""
        memory = self.instruments.memory.summary()
        self.pack.check_unchanged()
        return {
            "dataset": describe_data(self.config, self.pack, self.indexes),
            "training": self.describe_training(),
            "validation": validation,
            "weights": self.weights,
            "memory": memory,
            **describe_machine(self.config, self.training.engine, self.instruments, self.training.meter.images),
            "ledger": self.ledger.close(),
        }

    def choose_indexes(self) -> dict[str, np.ndarray]:
        """Return the indexes of the images that the trial uses, by split."""
        return choose_indexes(self.pack, self.config.train_fraction, self.config.limits, self.config.train_limit)

    def build(self) -> None:
        """Build model and training from the seed."""
        self.source = catalog.source_hash(self.config)
        train, classes = self.indexes["train"], len(self.pack.classes)
        labels = (row.labels for row in self.pack.rows(train))
        weights = class_weights(self.config.class_weights, labels, classes)
        self.class_weights = dict(zip(self.pack.classes, weights, strict=True)) if weights else {}
        self.model = build_model(self.config, classes, self.pack.values.bands)
        if Path(self.config.weights).is_file():
            self.weights["backbone_sha256"] = file_hash(self.config.weights)
        if self.config.init_from:
            self.weights |= checkpoints.initialise(self.config, self.model, self.pack.classes)
        if self.config.freeze_encoder:
            fine_tune.freeze(self.model)
        self.training = build_training(self.config, self.model, self.pack, train, weights)
        self.batch = resident_batch(self.config, self.training, self.pack, train)
        self.progress.training = self.training
        self.checkpoints = Checkpoints(self.folder, self.config, self.pack.fingerprint)
        self.training.on_block = self.after_block
        self.training.on_milestone = self.validate
        self.training.note = self.note_block
        if self.config.freeze_encoder:
            self.training.switch_at, self.training.on_switch = self.config.freeze_encoder, self.unfreeze

    def note_block(self, seconds: float, images: int) -> None:
        """Note the time of a block of training steps."""
        self.instruments.timings.note(FROZEN if self.training_phase == "frozen" else TRAIN, [seconds], images)

    def start(self, found: Checkpoint | None) -> None:
        """Compile, and set everything to where a checkpoint stands, if there is one."""
        earlier = int(self.ledger.earlier.get("attempts", 0))
        if found:
            session_state.prepare(self, found)
        self.first_step_seconds = self.compile()
        if found:
            with self.checkpoints.removed_unless_fitting():
                session_state.restore(self, found)
        if earlier:
            lost = self.ledger.take_up(found.values["ledger"] if found else {})
            place = f"goes on after step {self.training.meter.steps}" if found else "starts again"
            self.note(*self.checkpoints.notes, f"{place}; {lost:.0f} s of earlier work are lost")

    def note(self, *lines: str) -> None:
        """Tell the user and the log."""
        self.progress.note = "; ".join(lines)
        print(self.progress.note, flush=True)
        self.progress.update()

    def after_block(self) -> None:
        """Tell the progress, write a checkpoint if it is time, and pause while another trial measures."""
        self.progress.update()
        self.write_checkpoint(validated=False)
        turns.give_way()

    def write_checkpoint(self, *, validated: bool) -> None:
        """Write a checkpoint if one is due, off the budget's clock."""
        if self.checkpoints.is_due(self.training.meter, validated=validated):
            with self.ledger.phase("save"):
                known = len(self.checkpoints.notes)
                self.checkpoints.write(session_state.capture(self), self.training.meter.steps)
                if new := self.checkpoints.notes[known:]:
                    self.note(*new)

    def describe_training(self) -> dict[str, Any]:
        """Make the `training` of the record."""
        found = describe_training(self.training, self.validations, self.class_weights, reached=self.reached)
        found |= loss_spikes(self.training.losses) | self.instruments.gpu_use.summary() | self.overfitting
        attempts = self.ledger.earlier.get("attempts")
        return {**found, "resumed": attempts} if attempts else found

    def check_weights(self) -> None:
        """Raise Diverged unless all weights are finite: the loss of the last step precedes its update."""
        self.training.engine.pull()
        if not all(np.isfinite(to_numpy(v)).all() for v in self.model.trainable_variables):
            raise Diverged(f"Weights are no longer finite after step {self.training.meter.steps}.")

    def compile(self) -> float:
        """Run every function once, off the budget's clock, and restore the weights; return the first step's seconds."""
        engine, state = self.training.engine, self.training.engine.state()
        seconds = first_step(engine, self.batch, self.instruments)
        engine.update_statistics(self.batch[0])
        engine.wait(engine.predict(self.batch[0]))
        if self.task.native or self.predictor.tiled:
            engine.wait(engine.logits(self.batch[0]))
        engine.restore(state)
        return seconds

    def unfreeze(self) -> None:
        """Switch from the frozen phase to fine-tuning, off the budget's clock."""
        with self.progress.stage("compile"):
            fine_tune.start_fine_tuning(self.config, self.training)
            self.compile()
        self.training_phase = "all"
        self.progress.phase("train")

    def validate(self, loss: float) -> bool:
        """Score the validation split, append a row to the history, and keep the best weights if they are selected.

        Returns:
            Whether the target was reached, so that training ends.
        """
        with self.progress.stage("validate", "evaluate"), averaged(self.training.engine):
            self.reestimate(STATISTICS_BATCHES)
            metrics = evaluate(self.predictor, self.task, self.indexes["val"]).metrics()
            values = {name: metrics[name] for metric in self.task.metrics for name in metric.history}
            self.validations.append(values)
            row = {
                **training_state(self.training),
                "phase": self.training_phase,
                "loss": loss,
                "learning_rate": self.training.current_lr(),
                **{f"val_{name}": value for name, value in values.items()},
            }
            with (self.folder / HISTORY).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            best = max(self.validations, key=_mean_iou)
            if self.config.select == "best" and values is best:
                self.best, self.best_phase = _weights(self.training.engine), self.training_phase
        self.progress.val_mean_iou = values["mean_iou"]
        self.progress.phase("train")
        self.reached = self.target is not None and self.target.is_reached(values)
        self.write_checkpoint(validated=True)
        return self.reached

    def test(self) -> tuple[dict[str, Any], dict[str, float]]:
        """Score the selected weights on the test split, once; return the metrics and those weights' validation."""
        if self.best and self.best_phase != self.training_phase:
            with fine_tune.frozen_again(self.config, self.training):
                return self.test_selected()
        return self.test_selected()

    def test_selected(self) -> tuple[dict[str, Any], dict[str, float]]:
        """Do as `test` with the current engine."""
        validation = self.validation_of_selected()
        if self.best:
            _set_weights(self.training.engine, self.best)
        else:
            take_average(self.training.engine)
        self.reestimate(FINAL_STATISTICS_BATCHES)
        predictor, test = self.predictor, self.indexes["test"]
        if self.source and not self.is_finite(predictor, test[:1]):
            raise Diverged("The logits of a test image are not finite, though the training loss was.")
        point = tune(predictor, self.task, self.indexes["val"]) if len(self.pack.classes) == 2 else None
        folder = self.folder / PREDICTIONS if self.config.keep_predictions else None
        told = about(self.folder.name.removesuffix(RUNNING), self.config, self.pack, "test", point)
        result, problem = evaluate_and_keep(predictor, self.task, test, point, folder, told)
        if problem:
            self.note(problem)
        write_table(self.folder / IMAGES, *result.table)
        seen = evaluate(predictor, self.task, sample_of(self.indexes["train"]))
        self.overfitting = overfitting(seen.table, result.table)
        write_samples(predictor, self.pack, test, self.folder / SAMPLES)
        write_worst(predictor, self.pack, test, result.table.counts, self.folder / WORST)
        self.save_weights()
        return result.metrics(), validation

    def validation_of_selected(self) -> dict[str, float]:
        """Return the validation scores of the weights that `select` chooses."""
        return max(self.validations, key=_mean_iou) if self.best else self.validations[-1]

    def is_finite(self, predictor: Predictor, indexes: np.ndarray) -> bool:
        """Tell whether the logits of these images are finite."""
        (batch,) = evaluation(self.pack, indexes, len(indexes))
        return bool(np.isfinite(predictor.logits(batch.images)).all())

    def save_weights(self) -> None:
        """Keep the weights that were tested, unless they are not wanted."""
        if self.config.keep_weights == "none":
            return
        with self.ledger.phase("save"):
            self.training.engine.pull()
            self.weights |= checkpoints.save(self.model, self.folder)
            if self.source:
                self.weights["source"] = self.source
            if self.config.keep_weights == "all":
                keep(self.folder)

    @property
    def predictor(self) -> Predictor:
        """Make the predictor of the model as it is now."""
        config = self.config
        return Predictor(self.training.engine, config.image_size, batch_size=config.batch_size, resize=config.resize)

    def reestimate(self, statistics_batches: int) -> None:
        """Estimate batch norm statistics from the first training batches of seed 0."""
        train, size = self.indexes["train"], self.config.batch_size
        count = max(1, min(statistics_batches, len(train) // size))
        few = training_batches(self.config, self.pack, train, 0, most=count)
        reestimate(self.training.engine, (images for images, _ in few))


def _weights(engine: Engine) -> list[np.ndarray]:
    """Copy the model's variables to the host; the optimizer's differ from phase to phase."""
    engine.pull()
    return [to_numpy(variable) for variable in engine.model.variables]


def _set_weights(engine: Engine, values: list[np.ndarray]) -> None:
    engine.pull()
    for variable, value in zip(engine.model.variables, values, strict=True):
        variable.assign(value)
    engine.push()


def _mean_iou(values: dict[str, float]) -> float:
    return values["mean_iou"]
