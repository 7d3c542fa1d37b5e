"""The three lines of docs/gate.md that find a slow commit, in a small git repository with a stand-in for `bench`."""

import os
import re
import subprocess
from pathlib import Path

import pytest

GATE = Path(__file__).parents[1] / "docs" / "gate.md"
STAND_IN = """#!/bin/sh
# Exits with the number in the file `code` of the checked-out commit; at a broken commit not even --help works.
code=$(cat "$REPOSITORY/code")
[ "$code" = broken ] && exit 1
[ "$2" = --help ] || exit "$code"
"""


def commands():
    """Return the lines of the block that begins with `git bisect start`, for a first and a last commit of a test."""
    found = re.search(
        r"^    (git bisect start .*)\n    (git bisect run .*)\n    (git bisect reset)$", GATE.read_text("utf-8"), re.M
    )
    assert found
    return [line.replace("v1.2", "first") for line in found.groups()]


@pytest.fixture
def shell(tmp_path):
    """Return a function that runs a command in a new git repository, with the stand-in on the PATH."""
    repository, programs = tmp_path / "repository", tmp_path / "bin"
    repository.mkdir()
    programs.mkdir()
    (programs / "bench").write_text(STAND_IN, encoding="utf-8")
    (programs / "bench").chmod(0o755)
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "REPOSITORY": str(repository)}
    names = {f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    def run(command):
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=repository,
            env={**os.environ, **alone, **names, "PATH": path},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    run("git init -q")
    return run


def history(shell, codes):
    for number, code in enumerate(codes):
        shell(f"echo {code} > code && git add code && git commit -q --allow-empty -m 'commit {number}'")
    shell(f"git tag first HEAD~{len(codes) - 1}")


@pytest.mark.parametrize(
    ("codes", "culprit"),
    [  # git tests the commit in the middle first
        ((0, 0, 1, 1, 1), 2),
        ((0, 0, 3, 0, 1), 4),  # not judged
        ((0, 0, 2, 0, 1), 4),  # an error, such as a revision that can't be read
        ((0, 0, "broken", 0, 1), 4),
        ((0, 0, 139, 0, 1), 4),  # a crash; git would end the search at codes from 128
    ],
)
def test_the_lines_find_the_slow_commit_past_commits_that_cannot_be_judged(shell, codes, culprit):
    history(shell, codes)
    start, run, reset = commands()
    assert shell(start)[0] == 0
    code, text = shell(run)
    assert code == 0, text
    assert shell("git show -s --format=%s refs/bisect/bad")[1].strip() == f"commit {culprit}"
    assert shell(reset)[0] == 0


def test_the_lines_do_not_blame_a_commit_whose_neighbours_were_all_skipped(shell):
    history(shell, (0, 3, 3, 1))
    start, run, _ = commands()
    shell(start)
    code, text = shell(run)
    assert code == 2
    assert "commit could be any of" in text
