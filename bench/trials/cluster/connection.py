"""Join a Ray cluster, or start Ray on this machine."""

import logging
import os
import signal
import socket
import tempfile
import threading
from contextlib import chdir, suppress
from typing import Any

from bench.core.backends import installed
from bench.core.child_process import ChildEnded, ask
from bench.core.errors import BenchError

VARIABLE = "RAY_ADDRESS"
LOCAL = "local"  # what Ray calls starting an own one
CLIENT = "ray://"
PORT_SECONDS, CONNECT_SECONDS = 10.0, 45.0


def connect(address: str | None) -> None:
    """Connect this process to the Ray cluster at an address; start Ray here if neither it nor RAY_ADDRESS is given.

    Raises:
        BenchError: Ray is missing, or can't be reached within a bounded time.
    """
    if not installed("ray"):
        raise BenchError("--executor ray needs Ray, which is not installed: pip install 'segbench[ray]'.")
    address = address or os.environ.get(VARIABLE) or LOCAL
    _rehearse(address)
    join(address)


def _rehearse(address: str) -> None:
    """Join the cluster in a child process first: in this one it could neither be ended nor kept from printing."""
    if address.startswith(CLIENT):
        raise BenchError(f"--ray-address '{address}' is one of Ray Client, which is not supported. {_ADVICE}")
    if address == LOCAL:
        return
    answer: dict[str, Any]
    try:
        _check_port(address)
        (answer,) = ask("bench.trials.cluster.connection:join", [{"address": address}], None, CONNECT_SECONDS)
    except (ChildEnded, OSError) as problem:
        answer = {"error": str(problem)}
    if "error" in answer:
        raise BenchError(f"No Ray cluster can be joined at '{address}' ({answer['error'].rstrip('.')}). {_ADVICE}")


def _check_port(address: str) -> None:
    """Raise OSError if nothing listens at an address, which Ray would take long to say."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), PORT_SECONDS).close()


_ADVICE = (
    "Accepted: the address of a cluster's head, such as 10.0.0.1:6379, or auto, from a machine of that cluster; "
    f"without --ray-address and {VARIABLE}, Ray is started on this machine."
)


def join(address: str) -> dict[str, Any]:
    """Connect this process to a cluster, or start one, without the changes that Ray makes to a process."""
    import ray

    if ray.is_initialized():
        return {}
    _keep_terminal_clear()
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        options["include_dashboard"] = False
        os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")  # as without Ray, a trial may fill it
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with tempfile.TemporaryDirectory() as empty, chdir(empty):  # workers import from the working directory
            ray.init(address=address, **options)
    except (RuntimeError, ConnectionError, ValueError, OSError, TimeoutError) as error:
        raise BenchError(f"Ray: {' '.join(str(error).split())[:300]}") from error
    finally:
        if in_main and before is not None:
            signal.signal(signal.SIGTERM, before)  # Ray's own ends this process without recording trials
    return {}


def _keep_terminal_clear() -> None:
    """Keep Ray from printing pages about each lost worker; the run has a line for it."""
    import ray._private.worker as worker

    with suppress(AttributeError):
        worker.print_to_stdstream = lambda *_, **__: None
