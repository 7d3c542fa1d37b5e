"""Functions that tests/test_child_process.py and tests/test_batch_search.py call in child processes."""

import os
import sys
import time

from bench.core.errors import BenchError

print("printed at import")


def echo(**values):
    print("printed before the answer")
    os.write(1, b"written to the descriptor of standard output\n")
    return {"values": values, "input": sys.stdin.read(), "path": sys.path, "backend": os.environ.get("KERAS_BACKEND")}


def refuse(**_):
    raise BenchError("There is no such thing. Accepted: others.")


def throw(**_):
    raise ValueError("boom\nand more")


def leave(**_):
    sys.exit(3)


def be_killed(**_):
    os.kill(os.getpid(), 9)


def abort(**_):
    print("Fatal: no device", file=sys.stderr)
    os._exit(1)


def sleep(**_):
    time.sleep(60)


def take_memory(**_):
    held = bytearray(200 * 2**20)
    time.sleep(60)
    return {"held": len(held)}


def number_then_sleep(file):
    with open(file, "w") as out:
        out.write(f"{os.getpid()}\n")
    time.sleep(60)
