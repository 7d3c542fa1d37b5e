"""Print what the tests need with some of the backends, one requirement a line: `requirements.py jax torch`.

Everything comes from pyproject.toml: the dependencies, the extra `dev` and those of the backends. Without TensorFlow
whatever builds on it is left out as well. With `--oldest` each line is the oldest version allowed, `name==1.2`.
"""

import re
import sys
import tomllib
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")
NEED_TENSORFLOW = re.compile("tensorflow|keras-cv|keras-hub")  # how the names of such packages begin
OLDEST = "--oldest"


def requirements(project: dict, backends: list[str]) -> list[str]:
    """Return the requirements of a project (pyproject.toml's table) and its tests with these backends only."""
    if unknown := sorted(set(backends) - set(BACKENDS)):
        sys.exit(f"Unknown backend '{unknown[0]}'. Available: {', '.join(BACKENDS)}.")
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"]]
    wanted += [line for name in backends for line in extras.get(name, [])]
    return [line for line in wanted if "tensorflow" in backends or not NEED_TENSORFLOW.match(line)]


if __name__ == "__main__":
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    lines = requirements(tomllib.loads(text)["project"], [name for name in sys.argv[1:] if name != OLDEST])
    print("\n".join(line.replace(">=", "==") if OLDEST in sys.argv else line for line in lines))
