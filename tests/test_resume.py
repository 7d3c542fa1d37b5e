"""A training that is cut off anywhere goes on from its checkpoint as if nothing had happened."""

import json
import random
import shutil
import time
from contextlib import suppress
from dataclasses import replace

import keras
import numpy as np
import pytest

from bench.core.code import own_code
from bench.core.errors import BenchError
from bench.core.specs import Budget
from bench.core.trial_config import OPTIONS, TrialConfig
from bench.evaluation.task import Task
from bench.profiling.clock.ledger import Ledger
from bench.results.trial_files import CHECKPOINTS, HISTORY
from bench.training import checkpoint
from bench.training.budget import Meter
from bench.training.build import choose_indexes
from bench.training.checkpoint import Checkpoint
from bench.training.random_states import random_states, restore_random_states
from bench.trials.plan import prepare_pack
from bench.trials.saved.resumption import Checkpoints
from bench.trials.training_session import Session

STEPS, EVERY = 20, 3  # a checkpoint after each third step, a validation after each second
IS_DUE = Checkpoints.is_due
CONFIG = TrialConfig(
    "unet",
    "shapes",
    backbone="mobilenet_v2",
    image_size=(32, 32),
    batch_size=4,
    budget=Budget(STEPS, "steps"),
    select="best",
    augment="strong",
    backend=keras.backend.backend(),
)


class Cut(BaseException):
    """The end of a process."""


class Net(keras.layers.Layer):
    """Dropout, and noise from the host's global generators, whose states no variable holds."""

    def __init__(self):
        super().__init__()
        self.dropout = keras.layers.Dropout(0.3)
        self.scale = keras.Variable(np.random.rand() + random.random())

    def call(self, x, training=False):
        return self.dropout(x * self.scale, training=training)


def small_net(config, num_classes, bands=3):
    keras.utils.set_random_seed(config.seed)
    inputs = keras.Input((*config.input_size, bands))
    x = keras.layers.Conv2D(4, 3, padding="same", name="backbone_conv1")(inputs)
    x = keras.layers.BatchNormalization(name="backbone_norm")(x)
    x = keras.layers.ReLU()(keras.layers.Conv2D(4, 3, padding="same", name="backbone_conv2")(x))
    x = Net()(keras.layers.BatchNormalization(name="decoder_norm")(x))
    return keras.Model(inputs, keras.layers.Conv2D(num_classes, 1, name="head", dtype="float32")(x))


def patched(patch):
    """Let any step end a block, whose length otherwise follows the clock, and checkpoints follow the steps."""
    patch.setattr("bench.training.loop.BLOCK_SECONDS", 0.0)
    patch.setattr("bench.trials.training_session.build_model", small_net)
    patch.setattr(Checkpoints, "is_due", lambda self, meter, validated: not meter.steps % EVERY)


@pytest.fixture(autouse=True)
def patched_here(monkeypatch):
    """Patch what each test trains."""
    patched(monkeypatch)


def begin(folder, config=CONFIG, earlier=None):
    """A session that is about to train, from a checkpoint in the folder if there is one."""
    session = Session(config, folder, Ledger(time.time(), earlier))
    session.began = time.time()
    session.pack = prepare_pack(config)
    session.indexes = {split: some[:40] for split, some in choose_indexes(session.pack, 1.0).items()}
    session.task = Task(session.pack, (), native=False)
    session.build()
    found = session.checkpoints.newest()
    session.start(found)
    return session


def train(folder, config=CONFIG, cut=None, earlier=None):
    """Train to the end, or until the process ends after the block that reaches the step `cut`."""
    session = begin(folder, config, earlier)

    def after_block():
        session.after_block()
        if cut and session.training.meter.steps >= cut:
            raise Cut

    session.training.on_block = after_block
    with suppress(Cut):
        session.training.run()
    return session


def assert_same(one, other):
    """All variables of model and optimizer, those of the best validation, and every score are bit-identical."""
    for mine, its in zip(one.training.engine.state(), other.training.engine.state(), strict=True):
        assert np.array_equal(mine, its), f"differs by {np.abs(mine - its).max()}"
    for mine, its in zip(one.best, other.best, strict=True):
        assert np.array_equal(mine, its)
    assert one.validations == other.validations
    assert one.training.losses == other.training.losses
    rows = [(s.folder / HISTORY).read_text().splitlines() for s in (one, other)]
    kept = ("fraction", "steps", "loss", "learning_rate", "val_mean_iou", "phase")
    assert [[json.loads(r)[k] for k in kept] for r in rows[0]] == [[json.loads(r)[k] for k in kept] for r in rows[1]]


