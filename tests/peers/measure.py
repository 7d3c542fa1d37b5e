"""The process of one peer: measures a model of segmentation_models.pytorch by the functions that `bench speed` uses.

    python tests/peers/measure.py OUT.json '{"peer": "unet", "variant": "compiled", ...}'

The file is a record as `bench speed` leaves it: `config`, `status`, `model`, `speed`, `memory`, `environment`.
"""

import json
import sys
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loop import Loop
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.core.errors import BenchError, reason_of, status_of
from bench.core.files import write_atomically
from bench.profiling.clock.timing import Effort, inference_sweep, latency, rate, rate_summary, seconds_of, steady
from bench.profiling.environment import actual_device, environment
from bench.profiling.memory import MemoryMeter
from bench.training.engines import create_runtime

RUNTIME = create_runtime("torch")
BUILDERS = {"unet": "Unet", "deeplab": "DeepLabV3Plus"}  # of segmentation_models_pytorch
REQUIREMENTS = "tests/peers/requirements.txt"
PACKAGES = ("segmentation-models-pytorch", "timm", "torchvision")
NUM_CLASSES = 3
QUICK = Effort(
    warm_up_steps=1, warm_up_seconds=0.1, steps=4, seconds=1.0, least_blocks=2, block_seconds=0.1, sweep_seconds=1.0
)  # shows that it works; its figures mean nothing


def main() -> None:
    """Measure, and write a record whatever happens."""
    out, config = Path(sys.argv[1]), json.loads(sys.argv[2])
    record = {"config": config, "device": actual_device(RUNTIME), **outcome(config)}
    with write_atomically(out) as file:
        file.write_text(json.dumps(record, indent=1))


def outcome(config: dict[str, Any], build: Callable[[], nn.Module] | None = None) -> dict[str, Any]:
    """Return the parts of the record; a failure is a status with its reason.

    Args:
        build: instead of the peer's own.
    """
    try:
        return {"status": "ok", **measure(config, build() if build else _build(config["peer"]))}
    except Exception as error:  # noqa: BLE001 - whatever PyTorch throws is why there is no figure
        traceback.print_exc()
        return {"status": status_of(error), "reason": reason_of(error)}


def measure(config: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    """Measure speed as `SpeedSession` does for our models: the same pixels, the same warm-up, the same blocks."""
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # "float32" as ours is
    facts = {"params": sum(p.numel() for p in model.parameters()), "gflops": _gflops(model, config["image_size"])}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loop = Loop(model, device=device, precision=config["precision"], compiled=config["variant"] == "compiled")
    effort = QUICK if config["quick"] else Effort(sweep_seconds=config["sweep_seconds"])
    memory = MemoryMeter(RUNTIME.memory_gauge())
    with memory.phase("train"):
        speed = _training(loop, config, effort)
    with memory.phase("inference"):
        speed |= _inference(loop, config, effort)
    return {
        "model": facts,
        "speed": speed,
        "memory": memory.summary(),
        "environment": {**environment(RUNTIME), "peer": _versions()},
    }


def _training(loop: Loop, config: dict[str, Any], effort: Effort) -> dict[str, Any]:
    batch = _batch(loop, config["batch_size"], config["image_size"])

    def steps(count: int) -> None:
        for _ in range(count):
            loop.train_step(*batch)
        loop.wait()

    first = seconds_of(lambda: steps(1))
    rates = steady(steps, effort, gpu=loop.device.type == "cuda").rates(config["batch_size"])
    median, iqr = rate_summary([rates[0], *rates])  # no block of these warms up
    return {
        "first_step_seconds": round(first, 3),
        "train_images_per_second": median,
        "train_images_per_second_iqr": iqr,
        "train_blocks": len(rates),
    }


def _inference(loop: Loop, config: dict[str, Any], effort: Effort) -> dict[str, Any]:
    def prediction(size: int) -> Callable[[], None]:
        images, _ = _batch(loop, size, config["image_size"])

        def call() -> None:
            loop.predict(images)
            loop.wait()

        return call

    size = config["batch_size"]
    # Throughput first: after another batch size torch.compile would no longer take the size as fixed.
    found = {"inference_images_per_second": rate(prediction(size), size), **latency(prediction(1))}
    points, end = inference_sweep(prediction, effort)
    sweep = [[size, round(rate, 3)] for size, rate in points]
    return {**found, "inference_batch_size": size, "inference_sweep": sweep, "sweep_end": end}


def _build(peer: str) -> nn.Module:
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise BenchError(f"The peers can't be imported ({error}): pip install -r {REQUIREMENTS}") from error
    return getattr(smp, BUILDERS[peer])("resnet50", encoder_weights=None, classes=NUM_CLASSES)


def _batch(loop: Loop, size: int, side: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (size, side, side, 3), np.uint8)
    labels = rng.integers(0, NUM_CLASSES, (size, side, side), np.uint8)
    return torch.from_numpy(images).to(loop.device), torch.from_numpy(labels).to(loop.device)


def _gflops(model: nn.Module, side: int) -> float:
    """Count the operations of a forward pass of one image: 2 x MAC."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, 3, side, side))
    return counter.get_total_flops() / 1e9


def _versions() -> dict[str, str]:
    """Return the versions of the peer's own packages that are installed."""
    installed = {found.name.lower().replace("_", "-"): found.version for found in metadata.distributions()}
    return {name: installed[name] for name in PACKAGES if name in installed}


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
