"""The programs of JAX that are kept in the cache: those compiled while weights are drawn, and no others."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.needs("jax")

DRAW = """
import warnings
warnings.simplefilter("error")
import jax, jax.numpy as jnp
from jax import monitoring
from bench.training.engines.jax_programs import keep_programs
hits = []
monitoring.register_event_listener(lambda event, **_: hits.append(event) if event.endswith("cache_hits") else None)
with keep_programs():
    drawn = jax.random.normal(jax.random.key(0), (7, 3))
inside = len(hits)
jax.block_until_ready(jax.jit(lambda x: jnp.sin(x) @ x.T)(drawn))
assert len(hits) == inside and jax.config.jax_compilation_cache_dir is None
print(inside, float(drawn.sum()))
"""


def draw(cache):
    environment = {**os.environ, "SEGBENCH_CACHE": str(cache), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", DRAW], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    hits, total = done.stdout.split()
    return int(hits), total


def test_a_second_process_loads_what_the_first_compiled_even_beside_a_damaged_entry(tmp_path):
    hits, total = draw(tmp_path)
    assert hits == 0
    (folder,) = (tmp_path / "programs").iterdir()
    kept = sorted(path for path in folder.iterdir() if path.stat().st_size)
    assert draw(tmp_path) == (len([path for path in kept if not path.name.endswith("-atime")]), total)
    kept[0].write_bytes(kept[0].read_bytes()[:10])
    assert draw(tmp_path)[1] == total


def test_a_cache_that_cannot_be_written_is_left_alone(tmp_path):
    (tmp_path / "programs").write_text("in the way", encoding="utf-8")
    assert draw(tmp_path)[0] == 0
