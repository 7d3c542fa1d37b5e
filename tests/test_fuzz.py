"""Files and texts changed at random end in BenchError or in an answer. `make fuzz` tries more, with other seeds."""

import sys
import traceback
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).with_name("fuzz")))
from targets import SLOW, TARGETS, failures

SEED, COUNT = 0, 100
SLOW_COUNT = 3
FEW = {"records": 8, "histories": 3, "tables": 5, "columns": 5}  # those that read a whole results folder


@pytest.mark.timeout(300)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_changed_inputs_end_in_one_line(target):
    check(target, FEW.get(target.__name__, COUNT))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("target", SLOW, ids=lambda target: target.__name__)
def test_commands_and_pages_end_in_one_line(target):
    check(target, SLOW_COUNT)


def check(target, count):
    ended = failures(target, SEED, count)
    found = [f"case {number}: {traceback.format_exception(error)[-1]}" for number, error in ended]
    assert not found, "\n".join(found[:5])
