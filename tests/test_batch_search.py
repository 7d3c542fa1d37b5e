"""The search for the largest batch: doubling, bisection, the line through memory use, and terminated processes."""

from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.core.specs import NO_DATASET
from bench.core.trial_config import TrialConfig
from bench.trials import batch_search
from bench.trials.batch_search import DoesNotTrain, Probed, find_batch_size, search

CHILD = Path(__file__).with_name("child_answers.py")


def device(most_mib, base=100.0, per_image=8.0):
    """A probe on a device of that memory, and the sizes that it was asked for."""
    asked = []

    def probe(size):
        asked.append(size)
        peak = base + per_image * size
        if peak > most_mib:
            raise DoesNotTrain("out of memory")
        return Probed(peak, peak + 300.0, "NVML by process")

    return probe, asked


def test_it_doubles_then_bisects_to_within_a_sixteenth():
    probe, asked = device(100 + 8 * 77)  # 77 images fit
    found = search(probe, 1024)
    assert asked == [1, 2, 4, 8, 16, 32, 64, 128, 96, 80, 72, 76]  # 80 - 76 = 4 <= 76 // 16
    assert (found["largest_batch"], found["largest_batch_limit"]) == (76, "out of memory")
    assert found["memory_points"][0] == [1, 108.0] and found["memory_points"][-1] == [76, 708.0]
    assert (found["memory_base_mib"], found["memory_per_image_mib"]) == (100.0, 8.0)


@pytest.mark.parametrize(("fits", "largest"), [(0, 0), (1, 1), (2, 2), (3, 3), (7, 7), (17, 17), (40, 40)])
def test_small_batches_are_found_exactly_or_nearly(fits, largest):
    found = search(device(100 + 8 * fits)[0], 1024)
    assert largest - largest // 16 <= found["largest_batch"] <= largest
    assert found["largest_batch_limit"] == "out of memory"


@pytest.mark.parametrize("limit", [1, 2, 24, 64])
def test_it_gives_up_at_the_limit_and_tries_it(limit):
    probe, asked = device(1e9)
    found = search(probe, limit)
    assert (found["largest_batch"], found["largest_batch_limit"]) == (limit, f"limit {limit}")
    assert asked[-1] == limit and len(asked) == len(set(asked))


def test_one_point_makes_no_line():
    assert "memory_per_image_mib" not in search(device(109)[0], 8)


def test_an_error_ends_the_search_and_what_was_found_stands():
    def probe(size):
        if size == 8:
            raise OSError(28, "No space left on device")
        return Probed(100.0 + 8 * size, 150.0 + 8 * size, "NVML by process")

    assert search(probe, 64) == {
        "search_problem": "OSError: [Errno 28] No space left on device",
        "memory_points": [[1, 108.0], [2, 116.0], [4, 132.0]],
        "memory_base_mib": 100.0,
        "memory_per_image_mib": 8.0,
        "process_points": [[1, 158.0], [2, 166.0], [4, 182.0]],
        "process_points_method": "NVML by process",
    }


def test_points_by_two_methods_are_not_mixed():
    def probe(size):
        if size < 4:
            return Probed(100.0 * size, 900.0, "NVML, the whole GPU")
        return Probed(100.0 * size, 200.0 * size, "NVML by process")

    found = search(probe, 8)
    assert found["process_points"] == [[4, 800.0], [8, 1600.0]] and len(found["memory_points"]) == 4


def test_a_process_whose_memory_is_not_known_gives_no_point_but_the_reason():
    found = search(lambda size: Probed(100.0, None, "not recorded: no pynvml"), 2)
    assert (found["process_points"], found["process_points_method"]) == ([], "not recorded: no pynvml")


def test_a_search_that_can_not_begin_leaves_the_trial_to_measure_the_rest(monkeypatch, tmp_path):
    def probe(config):
        raise BenchError("One image doesn't train: ValueError: a batch norm of one")

    monkeypatch.setattr(batch_search, "try_training", probe)
    asked = []
    found = find_batch_size(TrialConfig("unet", NO_DATASET, find_batch_size=8), asked.append)
    assert found.pop("search_seconds") >= 0 and asked == [1]
    assert found == {"search_problem": "One image doesn't train: ValueError: a batch norm of one", "memory_points": []}


@pytest.fixture
def probe(monkeypatch):
    """A probe of so many images by a child that does something else than training."""

    def run(function, batch_size=2):
        monkeypatch.setattr(batch_search, "TARGET", f"{CHILD}:{function}")
        return batch_search.try_training(TrialConfig("unet", NO_DATASET, backend="jax", batch_size=batch_size))

    return run


def test_a_process_that_takes_the_hosts_memory_is_ended(monkeypatch, probe):
    monkeypatch.setattr(batch_search, "free_memory", lambda: 120 * 2**20)
    with pytest.raises(DoesNotTrain, match=r"^out of memory$"):
        probe("take_memory")


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({"": ("max", 50), "job": (200, 120)}, 90),  # 200 - 120 + 10 of files: the group of a job, not the topmost
        ({"": (100, 50), "job": (200, 30)}, 60),  # the one around it leaves less
        ({"": (100, 150), "job": ("max", 0)}, 0),
        ({"": ("max", 50), "job": ("max", 20)}, None),
    ],
)
def test_the_tightest_control_group_says_how_much_memory_is_free(tmp_path, limits, left):
    for name, (most, used) in limits.items():
        group = tmp_path / "sys/fs/cgroup" / name
        group.mkdir(parents=True, exist_ok=True)
        (group / "cgroup.controllers").write_text("memory")
        (group / "memory.max").write_text(f"{most}\n")
        (group / "memory.current").write_text(f"{used}\n")
        (group / "memory.stat").write_text("anon 5\ninactive_file 10\n")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/job\n")
    free = batch_search.free_memory(tmp_path)
    assert free == left if left is not None else free > 2**20


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_process_that_takes_too_long_is_ended(monkeypatch, probe, batch_size):
    monkeypatch.setattr(batch_search, "PROBE_SECONDS", 0.2)
    with pytest.raises(DoesNotTrain, match=r"^no answer within 0\.2 s$"):
        probe("sleep", batch_size)


def test_the_end_of_a_process_is_reported(probe):
    with pytest.raises(DoesNotTrain, match=r"^exit code 3 "):
        probe("leave")
    with pytest.raises(DoesNotTrain, match=r"^ValueError: boom$"):
        probe("throw")
    with pytest.raises(BenchError, match=r"^One image doesn't train: ValueError: boom$"):
        probe("throw", batch_size=1)
