"""Imported by a test's processes: those that start trials start stubs, and have the faults that the test asks for."""

import os
import sys

if "bench" in sys.orig_argv or any("default_worker" in word for word in sys.orig_argv):
    import shutil
    import time
    from collections import namedtuple

    from bench.trials import local_process
    from bench.trials.cluster import on_node, on_worker

    local_process.command = lambda module, *rest: [sys.executable, "-P", os.environ["STUB"], *rest]
    if version := os.environ.get("STUB_SOFTWARE"):
        on_node.software = lambda backend, found: version
    if os.environ.get("STUB_FULL_DISK"):
        shutil.disk_usage = lambda path: namedtuple("usage", "total used free")(2**40, 2**40, 1000)
    if hours := float(os.environ.get("STUB_CLOCK_HOURS", "0")):
        on_worker.time = namedtuple("clock", "time monotonic")(lambda: time.time() + 3600 * hours, time.monotonic)
    if device := os.environ.get("STUB_DEVICE"):
        on_node.cpu_device = lambda: device
    if gpu := os.environ.get("STUB_GPU"):
        on_node.gpu_name = lambda: gpu
