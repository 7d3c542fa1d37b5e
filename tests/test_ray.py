"""Trials on the nodes of a Ray cluster: two nodes on this machine, and what is lost when one of them goes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import psutil
import pytest
from faults.harness import STUB, make_results

from bench.results.loading import load

pytestmark = [pytest.mark.needs("ray"), pytest.mark.slow]
HERE = Path(__file__).parent
GRID = ["--arch", "unet", "--param", "filters=[4,8]", "--dataset", "shapes", "--image-size", "32", "--budget", "3steps",
        "--backend", "jax", "--keep-weights", "all"]  # fmt: skip


@pytest.fixture(scope="module")
def cluster():
    """A head that runs no trials; tests add their nodes."""
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield found
    found.shutdown()


class Place:
    """A folder with the nodes that use it, and with the runs that it has seen."""

    def __init__(self, folder, cluster):
        self.folder, self.cluster, self.nodes = folder, cluster, []
        self.log, self.results = folder / "starts", folder / "results"
        self.cache = folder / "cache"
        make_results(folder / "made", 6)

    def environment(self, seconds):
        return {"STUB": STUB, "STUB_LOG": str(self.log), "STUB_MADE": str(self.folder / "made"),
                "STUB_SECONDS": str(seconds), "SEGBENCH_CACHE": str(self.cache),
                "PYTHONPATH": os.pathsep.join([str(HERE / "ray_worker"), str(HERE.parent)])}  # fmt: skip

    def add_node(self, seconds=0.3, gpus=0, **faults):
        """A node of one CPU for each GPU, whose workers run stubs."""
        variables = {**self.environment(seconds), **faults}
        self.nodes.append(self.cluster.add_node(num_cpus=max(1, gpus), num_gpus=gpus, env_vars=variables))
        return self.nodes[-1]

    def run(self, *options, seeds=4, results=None, **variables):
        """`bench run` on the grid, in a process of its own."""
        command = [sys.executable, "-m", "bench", "run", *GRID, "--seeds", str(seeds)]
        command += ["--results", str(results or self.results), *options]
        return subprocess.Popen(
            command, env={**os.environ, **self.environment(0.3), **variables}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, cwd=self.folder, start_new_session=True,
        )  # fmt: skip

    def run_ray(self, *options, **more):
        return self.run("--executor", "ray", "--ray-address", self.cluster.address, *options, **more)

    def done(self, results=None):
        """The records that are ok, as texts, by identity."""
        if not (results or self.results).exists():
            return {}
        return {t.folder.name: (t.folder / "record.json").read_text() for t in load([results or self.results]).trials
                if t.record.status == "ok"}  # fmt: skip

    def starts(self):
        return Counter(self.log.read_text().split()) if self.log.exists() else Counter()

    def wait_for(self, what, seconds=120.0):
        end = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < end, "It did not happen."
            time.sleep(0.05)
        return found

    def trial_processes(self):
        """The running stubs of this place's nodes, by id, with the Ray worker that started each."""
        found = {}
        for process in psutil.process_iter(["cmdline", "ppid", "environ"]):
            own = (process.info["environ"] or {}).get("STUB_LOG") == str(self.log)
            if own and STUB in (process.info["cmdline"] or []):
                found[process.pid] = process.info["ppid"]
        return found


@pytest.fixture
def place(tmp_path, cluster):
    found = Place(tmp_path, cluster)
    yield found
    for node in found.nodes:
        leave(node)


def raylet(node):
    """Ray's own process on a node."""
    ((info,),) = node.all_processes.values()
    return info.process


def leave(node):
    """Let a node sign off from its cluster, which otherwise takes it for alive for some seconds."""
    if raylet(node).poll() is None:
        raylet(node).terminate()
        try:
            raylet(node).wait(5)
        except subprocess.TimeoutExpired:
            kill_node(node)


def kill_node(node):
    """kill -9 of a node: Ray's process there and all workers."""
    for process in [*psutil.Process(raylet(node).pid).children(recursive=True), raylet(node)]:
        process.kill()
    raylet(node).wait()


def ended(run, code=0, seconds=300):
    out = run.communicate(timeout=seconds)[0]
    assert run.returncode == code, out
    assert "Traceback" not in out
    return out


def comparable(text):
    """A record without what differs between two runs of the same trial on the same machine."""
    record = json.loads(text)
    for name in ("started", "finished", "wall_seconds", "ledger"):
        record.pop(name, None)
    return record


def test_a_grid_uses_both_nodes_and_its_records_equal_those_of_the_local_executor(place, tmp_path):
    place.add_node(1.0), place.add_node(1.0)
    run, workers = place.run_ray(), []
    place.wait_for(lambda: workers.append(len(place.trial_processes())) or run.poll() is not None)
    out = ended(run)
    remote = place.done()
    assert len(remote) == 4 and set(place.starts().values()) == {1}
    assert max(workers) == 2, out
    ended(place.run(results=tmp_path / "local"))
    local = place.done(tmp_path / "local")
    assert {name: comparable(text) for name, text in remote.items()} == {n: comparable(t) for n, t in local.items()}
    for name in remote:
        here, there = tmp_path / "local" / "trials" / name, place.results / "trials" / name
        files = [{path.relative_to(root) for path in root.rglob("*")} for root in (here, there)]
        assert files[0] == files[1]
        assert (here / "images.parquet").read_bytes() == (there / "images.parquet").read_bytes()
    assert ", 0 to run" in ended(place.run_ray())  # nothing runs again
    assert set(place.starts().values()) == {2}  # once there, once here
    assert not [path for path in (place.cache / "ray").iterdir() if path.is_dir()]


