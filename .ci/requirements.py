"""Print what the tests need with some of the backends, one requirement a line: `requirements.py jax torch`.

`requirements.py docs` prints what the site needs beyond that.

Everything comes from pyproject.toml: the dependencies, the extra `dev` and those of the backends. Without TensorFlow
whatever builds on it is left out as well, the deployment formats among it, since TensorFlow converts to them. With
`--oldest` each line is the oldest version allowed, `name==1.2`, and the formats, which follow TensorFlow's newest
versions, are left out.
"""

import re
import sys
import tomllib
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")
NEED_TENSORFLOW = re.compile("tensorflow|keras-cv|keras-hub")  # how the names of such packages begin
FORMATS = ("onnx", "litert", "openvino")  # extras
OLDEST = "--oldest"


def requirements(project: dict, backends: list[str], *, formats: bool = True) -> list[str]:
    """Return the requirements of a project (pyproject.toml's table) and its tests with these backends only."""
    if unknown := sorted(set(backends) - set(BACKENDS)):
        sys.exit(f"Unknown backend '{unknown[0]}'. Available: {', '.join(BACKENDS)}.")
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"]]
    names = [*backends, *(FORMATS if formats and "tensorflow" in backends else ())]
    wanted += [line for name in names for line in extras.get(name, [])]
    return [line for line in wanted if "tensorflow" in backends or not NEED_TENSORFLOW.match(line)]


if __name__ == "__main__":
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    names, oldest = [name for name in sys.argv[1:] if name != OLDEST], OLDEST in sys.argv
    project = tomllib.loads(text)["project"]
    docs = project["optional-dependencies"]["docs"]
    lines = docs if names == ["docs"] else requirements(project, names, formats=not oldest)
    print("\n".join(line.replace(">=", "==") if oldest else line for line in lines))
