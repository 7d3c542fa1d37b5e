"""`bench doctor --arch --dataset`: each fault of a network or of a data set is found, and a good one passes."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.cli import app
from bench.config import catalog, grid
from bench.data.source import open_source
from bench.trials.first_check.data_findings import batch_finding, data_findings
from bench.trials.first_check.model_findings import model_findings, still_falls
from bench.trials.first_check.run_check import of_model

SIDE = 16


def network(fault):
    """Build a tiny network for two classes that has one fault, or none."""
    import keras
    from keras import layers, ops

    x = keras.Input((SIDE, SIDE, 3))
    y = layers.Activation("relu")(layers.BatchNormalization()(layers.Conv2D(12, 5, padding="same")(x)))
    if fault == "the same for every pixel":
        y = layers.Lambda(ops.zeros_like)(y)
    elif fault == "no gradient":
        y = layers.Lambda(ops.stop_gradient)(y)
    elif fault == "not finite":
        y = layers.Lambda(lambda t: t / ops.zeros_like(t))(y)
    elif fault == "too coarse":
        y = layers.UpSampling2D(SIDE)(layers.GlobalAveragePooling2D(keepdims=True)(y))
    y = layers.Conv2D(2, 1, name="logits", bias_initializer="ones")(y)
    return keras.Model(x, layers.Softmax()(y) if fault == "a softmax before the loss" else y)


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """Probe a network on a batch with two discs; return the verdict and the text by what was looked at."""
    import keras

    from bench.trials.children import first_check

    def check(fault):
        monkeypatch.setattr(first_check, "build_model", lambda *arguments: network(fault))
        values = {"arch": "unet", "dataset": "shapes", "image_size": SIDE, "batch_size": 2, "lr": 0.02}
        (config,) = grid.configs({**values, "backend": keras.backend.backend()})
        y, x = np.mgrid[:SIDE, :SIDE]
        labels = np.stack([(y - 6) ** 2 + (x - 6) ** 2 < 20, (y - 9) ** 2 + (x - 10) ** 2 < 16]).astype(np.uint8)
        noise = np.random.default_rng(0).integers(0, 60, (2, SIDE, SIDE, 3))
        np.savez(tmp_path / "batch.npz", images=(labels[..., None] * 150 + noise).astype(np.uint8), labels=labels)
        facts = first_check.probe(config.to_dict(), ["ground", "disc"], str(tmp_path / "batch.npz"), 20.0)
        return {finding.what: (finding.verdict, finding.said) for finding in model_findings(facts, config.lr)}

    return check


def test_a_good_network_overfits_one_batch(checked):
    found = checked("")
    assert {verdict for verdict, _ in found.values()} == {"ok"}
    assert "3 layers" in found["gradients"][1]


@pytest.mark.parametrize(
    ("fault", "what", "said"),
    [
        ("a softmax before the loss", "outputs", "they are probabilities"),
        ("the same for every pixel", "outputs", "the same for every pixel"),
        ("no gradient", "gradients", "none in 2 of 3 layers"),
        ("not finite", "outputs", "not finite"),
        ("too coarse", "one batch overfitted", "can't overfit one batch"),
    ],
)
def test_a_fault_of_a_network_is_found(checked, fault, what, said):
    verdict, text = checked(fault)[what]
    assert (verdict, said in text) == ("failed", True), text


def facts(**changes):
    overfit = {"diverged": False, "losses": [1.0, 0.1], "first_mean_iou": 0.2, "mean_iou": 0.95, "seconds": 3.0}
    overfit |= {"never_predicted": [], **changes.pop("overfit", {})}
    outputs = {"finite": True, "low": -1.0, "high": 1.0, "probabilities": False, "constant": False}
    return {"outputs": outputs, "gradients": {"a": 1.0, "b": 2.0, "c": 1.5}, "frozen": 0, "overfit": overfit, **changes}


@pytest.mark.parametrize(
    ("changes", "what", "verdict", "said"),
    [
        ({"gradients": {"a": 1.0, "b": 1e-9, "c": 1.5}}, "gradients", "warning", "vanishes in 1 of 3 layers: b"),
        ({"gradients": {"a": 1.0, "b": 1e9, "c": 1.5}}, "gradients", "warning", "explodes in 1 of 3 layers: b"),
        ({"gradients": {"a": None, "b": 1.0}}, "gradients", "failed", "not finite in 1 of 2 layers: a"),
        ({"gradients": {}, "frozen": 7}, "gradients", "failed", "nothing to train; 7 weights are frozen"),
        ({"overfit": {"diverged": True}}, "one batch overfitted", "failed", "not finite after 2 steps"),
        ({"overfit": {"mean_iou": 0.4, "losses": [1.0] * 40}}, "one batch overfitted", "failed", "can't overfit"),
        (
            {"overfit": {"mean_iou": 0.4, "losses": [1 / n for n in range(1, 9)], "never_predicted": ["cat"]}},
            "one batch overfitted",
            "warning",
            "never predicted: cat; the loss still falls",
        ),
    ],
)
def test_measurements_are_judged(changes, what, verdict, said):
    found = {finding.what: finding for finding in model_findings(facts(**changes), 0.001)}
    assert found[what].verdict == verdict and said in found[what].said
    assert found[what].advice
    assert all(other.verdict == "ok" for name, other in found.items() if name != what)


def test_a_flat_curve_does_not_fall_and_a_short_one_may():
    assert not still_falls([1.0] * 20)
    assert still_falls([2.0, 1.0, 0.5, 0.2]) and still_falls([1.0])


def folder(tmp_path, masks, images=None):
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number, mask in enumerate(masks):
        picture = rng.integers(0, 255, (20, 20, 3), np.uint8) if images is None else images[number]
        Image.fromarray(picture).save(tmp_path / "data" / "images" / f"{number}.png")
        Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"{number}.png")
    spec, place = catalog.find_dataset(f"folder:{tmp_path / 'data'}", None)
    return open_source(spec, place, {})


def test_labels_of_one_class_fail_and_a_missing_class_warns(tmp_path):
    rng = np.random.default_rng(1)
    good = [rng.integers(0, 2, (20, 20), np.uint8) for _ in range(12)]
    assert {f.what: f.verdict for f in data_findings(folder(tmp_path / "a", good))} == {"files": "ok", "labels": "ok"}
    rare = [
        np.where(np.arange(400).reshape(20, 20) == 7, 1, 0).astype(np.uint8) if n == 0 else good[0] * 0
        for n in range(12)
    ]
    found = {f.what: f for f in data_findings(folder(tmp_path / "b", rare))}
    assert found["labels"].verdict == "warning" and "--class-weights" in found["labels"].advice


def test_a_broken_file_fails_and_the_rest_is_still_judged(tmp_path):
    source = folder(tmp_path, [np.random.default_rng(n).integers(0, 2, (20, 20), np.uint8) for n in range(12)])
    broken = tmp_path / "data" / "images" / "3.png"
    broken.write_bytes(broken.read_bytes()[:60])
    found = {f.what: f for f in data_findings(source)}
    assert found["files"].verdict == "failed" and "11 of 12 images read" in found["files"].said
    assert found["labels"].verdict == "ok"


@pytest.mark.parametrize(
    ("image", "verdict", "advice"),
    [
        (np.full((8, 8, 3), 90, np.uint8), "warning", "one value everywhere"),
        (np.arange(192, dtype=np.uint8).reshape(8, 8, 3) % 9, "warning", "--scale-values"),
        (np.arange(192, dtype=np.uint8).reshape(8, 8, 3), "ok", ""),
        (np.arange(192, dtype=np.uint16).reshape(8, 8, 3) * 300, "ok", ""),
    ],
)
def test_pixels_that_use_nothing_of_the_range_are_said(image, verdict, advice):
    found = batch_finding(np.stack([image] * 2), np.zeros((2, 8, 8), np.uint8))
    assert found.verdict == verdict and advice in found.advice


def test_a_model_that_cannot_be_built_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.trials.first_check.run_check.ask", lambda *a, **k: [{"error": "No such layer."}])
    (config,) = grid.configs({"arch": "unet", "dataset": "shapes", "image_size": SIDE, "batch_size": 2})
    source = folder(tmp_path, [np.random.default_rng(n).integers(0, 2, (20, 20), np.uint8) for n in range(12)])
    found = {f.what: f for f in of_model(config, source, 1.0)}
    assert (found["model"].verdict, found["model"].said) == ("failed", "No such layer.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lr", "0.1"], "--lr belongs to a check. Give --arch or --dataset too."),
        (["--dataset", "shapes", "--lr", "0.1"], "--lr concerns a model. Give --arch too."),
        (["--arch", "unet,segnet"], "These options stand for 2 models"),
        (["--arch", "unet", "--seconds", "0"], "--seconds is 0. Accepted: a number above 0."),
        (["--arch", "unet", "--seconds", "nan"], "--seconds is nan. Accepted: a number above 0."),
        (["--arch", "unet", "--seconds", "inf"], "--seconds is inf. Accepted: a number above 0."),
        (["--arch", "unett"], "unett"),
    ],
)
def test_what_cannot_be_checked_is_one_line(arguments, message):
    result = CliRunner().invoke(app, ["doctor", *arguments])
    assert result.exit_code == 2 or isinstance(result.exception, ValueError)
    assert message in f"{result.output}{result.exception}"
