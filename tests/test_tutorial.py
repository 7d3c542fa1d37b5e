"""The notebook for a class: its code is public API, it is stored without outputs, and it runs."""

import ast
import json
from pathlib import Path

import pytest

from bench import api

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"
SETTINGS = "BACKEND = "  # how the cell begins that a test replaces
CELLS = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
SOURCES = ["".join(cell["source"]) for cell in CELLS]


def test_it_is_stored_without_outputs():
    assert not any(cell["outputs"] or cell["execution_count"] for cell in CELLS)


def test_its_cells_parse_and_import_of_segbench_only_the_public_api():
    nodes = [node for source in SOURCES for node in ast.walk(ast.parse(source))]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert plain <= {"matplotlib.pyplot", "numpy", "pandas"}
    (ours,) = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    assert ours.module == "bench.api"
    assert {alias.name for alias in ours.names} <= set(api.__all__)


@pytest.mark.slow
@pytest.mark.needs("jax", "nbclient", "ipykernel")
def test_it_runs_from_the_first_cell_to_the_last(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (settings,) = [cell for cell in notebook.cells if cell.source.startswith(SETTINGS)]
    settings.source = f'BACKEND, BUDGET, SEEDS, RESULTS = "jax", "2steps", 2, {str(tmp_path / "results")!r}'
    monkeypatch.chdir(tmp_path)
    NotebookClient(notebook, timeout=1200, kernel_name="python3").execute()
    texts = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])]
    lines = [line.split() for text in texts for line in text.splitlines()]
    assert ["ok", "10"] in lines, texts
    nbformat.write(notebook, tmp_path / NOTEBOOK.name)
