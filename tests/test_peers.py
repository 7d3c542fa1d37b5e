"""The peers of tests/peers: the plain PyTorch loop, its measurement, and the ratios."""

import json
import shutil
import sys

import pytest
import scripts

from bench.config import given, grid

compare = scripts.load("tests/peers/compare.py")
CONFIG = {
    "peer": "unet", "variant": "eager", "batch_size": 2, "image_size": 16, "precision": "float32",
    "sweep_seconds": 1.0, "quick": True,
}  # fmt: skip


def own(train, latency, **changes):
    """A record of `bench speed`."""
    config = {"arch": "unet", "backend": "jax", "batch_size": 2, "image_size": [16, 16], "precision": "float32"}
    speed = {"train_images_per_second": train, "inference_images_per_second": 2 * train, "latency_ms_p50": latency}
    return {"status": "ok", "device": "GPU", "config": {**config, **changes}, "speed": speed}


def peer(train, latency, status="ok", device="GPU", **changes):
    """A record of tests/peers/measure.py."""
    record = {**own(train, latency), "status": status, "device": device, "config": {**CONFIG, **changes}}
    return record if status == "ok" else {**record, "speed": None, "reason": "RuntimeError: no compiler"}


def test_the_faster_variant_counts_and_above_one_we_are_faster():
    peers = [peer(100.0, 4.0), peer(125.0, 8.0, variant="compiled")]
    (row,) = compare.ratios([own(150.0, 5.0)], peers)
    assert (row["arch"], row["backend"], row["device"]) == ("unet", "jax", "GPU")
    assert row["train_images_per_second"] == {"ours": 150.0, "peer": 125.0, "variant": "compiled", "ratio": 1.2}
    assert row["inference_images_per_second"]["ratio"] == 1.2
    assert row["latency_ms_p50"] == {"ours": 5.0, "peer": 4.0, "variant": "eager", "ratio": 0.8}


@pytest.mark.parametrize(
    "other",
    [{"device": "CPU"}, {"precision": "mixed_bfloat16"}, {"batch_size": 4}, {"image_size": 32}, {"peer": "deeplab"}],
)
def test_nothing_is_compared_across_devices_and_settings(other):
    (row,) = compare.ratios([own(150.0, 5.0)], [peer(100.0, 4.0, **other)])
    assert set(row) == {"arch", "backend", "device"}


def test_a_variant_that_failed_is_left_out_and_named():
    peers = [peer(100.0, 4.0), peer(0.0, 0.0, "failed", variant="compiled")]
    found = compare.ratios([own(150.0, 5.0)], peers)
    assert found[0]["train_images_per_second"]["ratio"] == 1.5
    text = compare.table(found, peers)
    assert "| unet | jax | train_images_per_second | 150 | 100 | eager | 1.50 |" in text
    assert "unet, compiled: failed, RuntimeError: no compiler" in text


def test_our_counterparts_are_the_peers_architectures():
    ours = given.read_toml(scripts.ROOT / "tests" / "peers" / "ours.toml")
    trials = grid.configs({"measure": "speed", "backend": "jax"}, ours)
    assert {trial.arch for trial in trials} == set(compare.PEERS)
    assert {(trial.pair, trial.augment) for trial in trials} == {
        ("unet:resnet50", "none"),
        ("deeplab:resnet50", "none"),
    }
    assert trials[0].params == {"upsampling": "nearest"}


@pytest.fixture(scope="module")
def measure():
    return scripts.load("tests/peers/measure.py")


def small_net():
    """Images (B, 3, H, W) -> logits (B, 3, H, W)."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 1))


@pytest.mark.needs("torch")
def test_the_loop_learns_and_predicts(measure):
    import torch

    loop = measure.Loop(small_net(), device="cpu", precision="mixed_bfloat16", compiled=False)
    assert loop.model[0].weight.is_contiguous(memory_format=torch.channels_last)
    images = torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8)
    labels = (images[..., 0] > 127).to(torch.uint8)
    losses = [float(loop.train_step(images, labels)) for _ in range(20)]
    assert losses[-1] < 0.99 * losses[0]
    classes = loop.predict(images)
    assert (classes.dtype, tuple(classes.shape)) == (torch.uint8, (2, 16, 16))


@pytest.mark.needs("torch")
def test_a_peer_leaves_the_record_that_bench_speed_leaves(measure):
    record = measure.measure(CONFIG, small_net())
    speed = record["speed"]
    assert speed["train_images_per_second"] > 0 and speed["latency_ms_p50"] > 0
    assert speed["inference_sweep"][0][0] == 1
    assert record["model"]["params"] == 3 * 4 * 9 + 4 + 2 * 4 + 4 * 3 + 3
    assert record["model"]["gflops"] == 2 * 16 * 16 * (3 * 4 * 9 + 4 * 3) / 1e9
    assert record["memory"]["peak_memory_mib"] > 0
    json.dumps(record)


@pytest.mark.needs("torch")
def test_a_peer_that_throws_while_it_is_timed_is_a_record_with_its_reason(measure, capsys):
    net = small_net()
    net.register_forward_hook(lambda *_: 1 / 0)
    found = measure.outcome(CONFIG, lambda: net)
    assert found == {"status": "failed", "reason": "ZeroDivisionError: division by zero"}
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.needs("torch")
def test_without_the_peers_packages_the_record_says_what_to_install(measure, monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    found = measure.outcome(CONFIG)
    assert found["status"] == "failed" and found["reason"].startswith("The peers can't be imported (")
    assert found["reason"].endswith("): pip install -r tests/peers/requirements.txt")


@pytest.mark.parametrize(
    ("program", "status", "reason"),
    [
        ("import sys; sys.exit(7)", "failed", "The process ended with exit code 7 and no record."),
        ("import time; time.sleep(600)", "timed_out", "Stopped after 2 s."),
    ],
)
def test_a_peer_that_dies_is_a_record_and_measured_again(tmp_path, monkeypatch, program, status, reason):
    (tmp_path / "measure.py").write_text(program)
    (tmp_path / "peers").mkdir()
    monkeypatch.setattr(compare, "HERE", tmp_path)
    monkeypatch.setattr(compare.sys, "argv", ["compare.py", str(tmp_path), "--timeout", "2"])
    options = compare._options()
    compare._measure_peer(options, "unet", "eager")
    (file,) = (tmp_path / "peers").glob("*.json")
    record = json.loads(file.read_text())
    assert (record["status"], record["reason"], record["device"]) == (status, reason, None)
    good = f"import sys; open(sys.argv[1], 'w').write('{json.dumps({'config': record['config'], 'status': 'ok'})}')"
    for program in (good, "raise SystemExit"):  # the second finds that all is done
        (tmp_path / "measure.py").write_text(program)
        compare._measure_peer(options, "unet", "eager")
        assert json.loads(file.read_text())["status"] == "ok"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch", "ignore::FutureWarning:torch")  # of its own compiler
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a compiler")
@pytest.mark.needs("torch")
def test_the_compiled_loop_predicts_what_the_plain_one_does(measure):
    import torch

    images = torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8)
    found = []
    for compiled in (False, True):
        loop = measure.Loop(small_net(), device="cpu", precision="float32", compiled=compiled)
        losses = [float(loop.train_step(images, images[..., 0] % 3)) for _ in range(3)]
        found.append((losses, loop.predict(images)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4)
    assert (found[0][1] == found[1][1]).float().mean() > 0.99
