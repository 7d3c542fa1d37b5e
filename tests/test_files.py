"""Files that are written atomically."""

import pytest

from bench.core.errors import BenchError
from bench.core.files import is_part, write_atomically, write_file


def test_the_old_file_stands_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "record.json"
    path.write_text("old")
    with write_atomically(path) as part:
        part.write_text("new")
        assert is_part(part) and part.suffix == ".json"
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_fault_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "record.json"
    path.write_text("old")
    with pytest.raises(OSError), write_atomically(path) as part:
        part.write_text("ne")
        raise OSError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_who_write_the_same_file_at_once_do_not_meet(tmp_path):
    path = tmp_path / "segbench.json"
    with write_atomically(path) as first, write_atomically(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the last to end
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_whose_folder_cannot_be_made_is_an_error_with_advice(tmp_path):
    assert write_file(tmp_path / "new" / "page.html", b"page", "").read_bytes() == b"page"
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match=r"'.*page.html' can't be written \(.+\). Give another folder with --out."):
        write_file(tmp_path / "file" / "page.html", b"page", "Give another folder with --out.")