def interrupted(folder, config, cuts):
    """Cut a training off after some steps, each time going on from the last checkpoint."""
    for cut in cuts:
        assert train(folder, config, cut).training.meter.steps == cut
    return train(folder, config)


@pytest.mark.parametrize(
    "fields",
    [
        {"crop": (16, 16), "freeze_encoder": 0.5},
        pytest.param({"precision": "mixed_float16", "optimizer": "sgd", "freeze_encoder": 0.5}, marks=pytest.mark.slow),
        pytest.param({"precision": "mixed_bfloat16", "budget": Budget(2, "epochs")}, marks=pytest.mark.slow),
    ],
    ids=["crops and fine-tuning", "float16", "epochs"],
)
def test_a_training_that_is_cut_off_anywhere_ends_bit_identical(tmp_path, fields):
    config = replace(CONFIG, **fields)
    folders = tmp_path / "whole", tmp_path / "cut"
    for folder in folders:
        folder.mkdir()
    whole = train(folders[0], config)
    last = whole.training.meter.steps
    cut = random.Random(0).randrange(2, last)
    ended = interrupted(folders[1], config, [cut, last])  # the last step, but not its validation
    assert_same(whole, ended)
    assert len(list((folders[1] / CHECKPOINTS).iterdir())) == 2
    assert whole.test_selected() == ended.test_selected()


