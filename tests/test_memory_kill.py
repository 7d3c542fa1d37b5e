"""What counts as the end of memory: kernel's counts with the trial's own memory, and the backends' own exceptions."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from fake_host import GIB, memory_files, write_files

from bench.core.errors import BenchError, Diverged, reason_of, status_of
from bench.core.specs import NO_DATASET
from bench.core.trial_config import TrialConfig
from bench.profiling.host import memory_kill
from bench.profiling.host.cgroups import groups
from bench.profiling.host.memory_kill import MemoryKill
from bench.trials import batch_search

UNLIMITED = {1: 9223372036854771712, 2: "max"}


@pytest.fixture
def verdict(tmp_path, monkeypatch):
    """What is said of a killed process that held so many GiB at last, while the counts of kills changed."""

    def judge(version, held, *, before, after):
        write_files(tmp_path, memory_files(version, **before))
        watch = MemoryKill(tmp_path)
        sizes = iter([*held, 0])
        monkeypatch.setattr(memory_kill, "resident", lambda pid: int(next(sizes) * GIB))
        for _ in (*held, 0):
            watch.sample(1)
        write_files(tmp_path, memory_files(version, **after))
        return watch.evidence()

    return judge


@pytest.mark.parametrize("version", [1, 2])
def test_only_a_kill_within_the_group_of_a_process_near_its_limit_is_the_end_of_memory(verdict, version):
    def killed(*held, by):
        before, after = {"kills": 2, "limit": 4 * GIB}, {"kills": 2 + by, "limit": 4 * GIB}
        return verdict(version, held, before=before, after=after)

    assert killed(1.0, 3.0, by=1) == "it held 3.00 of 4.00 GiB"
    assert not killed(1.0, 3.0, by=0)  # somebody's kill -9
    assert not killed(0.1, 0.2, by=1)  # the kernel killed another one
    assert not killed(3.0, 0.2, 0.2, 0.2, by=1)  # it had given its memory back by then
    assert killed(3.0, 0.5, by=1)  # the kernel had begun to take its memory
    assert not killed(by=1)  # never sampled


@pytest.mark.parametrize("version", [1, 2])
def test_a_kill_elsewhere_on_the_machine_counts_only_for_a_process_of_half_the_machine(verdict, version):
    def killed(held):
        before = {"kills": 0, "limit": UNLIMITED[version], "machine_kills": 7}
        return verdict(version, [held], before=before, after={**before, "machine_kills": 8})

    assert killed(9.0) == "it held 9.00 of 16.00 GiB"
    assert not killed(7.0)


@pytest.mark.parametrize("version", [1, 2])
def test_a_limit_above_the_machine_s_memory_is_that_of_the_machine(verdict, version):
    before = {"kills": 0, "limit": 64 * GIB}
    assert verdict(version, [9.0], before=before, after={**before, "kills": 1}) == "it held 9.00 of 16.00 GiB"


def test_a_host_without_any_of_these_files_gives_no_evidence(tmp_path):
    watch = MemoryKill(tmp_path)
    watch.sample(1)
    assert watch.evidence() == ""


def test_the_groups_around_the_own_one_are_found_as_far_as_they_can_be_seen(tmp_path):
    top = tmp_path / "sys/fs/cgroup"
    write_files(tmp_path, {"sys/fs/cgroup/cgroup.controllers": "", "proc/self/cgroup": "0::/a/b"})
    (top / "a/b").mkdir(parents=True)
    assert groups("memory", tmp_path) == [top / "a/b", top / "a", top]
    write_files(tmp_path, {"proc/self/cgroup": "0::/hidden/in/a/container"})
    assert groups("memory", tmp_path) == [top]
    write_files(tmp_path, {"proc/self/cgroup": "0::/../../outside"})
    assert groups("memory", tmp_path) == [top]


def error(module, name, words, base=RuntimeError):
    return type(name, (base,), {"__module__": module})(words)


FULL = "RESOURCE_EXHAUSTED: Out of memory allocating 70368744177664 bytes."


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (MemoryError("std::bad_alloc"), "out_of_memory"),
        (error("numpy._core._exceptions", "_ArrayMemoryError", "8 TiB", MemoryError), "out_of_memory"),
        (error("torch", "OutOfMemoryError", "CUDA out of memory."), "out_of_memory"),
        (error("tensorflow.python.framework.errors_impl", "ResourceExhaustedError", "OOM"), "out_of_memory"),
        (error("jax.errors", "JaxRuntimeError", FULL), "out_of_memory"),
        (error("jaxlib.xla_extension", "XlaRuntimeError", FULL), "out_of_memory"),
        (error("jax.errors", "JaxRuntimeError", "INTERNAL: after " + FULL), "failed"),
        (error("my_net", "OutOfMemoryError", "CUDA out of memory."), "failed"),
        (error("my_net", "JaxRuntimeError", FULL), "failed"),
        (RuntimeError(FULL), "failed"),
        (RuntimeError("CUDA out of memory. Tried to allocate 80.00 GiB."), "failed"),
        (ValueError("no room: out of memory"), "failed"),
        (Diverged("The loss became nan at step 1."), "diverged"),
        (error("my_net", "Diverged", "two branches"), "failed"),
    ],
)
def test_a_text_about_memory_is_no_proof_and_a_backend_s_own_exception_is(raised, status):
    assert status_of(raised) == status


def test_an_error_that_keras_raises_again_is_what_it_was():
    keras = "Exception encountered when calling Conv2D.call().\n\n\x1b[1m{}\x1b[0m\n\nArguments: ..."

    def status(first):
        try:
            try:
                raise first
            except RuntimeError as caught:
                raise type(first)(keras.format(caught)) from None
        except RuntimeError as second:
            assert reason_of(second).endswith(f"Conv2D.call(): {first}")
            return status_of(second)

    assert status(error("jax.errors", "JaxRuntimeError", FULL)) == "out_of_memory"
    assert status(error("jax.errors", "JaxRuntimeError", "INTERNAL: no kernel")) == "failed"
    assert status(RuntimeError(FULL)) == "failed"


@pytest.mark.needs("jax")
def test_jax_s_own_error_of_a_full_device_is_known():
    import jax
    import jax.numpy as jnp

    with pytest.raises(jax.errors.JaxRuntimeError) as caught:
        jnp.zeros(1 << 44).block_until_ready()
    assert status_of(caught.value) == "out_of_memory"


def test_a_probe_that_somebody_kills_says_nothing_about_the_largest_batch(monkeypatch):
    monkeypatch.setattr(batch_search, "TARGET", f"{Path(__file__).with_name('child_answers.py')}:be_killed")
    config = TrialConfig("unet", NO_DATASET, backend="jax", batch_size=2)
    with pytest.raises(BenchError, match=r"^The process that tried a batch of 2 was killed by SIGKILL"):
        batch_search.try_training(config)
    monkeypatch.setattr(MemoryKill, "evidence", lambda self: "it held 3 of 4 GiB")
    with pytest.raises(batch_search.DoesNotTrain, match=r"^out of memory$"):
        batch_search.try_training(config)


GROUPS = {1: Path("/sys/fs/cgroup/memory"), 2: Path("/sys/fs/cgroup")}
LIMITS = {1: "memory.limit_in_bytes", 2: "memory.max"}
PROCESS = '''
import os, sys, signal, time
from pathlib import Path
from bench.trials import local_process
from bench.trials.local_process import LocalExecutor

group, folder, megabytes, end = sys.argv[1:]
(Path(group) / "cgroup.procs").write_text(str(os.getpid()))
work = f"""
import time
held = []
for _ in range({megabytes} // 4):
    held.append(b"x" * 2**22)
    time.sleep(0.01)
time.sleep(60)
"""
local_process.command = lambda *words: [sys.executable, "-c", work]
trial = LocalExecutor().start(Path(folder), "jax")
while not trial.wait(0.3):
    if end == "somebody":
        os.kill(trial._process.pid, signal.SIGKILL)
print(*trial.reason(), sep=": ")
'''


@pytest.fixture
def limited_group():
    """A control group of 128 MiB, where the machine lets this user make one."""
    version = next((v for v, top in GROUPS.items() if (top / LIMITS[v]).exists() or v == 2), 2)
    folder = GROUPS[version] / f"segbench-test-{id(object())}"
    try:
        folder.mkdir()
        (folder / LIMITS[version]).write_text(str(128 * 2**20))
    except OSError:
        with suppress(OSError):
            folder.rmdir()
        pytest.skip("no control group with a limit of memory can be made here")
    yield folder
    folder.rmdir()


@pytest.mark.parametrize(
    ("megabytes", "end", "said"),
    [
        (400, "kernel", "out_of_memory: The system killed the process because memory ran out: it held 0."),
        (80, "somebody", "failed: The process was killed by SIGKILL."),
    ],
)
def test_a_real_kill_for_memory_is_told_from_somebody_s(limited_group, tmp_path, megabytes, end, said):
    words = [sys.executable, "-c", PROCESS, str(limited_group), str(tmp_path), str(megabytes), end]
    run = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=120)
    assert run.stdout.startswith(said), run.stdout + run.stderr


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("x = 1\ninput_shap", "my_net.py, line 2: NameError: name 'input_shap' is not defined"),
        ("def f(n):\n    return g(n)\n\ndef g(n):\n    return int(n)\n\nf('a b')", "my_net.py, line 5: ValueError: "),
        ("import json\n\njson.loads('{')", "my_net.py, line 3: JSONDecodeError: "),
        ("from bench.core.errors import BenchError\nraise BenchError('For users.')", "For users."),
    ],
)
def test_an_error_in_the_users_code_names_the_file_and_the_line(code, reason):
    own = "/home/me/my_net.py"
    with pytest.raises((NameError, ValueError, BenchError)) as caught:
        exec(compile(code, own, "exec"), {})
    assert reason_of(caught.value, [own]).startswith(reason)
    assert "my_net.py" not in reason_of(caught.value, ["/home/me/other.py"])
