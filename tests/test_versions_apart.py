"""After an upgrade of a backend or of Keras, old and new results are neither pooled nor ranked together."""

from dataclasses import replace

import pytest
from fake_results import failed_record, fake_config, fake_record, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.core.specs import Budget
from bench.report.findings.across import all_across
from bench.report.findings.series import all_series
from bench.report.leaderboard import groups
from bench.report.speed_tables import speed_boards
from bench.results.analysis.comparing import pairs
from bench.results.analysis.configurations import pool
from bench.results.dataframe import load_results
from bench.results.gate import measured

NEW = {"keras": "3.15.1", "tensorflow": "2.21.0", "jax": "0.10.1", "torch": "2.9.0"}
OLD = {**NEW, "keras": "3.14.2"}


def write(folder, versions=NEW, *, seeds=range(2), arch="unet", record=fake_record, changes=None, **config):
    for seed in seeds:
        made = record(fake_config(arch, seed=seed, **config))
        made, table = made if isinstance(made, tuple) else (made, None)
        environment = {k: v for k, v in made.environment.items() if k != "versions"}
        environment |= {"versions": versions} if versions is not None else {}
        key = f"{made.key}-{config}"
        configuration = "-".join(map(str, (arch, config)))
        made = replace(made, key=key, configuration=configuration, environment=environment, **changes or {})
        write_trial(folder, made, table, samples=0)
    return folder


