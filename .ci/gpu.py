"""What to measure on a GPU, in order of worth: `make gpu`.

    make wheels                        # where there is a network, for a machine that has none
    make gpu                           # with all the time there is
    make gpu LIMIT=9.5 PETS=pets       # stops after 9.5 minutes; the same command goes on; with the pets' folder
    make gpu SMALL=1                   # a rehearsal, tiny, on whatever there is; its figures mean nothing

Each piece writes its records to build/gpu as it goes (a rehearsal to build/gpu-small) and leaves out what is there. A
piece in which something failed is tried again after the others.

Needs Python with JAX and PyTorch: where segbench isn't installed, the wheels of build/wheels are unpacked beside the
results, without a network.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DONE = "pieces.json"  # what has come to its end, with its seconds and exit code
GRACE_SECONDS = 30.0  # for a piece to record what it was at when time is over
SWEEP_SECONDS = "15"  # of compiling for larger and larger batches, which would take most of the time on JAX
INTERRUPTED = 130  # as `bench` ends then
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BENCH = ("-c", "from bench.cli import main; main()")


@dataclass(frozen=True)
class Scale:
    """How large the pieces are."""

    arch: str = "all"
    image_size: int = 256
    batch_size: int = 64
    large_size: int = 512
    large_batch_size: int = 16
    epochs: int = 40
    sweep_seconds: str = SWEEP_SECONDS
    options: tuple[str, ...] = ()


SMALL = Scale("unet", 32, 2, 64, 1, 1, "1", ("--param", "filters=[4,8]"))


@dataclass(frozen=True)
class Piece:
    """A part of the grid: arguments of Python, run in the folder of the results."""

    name: str
    arguments: tuple[str, ...]


def main() -> None:
    """Run what is not done; exit code 0 when all went well, 1 when something failed or time was over before.

    130 after Ctrl-C, SIGTERM or the loss of the terminal: the piece that ran is ended with it.
    """
    for number in SIGNALS[1:]:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores the terminal's loss
            signal.signal(number, signal.default_int_handler)
    try:
        _run_pieces(_options())
    except KeyboardInterrupt:
        print("Interrupted. The same command goes on with what is missing.", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _run_pieces(options: argparse.Namespace) -> None:
    deadline = time.monotonic() + 60 * options.limit - GRACE_SECONDS if options.limit else None
    folder = ROOT / "build" / ("gpu-small" if options.small else "gpu")
    folder.mkdir(parents=True, exist_ok=True)
    environment = _environment(options.wheels.resolve(), folder)
    if options.small:
        environment.setdefault("OMP_NUM_THREADS", "1")  # on a busy CPU PyTorch's threads wait for each other
    grid = pieces(SMALL if options.small else Scale(), options.pets and options.pets.resolve(), quick=options.small)
    for piece in open_pieces(grid, _done(folder)):
        print(f"== {piece.name}", flush=True)
        clock = time.monotonic()
        code = run(piece, folder, environment, deadline and max(0.0, deadline - clock))
        if code is None:
            sys.exit(f"Time is over at {piece.name}. The same command goes on there.")
        seconds = round(time.monotonic() - clock, 1)
        print(f"== {piece.name}: {seconds:.0f} s, exit code {code}", flush=True)
        ended = {"arguments": list(piece.arguments), "seconds": seconds, "exit_code": code}
        _note(folder, {**_done(folder), piece.name: ended})
    for results in filter(Path.is_dir, (folder / "speed", folder / "train", folder / "peers" / "ours")):
        print(f"bench report {results.relative_to(ROOT)}")
    sys.exit(int(any(ended["exit_code"] for ended in _done(folder).values())))


def open_pieces(grid: Sequence[Piece], done: Mapping[str, Any]) -> list[Piece]:
    """The pieces that have not come to a good end, those in which something failed last."""
    ended = {name: (tuple(of["arguments"]), of["exit_code"]) for name, of in done.items()}
    left = [piece for piece in grid if ended.get(piece.name) != (piece.arguments, 0)]
    return sorted(left, key=lambda piece: ended.get(piece.name, ((), 0))[0] == piece.arguments)


def pieces(scale: Scale, pets: Path | None, quick: bool = False) -> list[Piece]:
    """The stored grid, the most worth first.

    Args:
        pets: the folder of `pets`; without it nothing is trained.
        quick: whether the peers' timings are short.
    """
    peers = (str(ROOT / "tests" / "peers" / "compare.py"), "peers", "--image-size", str(scale.image_size))
    peers += ("--batch-size", str(scale.batch_size), "--sweep-seconds", scale.sweep_seconds)
    peers += ("--quick",) if quick else ()
    found = [
        Piece("speed-jax-bfloat16", _speed(scale, "jax", "mixed_bfloat16", scale.image_size, scale.batch_size)),
        Piece("peers", (*peers, "--backend", "jax")),
        Piece("train-pets", _train(scale, pets)) if pets else None,
        Piece("speed-jax-float32", _speed(scale, "jax", "float32", scale.image_size, scale.batch_size)),
        Piece("speed-torch-bfloat16", _speed(scale, "torch", "mixed_bfloat16", scale.image_size, scale.batch_size)),
        Piece("peers-torch", (*peers, "--backend", "torch")),
        Piece("speed-jax-large", _speed(scale, "jax", "mixed_bfloat16", scale.large_size, scale.large_batch_size)),
    ]
    return [piece for piece in found if piece]


def _speed(scale: Scale, backend: str, precision: str, size: int, batch: int) -> tuple[str, ...]:
    words = ("speed", "--arch", scale.arch, "--backend", backend, "--precision", precision, "--image-size", str(size))
    words += ("--batch-size", str(batch), "--sweep-seconds", scale.sweep_seconds)
    return (*BENCH, *words, *scale.options, "--results", "speed")


def _train(scale: Scale, pets: Path) -> tuple[str, ...]:
    words = ("run", "--arch", scale.arch, "--dataset", "pets", "--data-dir", str(pets), "--backend", "jax")
    words += ("--precision", "mixed_bfloat16", "--image-size", str(scale.image_size), "--keep-weights", "none")
    return (*BENCH, *words, "--budget", f"{scale.epochs}epochs", *scale.options, "--results", "train")


def run(piece: Piece, folder: Path, environment: dict[str, str], seconds: float | None) -> int | None:
    """The piece's exit code; None when it was interrupted because the seconds were over."""
    # In the results' folder: from a checkout's root, -m would find its `bench`, which lacks bench.architectures.
    words = [sys.executable, *piece.arguments]
    # A signal waits until the process is known. A new process has the default in place of such a function, and in place
    # of a background job's deafness to SIGINT too.
    heard: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _: heard.append(number)) for number in SIGNALS}
    process = subprocess.Popen(words, cwd=folder, env=environment, start_new_session=True)
    try:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if heard:
            raise KeyboardInterrupt
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        _stop(process)
        return None
    except KeyboardInterrupt:
        _stop(process)
        raise


