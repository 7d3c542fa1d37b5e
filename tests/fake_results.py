"""A fake results folder as trials would write it: records, histories, per-image tables, samples.

The metrics of each record are computed from its table, so that they agree.
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from bench.core.specs import Budget, TrialRecord
from bench.core.trial_config import TrialConfig
from bench.evaluation.scores import summary
from bench.profiling.clock.timing_table import LATENCY, TRAIN, TimingLog
from bench.results.store import ResultsFolder
from bench.results.trial_files import HISTORY, IMAGES, LOG, SAMPLES, WORST

CLASSES = ("pet", "background", "border")
DEVICE = "AMD EPYC 9654, 2 cores"
TEST_IMAGES = 12
_COLORS = np.array([[230, 120, 60], [40, 60, 90], [240, 220, 90]], np.uint8)
# architecture: quality (share of pixels that are right), training images/s, MiB, parameters
NETS: dict[tuple[str, str | None], tuple[float, float, float, int]] = {
    ("unet", None): (0.86, 41.0, 1240.0, 31_031_685),
    ("unet", "mobilenet_v2"): (0.90, 96.0, 910.0, 6_504_227),
    ("unet", "resnet50"): (0.91, 38.0, 1730.0, 38_412_355),
    ("deeplab", "mobilenet_v2"): (0.88, 118.0, 870.0, 2_142_019),
    ("deeplab", "resnet50"): (0.92, 47.0, 1580.0, 11_854_787),
}


def fake_config(arch: str = "unet", backbone: str | None = None, seed: int = 0, **changes: Any) -> TrialConfig:
    """A configuration on pets with a budget of 10 epochs."""
    config = TrialConfig(arch=arch, backbone=backbone, dataset="pets", budget=Budget(10, "epochs"), seed=seed)
    return replace(config, **changes)


def fake_table(config: TrialConfig, quality: float, images: int = TEST_IMAGES) -> pd.DataFrame:
    """A per-image table: name, group, and tp_<c>, fp_<c>, fn_<c> in int64."""
    rng = np.random.default_rng([config.seed, int(quality * 1000)])
    pixels = config.image_size[0] * config.image_size[1]
    truth = rng.multinomial(pixels, (0.3, 0.58, 0.12), size=images)
    right = rng.binomial(truth, np.clip(quality + rng.normal(0, 0.02, (images, 1)) - (0, -0.04, 0.25), 0, 1))
    wrong = truth - right
    taken = np.roll(wrong, 1, axis=1)  # what class c loses, class c + 1 gets
    columns = {"name": [f"image_{i}" for i in range(images)], "group": [f"image_{i}" for i in range(images)]}
    for c in range(len(CLASSES)):
        columns |= {f"tp_{c}": right[:, c], f"fp_{c}": taken[:, c], f"fn_{c}": wrong[:, c]}
    columns |= _confusion(right, wrong)
    return pd.DataFrame(columns)


def _confusion(right: np.ndarray, wrong: np.ndarray) -> dict[str, list[np.ndarray]]:
    """The columns of the confusion matrices: what class c loses, class c + 1 gets."""
    names = ("confusion_true", "confusion_predicted", "confusion_pixels")
    columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for hits, misses in zip(right, wrong, strict=True):
        matrix = np.diag(hits)
        matrix[range(len(CLASSES)), np.roll(range(len(CLASSES)), -1)] += misses
        true, predicted = np.nonzero(matrix)
        values = (true.astype(np.uint8), predicted.astype(np.uint8), matrix[true, predicted].astype(np.int64))
        for name, some in zip(names, values, strict=True):
            columns[name].append(some)
    return columns


def table_metrics(table: pd.DataFrame) -> dict[str, Any]:
    """The metrics of a record, from its table."""
    columns = [table[f"{kind}_{c}"] for c in range(len(CLASSES)) for kind in ("tp", "fp", "fn")]
    return summary(np.stack(columns, axis=1).reshape(len(table), len(CLASSES), 3), CLASSES)


def fake_record(config: TrialConfig, **changes: Any) -> tuple[TrialRecord, pd.DataFrame]:
    """An ok record and its table; `changes` replace fields of the record."""
    quality, rate, memory, params = NETS.get((config.arch, config.backbone), (0.8, 60.0, 1000.0, 1_000_000))
    rng = np.random.default_rng([config.seed, params])
    table = fake_table(config, quality)
    metrics = table_metrics(table)
    rate *= rng.normal(1, 0.02)
    seconds = 8000 / rate
    ledger = {"startup": 16.2, "prepare": 0.1, "build": 2.0, "compile": 21.5, "train": seconds}
    ledger |= {"evaluate": 14.0, "profile": 9.0, "other": 0.4}
    record = TrialRecord(
        key=f"{config.arch}-{config.backbone}-{config.seed}-{config.budget}-{config.image_size[0]}",
        device=DEVICE,
        repeat=config.repeat,
        status="ok",
        config=config.to_dict(),
        started="2026-07-01T20:00:00+00:00",
        finished="2026-07-01T20:05:00+00:00",
        wall_seconds=sum(ledger.values()),
        dataset={
            "name": config.dataset,
            "fingerprint": "5f2c9d1ab77e4410",
            "classes": list(CLASSES),
            "images": {"train": 243, "val": 27, "test": TEST_IMAGES},
            "notes": ["3,399 of 3,669 listed files are absent."],
        },
        model={"params": params, "trainable_params": params - 34_112, "size_mib": params * 4 / 2**20},
        ledger=ledger,
        training={
            "steps": 500,
            "images": 8000,
            "epochs": 10.0,
            "train_seconds": seconds,
            "first_loss": 1.21,
            "final_loss": 0.34,
            "validations": 10,
        },
        metrics=metrics,
        validation={k: metrics[k] + 0.005 for k in ("mean_iou", "dice", "f2", "pixel_accuracy")},
        speed={
            "train_images_per_second": rate,
            "train_images_per_second_iqr": 0.03 * rate,
            "first_step_seconds": 21.5,
            "loader_images_per_second": 9100.0,
            "bare_images_per_second": rate / 0.97,
            "harness_efficiency": 0.97,
            "inference_images_per_second": 3.1 * rate,
            "inference_batch_size": 16,
            "latency_ms_p50": 900 / rate,
            "latency_ms_p95": 1050 / rate,
            "latency_ms_p99": 1400 / rate,
        },
        memory={"peak_memory_mib": memory * rng.normal(1, 0.01), "method": "process RSS", "process_peak_mib": memory},
        environment={
            "cpu": "AMD EPYC 9654",
            "cores": 2,
            "memory_gib": 24.0,
            "gpu": None,
            "driver": None,
            "platform": "Linux-6.8-x86_64",
            "python": "3.11.9",
            "commit": "df01bb0",
            "dirty": False,
            "jit_compile": False,
            "tf32": None,
            "versions": {"keras": "3.15.1", "tensorflow": "2.21.0"},
        },
    )
    return replace(record, **changes), table


def failed_record(
    config: TrialConfig, status: str = "failed", reason: str = "ValueError: boom", **changes: Any
) -> TrialRecord:
    """A record of a trial that ended before its metrics."""
    ok, _ = fake_record(config)
    log = ("Traceback (most recent call last):", '  File "unet.py", line 12, in build_unet', reason)
    ended = {"status": status, "reason": reason, "log_tail": log, "wall_seconds": 12.5}
    empty: dict[str, Any] = {name: {} for name in ("model", "training", "metrics", "validation", "speed", "memory")}
    return replace(ok, **{**ended, **empty, **changes})


def fake_history(record: TrialRecord) -> list[dict[str, Any]]:
    """Ten validations on the way to the record's score."""
    rows = []
    rng = np.random.default_rng(record.config["seed"])
    for fraction in np.linspace(0.1, 1, 10):
        score = record.metrics["mean_iou"] * (1 - 0.6 * np.exp(-4 * fraction)) + rng.normal(0, 0.006)
        row = {"fraction": fraction, "train_seconds": fraction * record.training["train_seconds"]}
        row |= {"steps": 500 * fraction, "images": 8000 * fraction, "epochs": 10 * fraction}
        row |= {"loss": 1.2 * np.exp(-2 * fraction), "learning_rate": 1e-3 * (1 - fraction), "val_mean_iou": score}
        row |= {f"val_{k}": score + 0.05 for k in ("dice", "f2", "pixel_accuracy")}
        phase = "all" if fraction > record.config.get("freeze_encoder", 0) + 1e-9 else "frozen"
        rows.append({**{k: float(v) for k, v in row.items()}, "phase": phase})
    return rows