def test_a_killed_worker_loses_its_trial_only_and_that_runs_again(place):
    place.add_node(3.0), place.add_node(3.0)
    run = place.run_ray()
    place.wait_for(lambda: len(place.starts()) == 2)
    trial, worker = place.trial_processes().popitem()
    os.kill(worker, signal.SIGKILL)
    out = ended(run)
    assert not psutil.pid_exists(trial)
    assert "runs again, because node" in out
    assert len(place.done()) == 4 and sorted(place.starts().values()) == [1, 1, 1, 2]


def test_a_lost_nodes_trial_runs_on_another(place):
    lost = place.add_node(3.0)
    run = place.run_ray()
    place.wait_for(place.starts)
    place.add_node(0.3)
    kill_node(lost)
    out = ended(run)
    assert "gets no trials" in out and "runs again" in out
    assert len(place.done()) == 4 and sorted(place.starts().values()) == [1, 1, 1, 2]


def test_after_a_killed_driver_the_same_command_goes_on(place):
    place.add_node(2.0), place.add_node(2.0)
    run = place.run_ray()
    before = place.wait_for(place.done)
    run.kill()
    run.communicate()
    place.wait_for(lambda: not place.trial_processes())  # they end with their driver
    before = place.done()
    ended(place.run_ray())
    after = place.done()
    assert len(after) == 4 and before.items() <= after.items()
    assert all(place.starts()[name] == 1 for name in before)


def test_two_drivers_share_a_folder_and_run_no_trial_twice(place):
    place.add_node(), place.add_node()
    runs = [place.run_ray(seeds=6), place.run_ray(seeds=6)]
    for run in runs:
        ended(run)
    assert len(place.done()) == 6 and set(place.starts().values()) == {1}


def test_nodes_that_cannot_take_part_are_named_and_the_others_go_on(place, tmp_path):
    (tmp_path / "file").touch()
    place.add_node(STUB_SOFTWARE="JAX 0.1")
    place.add_node(SEGBENCH_CACHE=str(tmp_path / "file" / "cache"))
    place.add_node(STUB_FULL_DISK="1")
    place.add_node()
    out = ended(place.run_ray(seeds=2))
    assert "is refused: it has JAX 0.1, and this machine JAX" in out
    assert "lacks data and can't prepare them: The cache folder" in out
    assert "its disk is full" in out
    assert len(place.done()) == 2 and set(place.starts().values()) == {1}


def test_with_no_usable_node_a_run_ends_before_the_first_trial(place):
    place.add_node(STUB_SOFTWARE="JAX 0.1")
    out = ended(place.run_ray(), code=2)
    assert "No node of the Ray cluster can run trials" in out and "JAX 0.1" in out
    assert not place.done()


def test_the_clock_of_a_worker_changes_no_time_of_a_record(place):
    place.add_node(STUB_CLOCK_HOURS="30")
    ended(place.run_ray(seeds=1))
    (record,) = map(json.loads, place.done().values())
    assert record["wall_seconds"] < 3600 and sum(record["ledger"].values()) <= record["wall_seconds"] + 1
    assert abs(datetime.fromisoformat(record["finished"]).timestamp() - time.time()) < 3600


def test_all_seeds_of_a_configuration_run_on_one_type_of_device(place):
    place.add_node(STUB_DEVICE="fast"), place.add_node(STUB_DEVICE="slow")
    options = ["--param", "dropout=0.0,0.1,0.2,0.3"]
    ended(place.run_ray(*options, seeds=2))
    records = [json.loads(text) for text in place.done().values()]
    assert len(records) == 8 and {r["device"] for r in records} == {"fast", "slow"}
    assert len({(r["configuration"], r["device"]) for r in records}) == 4
    assert ", 0 to run" in ended(place.run_ray(*options, seeds=2))
    ended(place.run_ray(*options, "--each-device", seeds=2))
    assert len(place.done()) == 16 and set(place.starts().values()) == {1}


def test_each_gpu_of_a_node_has_a_trial_that_sees_it_alone(place):
    place.add_node(5.0, gpus=2, STUB_GPU="a GPU", STUB_DEVICE="a GPU")
    run = place.run_ray(seeds=2)
    place.wait_for(lambda: len(place.starts()) == 2)
    seen = [psutil.Process(pid).environ()["CUDA_VISIBLE_DEVICES"] for pid in place.trial_processes()]
    ended(run)
    assert sorted(seen) == ["0", "1"]
    assert {json.loads(text)["device"] for text in place.done().values()} == {"a GPU"}


def test_ctrl_c_records_the_trials_as_interrupted(place):
    place.add_node(30.0), place.add_node(30.0)
    run = place.run_ray(seeds=3)
    place.wait_for(lambda: len(place.trial_processes()) == 2)
    os.killpg(run.pid, signal.SIGINT)
    out = ended(run, code=130)
    statuses = [t.record.status for t in load([place.results]).trials]
    assert statuses == ["interrupted"] * 2, out
    assert not place.trial_processes()


def test_ray_is_started_here_without_an_address(place):
    ended(place.run("--executor", "ray", seeds=2))
    assert len(place.done()) == 2
