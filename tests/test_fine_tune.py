"""Freezing the encoder for a share of the budget, then fine-tuning it, on a net with a backbone of three layers."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from bench.config import grid
from bench.core.errors import BenchError
from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.evaluation.task import Task
from bench.profiling.clock.ledger import Ledger
from bench.profiling.clock.timing_table import FROZEN, TRAIN
from bench.results.trial_files import HISTORY, WEIGHTS
from bench.training.build import choose_indexes
from bench.training.engines.engine import to_numpy
from bench.training.fine_tune import encoder_layers, first_unfrozen
from bench.training.optimizer import ResumedAdam
from bench.trials.identity import trial_key
from bench.trials.plan import prepare_pack
from bench.trials.training_session import Session

CONFIG = TrialConfig(
    "unet",
    "shapes",
    backbone="mobilenet_v2",
    image_size=(32, 32),
    batch_size=4,
    budget=Budget(10, "steps"),
    freeze_encoder=0.5,
    schedule="constant",
    backend=keras.backend.backend(),
)


def small_net(config, num_classes, bands=3):
    keras.utils.set_random_seed(config.seed)
    inputs = keras.Input((*config.image_size, bands))
    x = keras.layers.Conv2D(4, 3, padding="same", name="backbone_conv1")(inputs)
    x = keras.layers.BatchNormalization(name="backbone_norm")(x)
    x = keras.layers.ReLU()(keras.layers.Conv2D(4, 3, padding="same", name="backbone_conv2")(x))
    x = keras.layers.BatchNormalization(name="decoder_norm")(x)
    return keras.Model(inputs, keras.layers.Conv2D(num_classes, 1, name="head")(x))


class Watched(Session):
    """A session that keeps the variables of the encoder's layers and the head's optimizer state at the switch."""

    def build(self):
        super().build()
        self.start = self.encoder()

    def unfreeze(self):
        self.before, self.head_before, self.engine_before = self.encoder(), self.head(), self.training.engine
        self.best_of_frozen = [to_numpy(v) for v in self.model.variables]
        seconds = self.training.meter.seconds, self.ledger.seconds["compile"], time.monotonic()
        super().unfreeze()
        self.switch_seconds = time.monotonic() - seconds[2]
        self.clock_seconds = self.training.meter.seconds - seconds[0]
        self.compile_seconds = self.ledger.seconds["compile"] - seconds[1]
        self.after, self.head_after = self.encoder(), self.head()

    def encoder(self):
        self.training.engine.pull()
        return {layer.name: [to_numpy(v) for v in layer.variables] for layer in encoder_layers(self.model)}

    def head(self):
        """Step count, then momentum and velocity of each variable that isn't the encoder's."""
        self.training.engine.pull()
        adam = getattr(self.training.engine.optimizer, "inner_optimizer", self.training.engine.optimizer)
        head = [i for i, v in enumerate(adam._trainable_variables) if "backbone_" not in v.path]
        return [
            to_numpy(v) for v in (adam.iterations, *(s[i] for i in head for s in (adam._momentums, adam._velocities)))
        ]


def auxiliary_net(config, num_classes):
    """PSPNet on a backbone of ten convolutions; trained with its auxiliary head."""
    import architecture_contract  # noqa: F401 - registers the backbone "tiny"

    from bench.architectures.pspnet import build_pspnet

    keras.utils.set_random_seed(config.seed)
    return build_pspnet((*config.image_size, 3), num_classes, backbone="tiny", filters=16)


def trained(folder, net=small_net, **fields):
    """A session after training, before test and profile."""
    session = Watched(TrialConfig.from_dict({**CONFIG.to_dict(), **fields}), folder, Ledger(time.time()))
    session.began = time.time()
    session.pack = prepare_pack(session.config)
    session.indexes = choose_indexes(session.pack, 1.0)
    session.task = Task(session.pack, (), native=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.trials.training_session.build_model", net)
        session.build()
    with session.ledger.phase("compile"):
        session.compile()
    with session.ledger.phase("train"):
        session.training.run()
    return session


def moved(before, after):
    """Names of the layers of which any variable has changed."""
    pairs = {name: zip(before[name], after[name], strict=True) for name in before}
    return [name for name, both in pairs.items() if any(not np.array_equal(a, b) for a, b in both)]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("trial"))


def test_the_encoder_moves_after_the_frozen_phase_only(session):
    assert moved(session.start, session.before) == []  # five validations re-estimated batch norm statistics on the way
    assert moved(session.before, session.after) == []
    assert moved(session.after, session.encoder()) == ["backbone_conv1", "backbone_norm", "backbone_conv2"]


def test_the_head_goes_on_with_its_optimizer_state(session):
    assert session.training.engine is not session.engine_before
    assert int(session.head_before[0]) == 5 and len(session.head_before) == 1 + 2 * 4
    for before, after in zip(session.head_before, session.head_after, strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_scaled_loss_goes_on_too(tmp_path):
    session = trained(tmp_path, precision="mixed_float16", budget="4steps")
    assert [int(state[0]) for state in (session.head_before, session.head_after, session.head())] == [2, 2, 4]
    before, after = session.engine_before.optimizer, session.training.engine.optimizer
    assert int(to_numpy(before.step_counter)) == 2 and int(to_numpy(after.step_counter)) == 4
    assert moved(session.after, session.encoder()) == ["backbone_conv1", "backbone_norm", "backbone_conv2"]


def test_the_history_names_the_phase_and_the_learning_rate_falls_by_the_factor(session):
    rows = [json.loads(line) for line in (session.folder / HISTORY).read_text().splitlines()]
    assert [row["phase"] for row in rows] == ["frozen"] * 5 + ["all"] * 5
    assert [row["learning_rate"] for row in rows] == pytest.approx([1e-3] * 5 + [1e-4] * 5)
    assert [row["steps"] for row in rows] == list(range(1, 11))


def test_blocks_of_the_frozen_phase_are_samples_of_another_kind(session):
    samples = session.instruments.timings.samples()
    assert {kind: some.images.sum() for kind, some in samples.items()} == dict.fromkeys(
        (FROZEN, TRAIN), 5 * session.config.batch_size
    )


def test_the_switch_is_charged_to_compiling_and_the_ledger_adds_up(session):
    assert session.clock_seconds == 0
    assert session.compile_seconds == pytest.approx(session.switch_seconds, rel=0.01, abs=0.05)
    assert sum(session.ledger.close().values()) == pytest.approx(time.time() - session.began, rel=0.01, abs=0.05)


def test_a_switch_between_two_validations_and_the_top_part_alone(tmp_path):
    session = trained(tmp_path, freeze_encoder=0.25, budget="20steps", unfreeze_from="norm", select="best")
    assert int(session.head_before[0]) == 5
    assert moved(session.start, session.before) == []
    assert moved(session.after, session.encoder()) == ["backbone_norm", "backbone_conv2"]
    rows = [json.loads(line) for line in (session.folder / HISTORY).read_text().splitlines()]
    assert [row["phase"] for row in rows] == ["frozen"] * 2 + ["all"] * 8
    # The best weights can be those of either phase; the frozen one's are tested with the encoder as it was then.
    engine = session.training.engine
    session.best, session.best_phase = session.best_of_frozen, "frozen"
    seen = []
    session.test_selected = lambda: (Session.test_selected(session), seen.append(session.encoder()))
    session.test()
    assert moved(session.start, seen[0]) == []
    saved = small_net(session.config, len(session.pack.classes))
    saved.load_weights(tmp_path / WEIGHTS)  # the tested weights, not those that training ended with
    assert (
        moved(session.start, {layer.name: [to_numpy(v) for v in layer.variables] for layer in encoder_layers(saved)})
        == []
    )
    assert session.training.engine is engine and session.model.get_layer("backbone_norm").trainable
    assert not session.model.get_layer("backbone_conv1").trainable


def check_pspnet_on_jax(folder):
    """The auxiliary head trains in both phases, the encoder in the second alone; the tested model has no such head."""
    session = trained(folder, auxiliary_net, arch="pspnet", backend="jax")
    heads = [v.path for v in session.training.engine.training_model.trainable_variables if "auxiliary" in v.path]
    assert len(heads) == 5 and not any("auxiliary" in v.path for v in session.model.variables)
    assert moved(session.start, session.before) == []
    assert moved(session.before, session.after) == []
    assert moved(session.after, session.encoder()) == [name for name, values in session.start.items() if values]
    assert int(session.head_before[0]) == 5 and len(session.head_before) > 1 + 2 * len(heads)
    for before, after in zip(session.head_before, session.head_after, strict=True):
        np.testing.assert_array_equal(before, after)
    now = session.head()
    assert int(now[0]) == 10 and all(np.abs(momentum).max() > 0 for momentum in now[1:])
    losses = [json.loads(line)["loss"] for line in (session.folder / HISTORY).read_text().splitlines()]
    assert np.isfinite(losses).all()
    metrics, _ = session.test()
    assert 0 <= metrics["mean_iou"] <= 1


@pytest.mark.slow
@pytest.mark.needs("jax")
def test_pspnet_with_its_auxiliary_head_on_jax(tmp_path):
    program = "import sys, pathlib, test_fine_tune; test_fine_tune.check_pspnet_on_jax(pathlib.Path(sys.argv[1]))"
    environment = os.environ | {"KERAS_BACKEND": "jax", "SEGBENCH_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", program, str(tmp_path)]
    folder = Path(__file__).parent
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]


def test_a_late_variable_starts_as_in_a_new_adam():
    gradients = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    early, late, alone = (keras.Variable(np.zeros(3, "float32"), name=name) for name in ("early", "late", "alone"))
    first, whole = keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.1)
    first.build([early])
    whole.build([alone])
    for gradient in gradients[:3]:
        first.apply([keras.ops.array(gradient)], [early])
    resumed = ResumedAdam(0.1)
    resumed.build([late, early])
    resumed.resume(first)
    for gradient in gradients[3:]:
        resumed.apply([keras.ops.array(gradient)] * 2, [late, early])
        whole.apply([keras.ops.array(gradient)], [alone])
    np.testing.assert_allclose(to_numpy(late), to_numpy(alone), rtol=1e-4)
    uninterrupted, variable = keras.optimizers.Adam(0.1), keras.Variable(np.zeros(3, "float32"))
    uninterrupted.build([variable])
    for gradient in gradients:
        uninterrupted.apply([keras.ops.array(gradient)], [variable])
    np.testing.assert_allclose(to_numpy(early), to_numpy(variable), rtol=1e-4)


NAMES = ["backbone_conv1", "backbone_block_1_expand", "backbone_block_1_project", "backbone_out"]


@pytest.mark.parametrize(
    ("start", "index"),
    [(None, 0), ("0", 0), ("3", 3), ("-1", 3), ("-4", 0), ("block_1_project", 2), ("backbone_out", 3)],
)
def test_a_layer_is_found_by_name_or_index(start, index):
    assert first_unfrozen(NAMES, start) == index


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("4", "--unfreeze-from is 4, but the backbone has 4 layers. Accepted: -4 to 3, or a layer's name."),
        ("-5", "--unfreeze-from is -5"),
        ("block_1_exPand", "Unknown layer of the backbone 'block_1_exPand'. Did you mean 'block_1_expand'"),
    ],
)
def test_a_layer_that_is_not_there_is_one_line(start, message):
    with pytest.raises(BenchError) as error:
        first_unfrozen(NAMES, start)
    assert message in str(error.value) and "\n" not in str(error.value)


def expand(**options):
    return grid.expand({"arch": "unet", "backbone": "mobilenet_v2", "dataset": "shapes", **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze_encoder": "1.5"}, "--freeze-encoder is 1.5. Accepted: a share of the budget from 0 to 1"),
        (
            {"freeze_encoder": "half"},
            "--freeze-encoder is 'half'. Accepted: a share of the budget from 0 to 1",
        ),
        (
            {"freeze_encoder": 0.5, "fine_tune_lr_factor": 0},
            "--fine-tune-lr-factor is 0. Accepted: a number above 0",
        ),
        ({"freeze_encoder": 0.5, "backbone": "none"}, "--freeze-encoder needs a backbone, and unet has none here"),
        ({"unfreeze_from": "block_1_expand"}, "--unfreeze-from needs --freeze-encoder"),
        ({"fine_tune_lr_factor": "0.5"}, "--fine-tune-lr-factor needs --freeze-encoder"),
    ],
)
def test_bad_options_are_one_line(options, message):
    with pytest.raises(BenchError) as error:
        expand(**options)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_the_key_changes_with_the_options_alone():
    (plain,) = expand()
    (frozen,), (said,) = expand(freeze_encoder=0.5), expand(freeze_encoder=0.5, fine_tune_lr_factor=0.1)
    (part,) = expand(freeze_encoder=0.5, unfreeze_from="-20")
    assert trial_key(plain, "data") == trial_key(expand(freeze_encoder=0)[0], "data") == "16e7346b8e24"
    assert trial_key(frozen, "data") == trial_key(said, "data")
    assert len({trial_key(config, "data") for config in (plain, frozen, part)}) == 3


def test_a_trial_without_frozen_phase_in_a_grid_leaves_fine_tuning_out():
    plain, frozen = expand(freeze_encoder="0,0.5", fine_tune_lr_factor=0.2)
    assert (plain.freeze_encoder, plain.fine_tune_lr_factor) == (0.0, 0.1)
    assert (frozen.freeze_encoder, frozen.fine_tune_lr_factor) == (0.5, 0.2)
