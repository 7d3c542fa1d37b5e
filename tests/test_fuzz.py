"""Files and texts changed at random end in BenchError or in an answer. `make fuzz` tries more, with other seeds."""

import sys
import traceback
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).with_name("fuzz")))
from targets import TARGETS, failures

SEED, COUNT = 0, 100
FEW = {"records": 8, "histories": 3, "tables": 5, "columns": 5}  # those that read a whole results folder


@pytest.mark.timeout(300)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_changed_inputs_end_in_one_line(target):
    ended = failures(target, SEED, FEW.get(target.__name__, COUNT))
    found = [f"case {number}: {traceback.format_exception(error)[-1]}" for number, error in ended]
    assert not found, "\n".join(found[:5])
