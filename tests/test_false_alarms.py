"""Joint comparisons drawn from stored trainings and timings: equal code passes, and worse code of each kind doesn't."""

import pytest

from bench.results.gate.limits import read_limits
from tests.false_alarms.__main__ import alarms, strict
from tests.false_alarms.draws import Effect, Stored

COUNT = 6


@pytest.fixture(scope="module")
def stored():
    return Stored()


@pytest.mark.parametrize("limits", [read_limits(), strict(read_limits())], ids=["usual limits", "limits 0"])
def test_equal_code_passes_all_parts_together(stored, limits):
    assert alarms(stored, Effect(), limits, COUNT, seed=1)["joint"] <= 1


@pytest.mark.parametrize(
    ("effect", "worse"), [(Effect(lost=0.15), {"quality"}), (Effect(slower=3.0), {"speed", "benchmarks"})]
)
def test_worse_code_is_found_in_the_parts_that_it_hurts(stored, effect, worse):
    found = alarms(stored, effect, read_limits(), COUNT, seed=1)
    for part in ("quality", "speed", "benchmarks"):
        assert found[part] >= COUNT - 1 if part in worse else found[part] == 0