def test_a_damaged_checkpoint_is_named_and_the_older_one_or_none_is_taken(tmp_path):
    kept = Checkpoints(tmp_path, CONFIG, "data")
    for step in (4, 8):
        kept.write(Checkpoint({"step": step}, {"engine": [np.arange(1000.0)]}), step)
    older, newer = sorted((tmp_path / CHECKPOINTS).iterdir())
    content = newer.read_bytes()
    for damage in (content[: len(content) // 2], content[:-1], b"", b"no archive", wrong_bit(content)):
        newer.write_bytes(damage)
        assert kept.newest().values["step"] == 4
        note = kept.notes.pop()
        assert note.startswith("the checkpoint after step 8 is not used: it is damaged (") and "\n" not in note
        assert not kept.notes
    older.write_bytes(wrong_bit(older.read_bytes()))
    assert kept.newest() is None
    assert len(kept.notes) == 2


def wrong_bit(content):
    """The same with one wrong bit in the middle, where the arrays are."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("other", ["keras", "code of segbench", "configuration"])
def test_a_checkpoint_of_another_version_code_or_configuration_is_not_taken(tmp_path, other):
    made = Checkpoints(tmp_path, CONFIG, "data")
    made.write(Checkpoint({}, {"engine": []}), 3)
    assert made.newest() is not None
    mine = Checkpoints(tmp_path, CONFIG, "data")
    mine._stamp = {**mine._stamp, other: "new"}
    assert mine.newest() is None
    assert f"step 3 is not used: it was made with another {other} (" in mine.notes[0]


def test_the_code_of_a_checkpoint_is_that_of_every_room_that_trains(monkeypatch):
    hashed = []
    monkeypatch.setattr(own_code, "file_hash", lambda path: hashed.append("/".join(path.parts[-2:])) or "x")
    own_code.own_code.__wrapped__()
    assert {"architectures/unet.py", "datasets/shapes.py", "training/loop.py", "engines/jax_engine.py"} <= {*hashed}


@pytest.mark.parametrize(
    ("budget", "every", "steps", "seconds", "due"),
    [
        ("10m", None, 100, 300.3, (False, False)),  # exactly ten minutes
        ("11m", None, 100, 66.0, (False, True)),
        ("1000steps", None, 100, 50.0, (False, False)),  # 500 s in all
        ("1000steps", None, 100, 70.0, (False, True)),  # 700 s
        ("11m", 0.0, 100, 600.0, (False, False)),  # never
        ("10s", 1e-9, 1, 1.0, (True, True)),
        ("10h", 3600.0, 1, 1.0, (False, False)),  # not an hour since the last one
    ],
)
def test_checkpoints_are_due_at_validations_of_long_trainings_or_as_often_as_asked(
    tmp_path, monkeypatch, budget, every, steps, seconds, due
):
    monkeypatch.setattr(Checkpoints, "is_due", IS_DUE)
    config = replace(CONFIG, budget=Budget.parse(budget), checkpoint_every=every)
    meter = Meter(config.budget, batch_size=4, epoch_images=40, steps=steps, seconds=seconds)
    kept = Checkpoints(tmp_path, config, "data")
    assert tuple(kept.is_due(meter, validated=validated) for validated in (False, True)) == due


def test_two_checkpoints_are_kept_and_a_full_disk_leaves_them_and_a_note(tmp_path, monkeypatch):
    kept = Checkpoints(tmp_path, CONFIG, "data")
    found = Checkpoint({}, {"engine": [np.zeros(1000, np.float32)]})
    for step in (1, 2, 30):
        kept.write(found, step)
    assert [p.stem for p in sorted((tmp_path / CHECKPOINTS).iterdir())] == ["000000002", "000000030"]
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    kept.write(found, 31)
    monkeypatch.undo()
    monkeypatch.setattr("numpy.savez", full_disk)
    kept.write(found, 32)
    assert [p.stem for p in sorted((tmp_path / CHECKPOINTS).iterdir())] == ["000000002", "000000030"]
    assert ["step 31, because the disk is full" in kept.notes[0], "step 32 (No space left" in kept.notes[1]] == [
        True
    ] * 2


def full_disk(file, **arrays):
    file.write(b"half")
    raise OSError(28, "No space left on device")


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """A session with a wall-time budget that ended after its fifth step, one after its checkpoint, and its ledger."""
    with pytest.MonkeyPatch.context() as patch:
        patched(patch)
        session = train(tmp_path_factory.mktemp("cut"), replace(CONFIG, budget=Budget(3600, "seconds")), cut=EVERY + 1)
        return session, sum(session.ledger.close().values())


@pytest.fixture
def folder(cut, tmp_path):
    """A copy of its folder."""
    return shutil.copytree(cut[0].folder, tmp_path / "copy")


def test_the_clock_and_the_learning_rate_go_on_and_what_the_checkpoint_does_not_know_is_lost(cut, folder):
    before, known = cut
    after = begin(folder, before.config, earlier={"attempts": 1, "seconds": known + 50})
    mine, its = after.training, before.training
    assert mine.meter.steps == its.meter.steps - 1 == EVERY
    assert 0 < mine.meter.seconds < its.meter.seconds
    assert its.current_lr() < mine.current_lr() < before.config.lr
    assert after.progress.note.startswith(f"goes on after step {EVERY}; 5")
    seconds = after.ledger.close()
    assert 50 <= seconds["lost"] <= known + 50
    assert sum(seconds.values()) == pytest.approx(known + 50 + time.time() - after.began, abs=1)
    assert after.describe_training()["resumed"] == 1


def test_a_checkpoint_that_does_not_fit_the_model_is_removed_so_that_it_does_no_more_harm(cut, folder):
    (path,) = (folder / CHECKPOINTS).iterdir()
    found = checkpoint.read(path)
    checkpoint.write(path, Checkpoint(found.values, {**found.arrays, "engine": found.arrays["engine"][1:]}))
    with pytest.raises(BenchError, match="doesn't fit the model"):
        begin(folder, cut[0].config)
    assert not (folder / CHECKPOINTS).exists()


def test_arrays_of_every_type_come_back_as_they_were(tmp_path):
    import ml_dtypes

    arrays = [
        np.float32([1.5, np.nan]),
        np.uint32([[7]]),
        np.array(3, ml_dtypes.bfloat16),
        np.zeros((0, 2), np.float16),
    ]
    checkpoint.write(tmp_path / "1.npz", Checkpoint({"big": 2**100}, {"engine": arrays, "best": []}))
    found = checkpoint.read(tmp_path / "1.npz")
    assert found.values == {"big": 2**100} and found.arrays["best"] == []
    for mine, its in zip(arrays, found.arrays["engine"], strict=True):
        assert (mine.dtype, mine.shape, mine.tobytes()) == (its.dtype, its.shape, its.tobytes())


def test_the_global_random_generators_go_on(tmp_path):
    states = json.loads(json.dumps(random_states()))
    drawn = random.random(), np.random.rand(3).tolist(), np.random.standard_normal()
    restore_random_states(states)
    assert (random.random(), np.random.rand(3).tolist(), np.random.standard_normal()) == drawn


def test_the_learning_rate_of_a_step_does_not_depend_on_the_blocks_before_it():
    whole, parts = (Meter(Budget(2.7, "epochs"), batch_size=16, epoch_images=101) for _ in range(2))
    for step in range(17):
        parts.steps = step
        assert parts.fraction_after(0) == whole.fraction_after(step)


@pytest.mark.parametrize(("text", "seconds"), [("5m", 300.0), ("never", 0.0), (20, 20.0)])
def test_checkpoint_every_is_a_time_or_never(text, seconds):
    assert OPTIONS["checkpoint_every"].read(text) == seconds


@pytest.mark.parametrize("text", ["0", "-5s", "often", "10epochs", "none"])
def test_other_values_of_checkpoint_every_are_refused(text):
    with pytest.raises(BenchError, match=r"--checkpoint-every is .*Accepted: a time above 0"):
        OPTIONS["checkpoint_every"].read(text)
