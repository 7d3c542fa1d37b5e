"""Collects wheels for a machine that has Python, JAX and PyTorch, but neither TensorFlow nor a network.

    python -m pip freeze > have.txt                       # there, if the machine can be asked
    make wheels WHEELS_FOR=3.12 HAVE=have.txt             # here: segbench's own wheel and what is missing there
    make gpu                                              # there, with the folder build/wheels

JAX and PyTorch are never collected: they are built for the machine's GPU and driver.
"""

import argparse
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "tests" / "peers" / "requirements.txt"
OF_THE_MACHINE = {"jax", "jaxlib", "torch", "torchvision"}
NOT_THERE = {"tensorflow", "tensorflow-datasets", "tensorflow-text"}  # segbench does without, on JAX and PyTorch
GLIBC = (17, 24, 26, 27, 28, 31, 34)  # newest minor versions of glibc 2 that the wheels may want


def main() -> None:
    """Fill the folder anew; exit code 1 with pip's own words where a wheel can't be had."""
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    for old in options.folder.glob("*.whl"):
        old.unlink()
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)  # of an earlier build, with modules that are gone
    _pip("wheel", "--no-deps", "-w", options.folder, ROOT)
    _note_commit(options.folder)
    target = _target(options)
    wanted, alone = _requirements()
    _pip("download", "--no-deps", *target, *map(str, alone))
    needs = [need for wheel in options.folder.glob("*.whl") for need in _needs(wheel) if need.name != "segbench"]
    names = {canonicalize_name(requirement.name) for requirement in alone}
    wanted += [need for need in needs if canonicalize_name(need.name) not in OF_THE_MACHINE | NOT_THERE | names]
    _pip("download", *target, *dict.fromkeys(map(str, wanted)))
    _leave_out(options.folder, _freeze(options.have) if options.have else {}, wanted)
    wheels = sorted(options.folder.glob("*.whl"))
    size = sum(wheel.stat().st_size for wheel in wheels) / 2**20
    print(
        f"{len(wheels)} wheels, {size:.0f} MiB, in {options.folder}: {', '.join(w.name.split('-')[0] for w in wheels)}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.12", help="The machine's Python.")
    parser.add_argument("--machine", default="x86_64", help="Its processor, as `uname -m` says it.")
    parser.add_argument("--have", type=Path, help="What is there: the output of `pip freeze`. Default: JAX, PyTorch.")
    return parser.parse_args()


def _target(options: argparse.Namespace) -> list[str]:
    """pip's options for the machine."""
    tags = [f"manylinux_2_{minor}_{options.machine}" for minor in GLIBC] + [f"manylinux2014_{options.machine}"]
    platforms = [word for tag in tags for word in ("--platform", tag)]
    return [
        *("--only-binary=:all:", "--python-version", options.python, "--implementation", "cp", *platforms),
        *("-d", str(options.folder), "-c", str(ROOT / "constraints.txt")),
    ]


def _requirements() -> tuple[list[Requirement], list[Requirement]]:
    """What segbench needs beside the backends, and the packages that would draw TensorFlow or PyTorch in."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needs = [Requirement(line) for line in (*project["dependencies"], *extras["gpu"])]
    lines = [line.partition("#")[0].strip() for line in PEERS.read_text().splitlines()]
    alone = [Requirement(line) for line in (*extras["keras-hub"], *filter(None, lines))]
    return [need for need in needs if need.name not in NOT_THERE], [
        need for need in alone if need.name not in OF_THE_MACHINE
    ]


def _note_commit(folder: Path) -> None:
    """What segbench's wheel was made of, for its records; nothing where this is no checkout."""
    words = ["git", "-C", ROOT, "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    done = subprocess.run(words, capture_output=True, text=True)
    (folder / "commit.txt").write_text(done.stdout.strip())


def _needs(wheel: Path) -> list[Requirement]:
    """What a wheel requires, without its extras."""
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []
    needs = map(Requirement, lines)
    return [need for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]


def _freeze(file: Path) -> dict[str, str]:
    """Name -> version of `pip freeze`'s lines; those of files and addresses are left out."""
    pairs = (line.split("==") for line in file.read_text().splitlines() if "==" in line)
    return {canonicalize_name(name): version.strip() for name, version in pairs}


def _leave_out(folder: Path, have: dict[str, str], wanted: Iterable[Requirement]) -> None:
    """Remove the wheels of what is there already, unless it is too old for us."""
    for wheel in folder.glob("*.whl"):
        name = parse_wheel_filename(wheel.name)[0]
        bounds = [need.specifier for need in wanted if canonicalize_name(need.name) == name]
        if name in OF_THE_MACHINE or (name in have and all(b.contains(have[name], prereleases=True) for b in bounds)):
            wheel.unlink()


def _pip(*arguments: object) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *map(str, arguments)])
    if done.returncode:
        sys.exit(1)


if __name__ == "__main__":
    main()
