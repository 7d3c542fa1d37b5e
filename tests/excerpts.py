"""Excerpts of the real data sets, for checks on machines that have them; their data may not be in the repository."""

from pathlib import Path

import pytest

EXCERPTS = Path(__file__).parents[2] / "shared" / "data"


def needs(name: str) -> pytest.MarkDecorator:
    """Skip a test where the excerpt of a data set is absent."""
    return pytest.mark.skipif(not (EXCERPTS / name).is_dir(), reason=f"no excerpt of {name} in '{EXCERPTS}'")