def fake_sample(size: int, seed: int) -> Image.Image:
    """Image, truth and prediction side by side: a blob with a border on a textured ground."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] / size
    center, radius = rng.uniform(0.35, 0.65, 2), rng.uniform(0.2, 0.3)
    panels = []
    for shift in (0.0, 0.0, 0.03):
        away = np.hypot(rows - center[0] - shift, columns - center[1])
        labels = np.where(away < radius, 0, np.where(away < radius * 1.2, 2, 1))
        panels.append(_COLORS[labels])
    noise = rng.normal(0, 14, (size, size, 1)) + 40 * rows[..., None]
    panels[0] = np.clip(panels[0] * 0.7 + 30 + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(np.concatenate(panels, axis=1))


def fake_timings(record: TrialRecord, folder: Path) -> None:
    """Write 100 latency calls with the record's median and 40 blocks of training at its rate."""
    log, rng = TimingLog(), np.random.default_rng([record.config["seed"], 7])
    for seconds in record.speed["latency_ms_p50"] / 1000 * rng.lognormal(0, 0.08, 100):
        log.note(LATENCY, [seconds], 1)
    for seconds in 16 / record.speed["train_images_per_second"] * rng.lognormal(0, 0.03, 40):
        log.note(TRAIN, [seconds], 16)
    log.write(folder)


