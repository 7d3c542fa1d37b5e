"""Call a function in a child process, which may import what the planning process must not, keras or a plug-in.

Requests and answers are JSON objects, one per line. They have file descriptors of their own, so that text that
libraries print is never taken for an answer; it goes to standard error. If the function raises an error, the answer is
`{"error": text}`, with `"unexpected": true` unless it was a BenchError.

    (answer,) = ask("bench.plugin:probe", [{"source": "my_net.py"}], backend="jax", timeout=180)
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bench.core.code.import_by_name import import_by_name
from bench.core.errors import BenchError, reason_of
from bench.core.surroundings import command, environment

POLL_SECONDS = 0.05
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
KILLED = -9  # the exit code of a process that was ended by the system or `kill -9`


class ChildEnded(BenchError):
    """A child process gave no answer; `code` is its exit code, None if `ask` ended it."""

    def __init__(self, reason: str, code: int | None = None):
        super().__init__(reason)
        self.code = code


def ask(
    target: str,
    requests: Iterable[dict[str, Any]],
    backend: str | None,
    timeout: float,
    *,
    watch: Callable[[int], str] = lambda number: "",
    variables: Mapping[str, str] | None = None,
    echo: bool = False,
) -> list[dict[str, Any]]:
    """Call a function with each request's values, all in one new process; return its answers in order.

    Args:
        target: "module:function", which takes a request's values by name and returns a dictionary that JSON can hold.
        timeout: seconds for all requests together.
        watch: called with the process's id while it works; if it returns a text, the process is ended for that reason.
        variables: of the environment, besides this process's own.
        echo: print what the process printed, on standard error.

    Raises:
        ChildEnded: the process ended, or was ended, before the last answer.
    """
    requests = list(requests)
    text = "".join(json.dumps(request) + "\n" for request in requests)
    with subprocess.Popen(
        command("bench.core.child_process", target, str(os.getpid())),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env={**environment(backend), **(variables or {})},
    ) as process:
        try:
            answers, printed = _communicate(process, text, timeout, watch)
        finally:
            process.kill()
    if echo:
        sys.stderr.write(printed)
    found = [json.loads(line) for line in answers.splitlines()]
    if process.returncode or len(found) < len(requests):
        raise ChildEnded(ending(process.returncode, printed), process.returncode)
    return found


def _communicate(
    process: "subprocess.Popen[str]", text: str, timeout: float, watch: Callable[[int], str]
) -> tuple[str, str]:
    """Read standard output and error of the process; raise ChildEnded after its time or if `watch` objects."""
    started, unsent = time.monotonic(), text
    while True:
        try:
            return process.communicate(unsent or None, timeout=POLL_SECONDS)
        except subprocess.TimeoutExpired:
            unsent = ""  # `communicate` remembers what it hasn't sent yet
            if reason := watch(process.pid):
                raise ChildEnded(reason) from None
            if time.monotonic() - started > timeout:
                raise ChildEnded(f"no answer within {timeout:g} s") from None


def ending(code: int | None, printed: str) -> str:
    """Say how a process ended, with the last line that it printed; only that line if it ends a traceback."""
    lines = printed.strip().splitlines()
    if code == 1 and lines:
        return lines[-1]
    how = f"killed by {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
    return f"{how} ({lines[-1]})" if lines else how


def serve(answer: Callable[..., dict[str, Any]] | str) -> None:
    """Answer requests until standard input ends; this is the child's side.

    Args:
        answer: the function, or its "module:function", which is imported after printed text has been redirected.
    """
    requests, answers = (
        os.fdopen(os.dup(0), encoding="utf-8"),
        os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8"),
    )
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    function = import_by_name(answer) if isinstance(answer, str) else answer
    for line in requests:
        answers.write(json.dumps(_answer(function, json.loads(line))) + "\n")


def _answer(function: Callable[..., dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    try:
        return function(**request)
    except Exception as error:  # noqa: BLE001 - the parent gets an answer for every error
        traceback.print_exc()
        return {"error": reason_of(error), **({} if isinstance(error, BenchError) else {"unexpected": True})}


def end_with_parent(parent: int) -> None:
    """Make this process end when its parent does, given the parent's process id.

    On Linux the kernel sees to it at once, also if this process is stopped or holds Python's lock; elsewhere a thread
    looks every 0.2 s.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    threading.Thread(target=watch, daemon=True).start()  # it also sees a parent that ended before the call


if __name__ == "__main__":
    end_with_parent(int(sys.argv[2]))
    serve(sys.argv[1])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a backend can take seconds to shut down, and everything is answered
