"""Compare segbench's speed with what a user would choose instead: PyTorch loops over segmentation_models.pytorch.

    pip install -r tests/peers/requirements.txt
    python tests/peers/compare.py peers --backend jax,torch --image-size 256 --batch-size 64

Both run on this machine in this command, each in a process of its own, timed by the same functions
(`bench.profiling.clock.timing`): the same encoder (ResNet-50, random weights), batch, size and precision, the batch
resident on the device, without augmentation. PyTorch's loop has channels_last, autocast and fused Adam, and is measured
with and without torch.compile; the faster of the two counts. Existing results are not measured again, but failed ones
are.

Writes DIR/peers/*.json, DIR/ours (a results folder) and DIR/ratios.json, and prints a table. Above a ratio of
1, segbench is faster.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEERS = ("unet", "deeplab")
VARIANTS = ("eager", "compiled")
FINAL = ("ok", "out_of_memory")
FIGURES = {  # of the record's `speed` -> whether more is better
    "train_images_per_second": True,
    "inference_images_per_second": True,
    "latency_ms_p50": False,
}
MUST_AGREE = ("batch_size", "image_size", "precision")
Record = dict[str, Any]


def main() -> None:
    """Measure what is missing; the exit code is 1 if something failed."""
    options = _options()
    (options.folder / "peers").mkdir(parents=True, exist_ok=True)
    for peer in options.peers.split(","):
        for variant in VARIANTS:
            _measure_peer(options, peer, variant)
    ours_failed = _measure_ours(options)
    peers = _read(sorted((options.folder / "peers").glob("*.json")))
    ours = _read(sorted((options.folder / "ours" / "trials").glob("*/record.json")))
    found = ratios(ours, peers)
    (options.folder / "ratios.json").write_text(json.dumps(found, indent=1))
    print(table(found, peers))
    sys.exit(int(ours_failed or any(record["status"] not in FINAL for record in peers)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--backend", default="jax")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--sweep-seconds", type=float, default=120.0, help="As of bench speed; of both sides.")
    parser.add_argument("--timeout", type=float, default=600.0, help="Seconds for one peer.")
    parser.add_argument("--quick", action="store_true", help="Short timings of the peers, to see that they work.")
    return parser.parse_args()


def _measure_peer(options: argparse.Namespace, peer: str, variant: str) -> None:
    config = {
        "peer": peer,
        "variant": variant,
        "batch_size": options.batch_size,
        "image_size": options.image_size,
        "precision": options.precision,
        "sweep_seconds": options.sweep_seconds,
        "quick": options.quick,
    }
    name = f"{peer}_{variant}_{options.image_size}_{options.batch_size}_{options.precision}.json"
    out = options.folder / "peers" / name
    if out.is_file() and _is_final(json.loads(out.read_text()), config):
        return
    out.unlink(missing_ok=True)
    print(f"{peer}, {variant}", flush=True)
    try:
        done = subprocess.run([sys.executable, HERE / "measure.py", out, json.dumps(config)], timeout=options.timeout)
        ending = {"status": "failed", "reason": f"The process ended with exit code {done.returncode} and no record."}
    except subprocess.TimeoutExpired:
        ending = {"status": "timed_out", "reason": f"Stopped after {options.timeout:g} s."}
    if not out.is_file():
        out.write_text(json.dumps({"config": config, "device": None, **ending}))


def _is_final(record: Record, config: Record) -> bool:
    return record["config"] == config and record["status"] in FINAL


def _measure_ours(options: argparse.Namespace) -> bool:
    """Measure segbench's models; return whether a trial failed."""
    arguments = {
        "--config": HERE / "ours.toml",
        "--backend": options.backend,
        "--batch-size": options.batch_size,
        "--image-size": options.image_size,
        "--precision": options.precision,
        "--sweep-seconds": options.sweep_seconds,
        "--results": options.folder / "ours",
    }
    words = [str(word) for pair in arguments.items() for word in pair]
    return bool(
        subprocess.run([sys.executable, "-c", "from bench.cli import main; main()", "speed", *words]).returncode
    )


def _read(files: Iterable[Path]) -> list[Record]:
    return [json.loads(file.read_text()) for file in files]


def ratios(ours: Iterable[Record], peers: Iterable[Record]) -> list[Record]:
    """Return for each of our trials the ratio to the faster variant of its peer, by figure; above 1 we are faster.

    Only records of one device, batch size, image size and precision are compared.
    """
    found = []
    for own in (record for record in ours if record["status"] == "ok"):
        rivals = [peer for peer in peers if _comparable(own, peer)]
        row = {"arch": own["config"]["arch"], "backend": own["config"]["backend"], "device": own["device"]}
        for figure, more in FIGURES.items():
            theirs = {r["config"]["variant"]: r["speed"][figure] for r in rivals}
            if theirs:
                variant = (max if more else min)(theirs, key=theirs.__getitem__)
                mine = own["speed"][figure]
                ratio = mine / theirs[variant] if more else theirs[variant] / mine
                row[figure] = {"ours": mine, "peer": theirs[variant], "variant": variant, "ratio": ratio}
        found.append(row)
    return found


def _comparable(own: Record, peer: Record) -> bool:
    config, other = own["config"], peer["config"]
    mine = {**config, "image_size": config["image_size"][0]}
    same = all(mine[name] == other[name] for name in MUST_AGREE)
    return peer["status"] == "ok" and other["peer"] == config["arch"] and own["device"] == peer["device"] and same


def table(found: Iterable[Record], peers: Iterable[Record]) -> str:
    """Write the ratios as Markdown, and a line for each peer without a figure."""
    lines = [
        "| ours | backend | figure | ours | peer | its variant | ratio |",
        "| --- | --- | --- | --: | --: | --- | --: |",
    ]
    for row in found:
        for figure in (figure for figure in FIGURES if figure in row):
            cell = row[figure]
            lines.append(
                f"| {row['arch']} | {row['backend']} | {figure} | {cell['ours']:.4g} | {cell['peer']:.4g} "
                f"| {cell['variant']} | {cell['ratio']:.2f} |"
            )
    lines += [
        f"\n{peer['config']['peer']}, {peer['config']['variant']}: {peer['status']}, {peer['reason']}"
        for peer in peers
        if peer["status"] != "ok"
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