def write_trial(results: Path, record: TrialRecord, table: pd.DataFrame | None = None, samples: int = 2) -> Path:
    """Write one trial as the runner would; the history and the samples only for an ok record."""
    folder = ResultsFolder(results)
    folder.create()
    identity = re.sub(r"\W+", "_", record.key)[:60] + f"_{record.repeat}"
    running = folder.running_folder(identity)
    running.mkdir(parents=True, exist_ok=True)
    (running / LOG).write_text("\n".join(record.log_tail) + "\n", encoding="utf-8", errors="replace")
    if record.status == "ok" and record.metrics:
        (running / HISTORY).write_text("".join(json.dumps(row) + "\n" for row in fake_history(record)))
        (running / SAMPLES).mkdir(exist_ok=True)
        for number in range(samples):
            fake_sample(96, number).save(running / SAMPLES / f"{number}_image_{number}.png")
        if samples:
            (running / WORST).mkdir(exist_ok=True)
            fake_sample(96, 9).save(running / WORST / "0_0.412_image_9.png")
    if "latency_ms_p50" in record.speed:
        fake_timings(record, running)
    if table is not None:
        table.to_parquet(running / IMAGES, index=False)
    folder.finish(identity, record)
    return folder.folder(identity)


def fake_results(path: Path, *, nets: int = len(NETS), seeds: int = 2, failures: bool = True, samples: int = 2) -> Path:
    """Write `nets` architectures x `seeds` ok trials, and with `failures` one that failed and one that diverged."""
    ResultsFolder(path).create()
    for arch, backbone in list(NETS)[:nets]:
        for seed in range(seeds):
            write_trial(path, *fake_record(fake_config(arch, backbone, seed)), samples=samples)
    if failures:
        oom = fake_config("unet", "resnet50", seed=7, batch_size=64)
        write_trial(path, failed_record(oom, "out_of_memory", "Out of memory: 2.1 GiB asked, 0.4 GiB free."))
        write_trial(
            path, failed_record(fake_config("deeplab", "resnet50", seed=9, lr=1.0), "diverged", "The loss is NaN.")
        )
        write_trial(path, failed_record(fake_config("unet", seed=8)))
    return path
