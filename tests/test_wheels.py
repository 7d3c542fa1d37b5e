"""`.ci/wheels.py`: which wheels a machine without TensorFlow and network gets."""

import zipfile

import pytest
import scripts
from packaging.requirements import Requirement

from bench.profiling import environment

wheels = scripts.load(".ci/wheels.py")


def make_wheel(folder, name, *needs):
    """A wheel with nothing in it but what it requires."""
    file = folder / f"{name}-1.0-py3-none-any.whl"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {need}" for need in needs)]
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}-1.0.dist-info/METADATA", "\n".join(lines))
    return file


def test_tensorflow_is_not_wanted_and_the_backends_are_the_machine_s():
    wanted, alone = wheels._requirements()
    names = {need.name for need in wanted}
    assert {"keras", "pandas", "typer", "nvidia-ml-py"} <= names
    assert not names & {"tensorflow", "tensorflow-datasets", "jax", "torch"}
    # Resolved, they would draw in TensorFlow and another PyTorch.
    assert {need.name for need in alone} == {"keras-hub", "segmentation-models-pytorch", "timm"}


def test_what_a_wheel_needs_is_read_without_its_extras(tmp_path):
    file = make_wheel(tmp_path, "net", "numpy>=1.2", 'pytest; extra == "dev"', 'winreg; sys_platform == "win32"')
    assert [str(need) for need in wheels._needs(file)] == ["numpy>=1.2"]


def test_what_the_machine_has_is_left_out_unless_it_is_too_old(tmp_path):
    for name in ("pandas", "typing_extensions", "keras", "torch", "namex"):
        make_wheel(tmp_path, name)
    freeze = tmp_path / "have.txt"
    freeze.write_text("pandas==3.0.1\nkeras==2.15.0\nTyping.Extensions==4.1\ntorch @ file:///torch.whl\n")
    wheels._leave_out(tmp_path, wheels._freeze(freeze), [Requirement("pandas>=2.2"), Requirement("keras>=3.15")])
    left = {file.name.split("-")[0] for file in tmp_path.glob("*.whl")}
    assert left == {"keras", "namex"}


@pytest.mark.parametrize(
    ("said", "commit", "dirty"), [("df01bb0", "df01bb0", False), ("df0-dirty", "df0", True), ("", None, None)]
)
def test_a_record_made_with_the_wheel_names_its_commit(tmp_path, monkeypatch, said, commit, dirty):
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "bench" / "profiling" / "environment.py"))
    monkeypatch.setenv("SEGBENCH_COMMIT", said)
    assert environment._code.__wrapped__() == {"commit": commit, "dirty": dirty}
