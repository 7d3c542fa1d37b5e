"""What a newcomer sees first: licence, citation, README, docs and the map of the code."""

import re
import tomllib
from pathlib import Path

from bench import __version__

ROOT = Path(__file__).parents[1]


def test_the_citation_names_this_version_and_licence():
    fields = dict(re.findall(r"^([a-z-]+): *(.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (fields["version"], fields["license"]) == (__version__, project["license"])
    assert "Apache License" in (ROOT / "LICENSE").read_text()
