"""Facts of files that take a while: each is computed once, whatever stops the process on the way."""

import subprocess
import sys
import threading

import pytest

from bench.core.files import VARIABLE
from bench.data.facts import file_facts
from bench.data.facts.fact_log import FactLog, key_of
from bench.data.facts.file_facts import look_up, sampling
from bench.data.facts.long_steps import listening

NAMES = [f"{number:04d}" for number in range(500)]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(file_facts, "usable_cores", lambda: [0])
    return tmp_path / "cache"


class Maker:
    """A function that computes a fact, with the names that it was called with."""

    def __init__(self, stop_at=None):
        self.names, self.stop_at = [], stop_at

    def __call__(self, name):
        if name == self.stop_at:
            raise KeyboardInterrupt
        self.names.append(name)
        return name.encode() * int(name[-1])


def facts(make, names=NAMES, kind="test-1", place="here"):
    return [fact and bytes(fact) for fact in look_up(kind, place, names, names, make, "making facts")]


EXPECTED = [name.encode() * int(name[-1]) for name in NAMES]  # some are empty


def test_a_fact_is_computed_once():
    make = Maker()
    assert facts(make) == EXPECTED
    assert sorted(make.names) == NAMES
    assert facts(make, NAMES[::-1]) == [*map(bytes, EXPECTED[::-1])]
    assert len(make.names) == len(NAMES)


def test_another_kind_and_another_place_have_facts_of_their_own():
    make = Maker()
    facts(make)
    facts(make, kind="test-2")
    facts(make, place="there")
    assert len(make.names) == 3 * len(NAMES)


def test_what_was_made_before_an_interruption_is_kept():
    with pytest.raises(KeyboardInterrupt):
        facts(Maker(stop_at=NAMES[200]))
    make = Maker()
    assert facts(make) == EXPECTED
    assert NAMES[200] in make.names
    assert len(make.names) <= len(NAMES) - 200 + file_facts._AT_ONCE


def test_nothing_is_kept_of_what_can_not_be_read_now():
    assert facts(lambda name: None if name == "0007" else Maker()(name), NAMES[:20]) == [
        None if name == "0007" else fact for name, fact in zip(NAMES[:20], EXPECTED, strict=False)
    ]
    make = Maker()
    assert facts(make, NAMES[:20]) == EXPECTED[:20]
    assert make.names == ["0007"]


KILLED = """
import os, signal, sys
from bench.data.facts.file_facts import look_up
names = sys.argv[1:]
def make(name):
    if name == "0300":
        os.kill(os.getpid(), signal.SIGKILL)
    return name.encode() * int(name[-1])
look_up("test-1", "here", names, names, make, "making facts")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_what_was_made_before_a_kill_is_kept():
    assert subprocess.run([sys.executable, "-c", KILLED, *NAMES]).returncode == -9
    make = Maker()
    assert facts(make) == EXPECTED
    assert "0300" in make.names
    assert len(make.names) < len(NAMES) - 100


def log_of(cache):
    (path,) = (cache / "facts").glob("*.log")
    return path


@pytest.mark.parametrize("lost", [1, 5, 24, 30, 100])
def test_a_torn_end_costs_only_itself(cache, lost):
    facts(Maker())
    whole = log_of(cache).read_bytes()
    log_of(cache).write_bytes(whole[:-lost])
    make = Maker()
    assert facts(make) == EXPECTED
    assert 1 <= len(make.names) <= 1 + lost // 24
    assert log_of(cache).read_bytes() == whole


@pytest.mark.parametrize("damage", [b"\0" * 1000, b"nonsense" * 10])
def test_what_a_power_cut_left_is_no_fact(cache, damage):
    facts(Maker(), NAMES[:100])
    whole = log_of(cache).read_bytes()
    log_of(cache).write_bytes(whole + damage)
    make = Maker()
    assert facts(make) == EXPECTED
    assert make.names == NAMES[100:]
    assert set(FactLog(log_of(cache)).places) == set(map(key_of, NAMES))


def test_a_cache_that_can_not_be_written_is_done_without(cache):
    cache.write_text("a file, not a folder")
    make = Maker()
    assert facts(make) == facts(make) == EXPECTED
    assert len(make.names) == 2 * len(NAMES)


def test_a_disk_that_fills_keeps_what_it_has(monkeypatch):
    append = FactLog.append
    kept = []
    monkeypatch.setattr(FactLog, "append", lambda log, some: len(kept) < 3 and (kept.append(1) or append(log, some)))
    assert facts(Maker()) == EXPECTED
    make = Maker()
    assert facts(make) == EXPECTED
    assert len(make.names) == len(NAMES) - 3 * file_facts._AT_ONCE


def test_of_two_at_once_one_computes_and_the_other_waits(cache, monkeypatch):
    make, found, said = Maker(), [], []

    def ask():
        with listening(lambda what, done, total: said.append(what)):
            found.append(facts(make))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [EXPECTED] * 3
    assert len(make.names) == len(NAMES)


def test_the_progress_counts_up_to_all_that_are_missing():
    facts(Maker(), NAMES[:100])
    calls = []
    with listening(lambda *call: calls.append(call)):
        facts(Maker())
    assert calls[0] == ("making facts", 0, 400)
    assert calls[-1] == ("making facts", 400, 400)
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)


def test_sampling_looks_at_a_few_and_tells_what_is_left():
    make = Maker()
    with sampling() as left:
        found = facts(make)
    assert 0 < len(make.names) <= 150
    assert [fact for fact in found if fact is not None] == [EXPECTED[NAMES.index(name)] for name in sorted(make.names)]
    (pending,) = left
    assert (pending.what, pending.items) == ("making facts", len(NAMES) - len(make.names))
    assert pending.seconds > 0
    facts(make)
    assert sorted(make.names) == NAMES  # what the sample found is kept
    with sampling() as left:
        assert facts(make) == EXPECTED
    assert left == []
