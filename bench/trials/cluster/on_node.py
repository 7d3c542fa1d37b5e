"""Tell what a node of a cluster is, and prepare there what its trials need."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core.child_process import ChildEnded, ask
from bench.core.code.own_code import own_code
from bench.core.code.planned_code import use_planned_code
from bench.core.specs import NO_DATASET
from bench.core.trial_config import TrialConfig
from bench.profiling.environment import cpu_device, host_environment, versions
from bench.profiling.gpu import gpu_name
from bench.results.software import software
from bench.results.trial_files import CODE, write_json
from bench.trials.plan import prepare_pack
from bench.trials.preflight import fetch_weights

PREPARE_SECONDS = 86400.0  # for downloading and decoding a data set


def describe(backends: Sequence[str]) -> dict[str, Any]:
    """Return what a node says of itself: `device`, `environment`, and the `software` by which it may be refused."""
    gpu = gpu_name()
    return {
        "device": gpu or cpu_device(),
        "environment": host_environment(gpu=gpu is not None),
        "software": software_here(backends),
    }


def software_here(backends: Sequence[str]) -> dict[str, str]:
    """Return what must be the same on all machines of a run, as texts by what they are about."""
    found = versions()
    same = {"segbench": f"segbench {found.get('segbench')} (code {own_code()})"}
    return {**same, **{backend: software(backend, found) for backend in backends}}


def prepare(requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Prepare data and ImageNet weights on this node, where they aren't there; return the answers of `prepare_one`.

    A child process does it, which imports plug-ins as they were planned. A lock of the pack lets others wait.
    """
    return [_prepare(dict(request)) for request in requests]


def _prepare(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return ask("bench.trials.cluster.on_node:prepare_one", [request], None, PREPARE_SECONDS)[0]
    except ChildEnded as ended:
        return {"error": str(ended)}


def prepare_one(config: dict[str, Any], code: dict[str, str]) -> dict[str, Any]:
    """Prepare the data of one configuration; return its `fingerprint`."""
    with tempfile.TemporaryDirectory() as folder:
        if code:
            write_json(Path(folder) / CODE, code, sync=False)
            use_planned_code(Path(folder) / CODE)
        wanted = TrialConfig.from_dict(config)
        fetch_weights(wanted)
        return {"fingerprint": NO_DATASET if wanted.measure == "speed" else prepare_pack(wanted).fingerprint}