def bench(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200"})


def shown(folder):
    """Each table's title, and for each row its label and its number of seeds."""
    found = groups(load_results(folder))
    return {group.title: [(row.label, row.configuration.seeds) for row in group.rows] for group in found}


TITLE = "pets at 128x128, 10 epochs, on AMD EPYC 9654, 2 cores"


def test_seeds_of_two_versions_are_two_tables_that_name_them_the_newest_first(tmp_path):
    write(tmp_path, OLD, seeds=(0, 1, 2))
    write(tmp_path, NEW, seeds=(3, 4))
    assert shown(tmp_path) == {
        f"{TITLE}, TensorFlow 2.21 · Keras 3.15": [("unet, TensorFlow 2.21 · Keras 3.15", 2)],
        f"{TITLE}, TensorFlow 2.21 · Keras 3.14": [("unet, TensorFlow 2.21 · Keras 3.14", 3)],
    }
    assert [group.fields["versions"] for group in groups(load_results(tmp_path))] == [
        "TensorFlow 2.21 · Keras 3.15",
        "TensorFlow 2.21 · Keras 3.14",
    ]


def test_patch_releases_are_pooled_and_nothing_is_named(tmp_path):
    write(tmp_path, NEW, seeds=(0, 1))
    write(tmp_path, {**NEW, "keras": "3.15.4", "jax": "0.9.0", "numpy": "2"}, seeds=(2,))  # jax is not its backend
    assert shown(tmp_path) == {TITLE: [("unet", 3)]}
    assert "versions" not in groups(load_results(tmp_path))[0].fields


def test_backends_are_ranked_together_but_not_with_an_old_version_of_one(tmp_path):
    for backend in ("tensorflow", "jax"):
        write(tmp_path, NEW, backend=backend)
    assert list(map(len, shown(tmp_path).values())) == [2]
    write(tmp_path, {**NEW, "jax": "0.9.2"}, arch="deeplab", backend="jax")
    first, second = shown(tmp_path).items()
    assert first[0].endswith(", JAX 0.10, TensorFlow 2.21 · Keras 3.15") and len(first[1]) == 2
    assert second == (f"{TITLE}, JAX 0.9 · Keras 3.15", [("deeplab, JAX 0.9 · Keras 3.15", 2)])


@pytest.mark.parametrize("versions", [None, {}, {"numpy": "2.1"}, "3.15", {"keras": None}])
def test_old_records_without_versions_are_a_table_of_their_own(tmp_path, versions):
    write(tmp_path, versions, seeds=(0,))
    assert shown(tmp_path) == {TITLE: [("unet", 1)]}
    write(tmp_path, NEW, seeds=(1,))
    assert [rows[0][0] for rows in shown(tmp_path).values()] == [
        "unet, TensorFlow 2.21 · Keras 3.15",
        "unet, versions not recorded",
    ]


def test_a_failed_trial_of_other_versions_makes_no_table_but_stays_visible(tmp_path):
    write(tmp_path, NEW)
    write(tmp_path, OLD, seeds=(5,), arch="deeplab", record=failed_record)
    assert shown(tmp_path) == {TITLE: [("unet", 2), ("deeplab", 0)]}


def test_the_winner_by_budget_is_taken_among_trials_of_the_same_versions(tmp_path):
    for budget in (10, 20):
        for arch in ("unet", "deeplab"):
            write(tmp_path, NEW, arch=arch, budget=Budget(budget, "epochs"))
    write(tmp_path, OLD, arch="fcn", budget=Budget(10, "epochs"))
    write(tmp_path, OLD, seeds=(7, 8), budget=Budget(20, "epochs"))
    (series,) = all_series(groups(load_results(tmp_path)))
    assert [len(line.points) for line in series.lines] == [2, 2]
    assert all("Keras 3.15" in line.label for line in series.lines)


def test_average_ranks_hold_results_of_the_same_versions_only(tmp_path):
    for dataset in ("a", "b", "c"):
        for arch in ("unet", "deeplab"):
            write(tmp_path, NEW, arch=arch, dataset=dataset)
    write(tmp_path, OLD, seeds=(5, 6), dataset="b")
    (across,) = all_across(groups(load_results(tmp_path)))
    assert across.data_sets == ("a", "b", "c") and len(across.places) == 2


def test_speed_alone_is_told_apart_too(tmp_path):
    def speed(config):
        record, _ = fake_record(replace(config, measure="speed"))
        return replace(record, metrics={}, validation={})

    write(tmp_path, OLD, seeds=(0,), record=speed)
    write(tmp_path, NEW, seeds=(1,), record=speed)
    boards = speed_boards(load_results(tmp_path))
    assert [board.title.rpartition(", ")[2] for board in boards] == [
        "TensorFlow 2.21 · Keras 3.15",
        "TensorFlow 2.21 · Keras 3.14",
    ]
    compared = bench("compare", *(board.rows[0].label for board in boards), "--results", tmp_path)
    assert compared.exit_code == 0 and "keras" in compared.stdout, compared.output


def test_old_and_new_versions_are_compared_by_their_labels(tmp_path):
    write(tmp_path, OLD, seeds=(0, 1, 2))
    write(tmp_path, NEW, seeds=(3, 4, 5))
    labels = [f"unet, TensorFlow 2.21 · Keras {keras}" for keras in ("3.14", "3.15")]
    result = bench("compare", *labels, "--results", tmp_path)
    assert result.exit_code == 0, result.output
    assert f"{labels[0]} -> {labels[1]} ({TITLE})" in result.stdout
    assert "3.14.2" in result.stdout and "3.15.1" in result.stdout


def test_folders_are_compared_version_by_version_and_else_with_the_newest(tmp_path):
    write(write(tmp_path / "old", OLD), NEW, seeds=(2, 3))
    write(write(tmp_path / "new", NEW), {**NEW, "keras": "3.13.0"}, seeds=(2, 3))
    found = pairs(*(pool(load_results(tmp_path / name)) for name in ("old", "new")))
    keras = [[member.values["software"].rpartition(" ")[2] for member in pair] for pair in found]
    assert keras == [["3.14", "3.15"], ["3.15", "3.15"]]
    result = bench("compare", tmp_path / "old", tmp_path / "new")
    said = result.stderr.replace(str(tmp_path), "")  # whose number may begin with a 1
    assert result.exit_code == 0 and "0 in" in result.output and "-1" not in said, result.output


def test_the_gate_judges_the_newest_versions_and_names_the_others(tmp_path):
    write(tmp_path, OLD, seeds=(0, 1, 2))
    write(tmp_path, NEW, seeds=(3, 4))
    subjects, problems = measured.from_results([tmp_path])
    assert [[trial.seed for trial in subject.trials] for subject in subjects] == [[3, 4]]
    (problem,) = problems
    assert (
        "3 trials on TensorFlow 2.21 · Keras 3.14 left out, since others ran on TensorFlow 2.21 · Keras 3.15" in problem
    )


def test_a_report_of_two_versions_names_both_in_its_texts(tmp_path):
    write(tmp_path / "r", OLD, seeds=(0, 1))
    write(tmp_path / "r", NEW, seeds=(2, 3))
    result = bench("report", tmp_path / "r", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    texts = [path for path in (tmp_path / "out").iterdir() if path.suffix in (".html", ".md", ".csv", ".tex")]
    assert len(texts) >= 3
    for path in texts:
        text = path.read_text(encoding="utf-8")
        assert "Keras 3.14" in text and "Keras 3.15" in text, path.name