def _stop(process: subprocess.Popen) -> None:
    """As Ctrl-C does in a terminal: to the piece and all that it has started in its session."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(GRACE_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):  # too slow, for the piece or for who asked again
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment(wheels: Path, folder: Path) -> dict[str, str]:
    """With segbench on its path: the installed one, or else that of the wheels, unpacked once."""
    environment = {**os.environ, "SEGBENCH_CACHE": os.environ.get("SEGBENCH_CACHE", str(folder / "cache"))}
    if importlib.util.find_spec("bench") and importlib.util.find_spec("bench.architectures"):
        return environment
    files = sorted(wheels.glob("*.whl"))
    if not files:
        sys.exit(
            f"segbench is not installed and there are no wheels in '{wheels}'. Run `make wheels` (CONTRIBUTING.md), "
            "or where there is a network `make backends`."
        )
    site = folder / "site"
    note, unpacked = site / "wheels.txt", "\n".join(f"{file.name} {_hash(file)}" for file in files)
    if not note.is_file() or note.read_text() != unpacked:
        shutil.rmtree(site, ignore_errors=True)
        pip = ("-m", "pip", "-q", "install", "--no-index", "--no-deps", "--no-compile", "--target", site)
        subprocess.run([sys.executable, *pip, *files], check=True)
        note.write_text(unpacked)
    if (commit := wheels / "commit.txt").is_file():
        environment["SEGBENCH_COMMIT"] = commit.read_text()
    paths = [str(site), os.environ.get("PYTHONPATH", "")]
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _note(folder: Path, done: Mapping[str, Any]) -> None:
    part = folder / f"{DONE}.part"
    part.write_text(json.dumps(done, indent=1))
    part.replace(folder / DONE)  # whole, or as it was


def _done(folder: Path) -> dict[str, Any]:
    file = folder / DONE
    return json.loads(file.read_text()) if file.is_file() else {}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, default=ROOT / "build" / "wheels")
    parser.add_argument("--pets", type=Path, help="The pets' folder, with images/ and annotations/.")
    parser.add_argument("--limit", type=float, help="Minutes, after which the same command goes on another time.")
    parser.add_argument("--small", action="store_true", help="A rehearsal at tiny sizes.")
    return parser.parse_args()


if __name__ == "__main__":
    main()
