"""Two rows against each other: which images set them apart, their pictures, and the room that they take."""

import json
import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from browser import needs_browser, told
from fake_results import TEST_IMAGES, fake_config, fake_record, fake_results, table_metrics, write_trial
from PIL import Image
from typer.testing import CliRunner

from bench.cli import app
from bench.evaluation.metric_protocol import Prediction
from bench.evaluation.predicted.prediction_files import PredictionWriter
from bench.report.findings import pair_board
from bench.report.findings.pair_board import PairRoom
from bench.report.gallery import group_images
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.results.dataframe import load_results
from bench.results.loading import load
from bench.results.predicted.disagreements import disagreements
from bench.results.trial_files import EVALUATIONS, PREDICTIONS

NAN = float("nan")


def test_the_largest_differences_come_first_and_equal_or_unknown_ones_not_at_all():
    names = tuple("abcdefg")
    one = np.array([0.9, 0.2, 0.5, NAN, 0.7, 0.1, 0.6])
    other = np.array([0.4, 0.9, 0.5, 0.3, 0.6, 0.2, NAN])
    # a: +0.5, b: -0.7, c: 0, d and g: unknown, e: +0.1, f: -0.1
    first, second = disagreements(names, one, other, 5)
    assert [(d.name, d.place, d.one, d.other) for d in first] == [("a", 0, 0.9, 0.4), ("e", 4, 0.7, 0.6)]
    assert [d.name for d in second] == ["b", "f"]
    assert [d.name for d in disagreements(names, one, other, 1)[1]] == ["b"]


def keep(folder: Path, value: int, names=range(TEST_IMAGES), *, to: str = PREDICTIONS, **changes) -> None:
    """Keep predictions of grey images: every pixel is of class 1 if `value` is 1."""
    fingerprint = json.loads((folder / "record.json").read_text())["dataset"]["fingerprint"]
    about = {"run": folder.name, "dataset": "pets", "fingerprint": fingerprint, "split": "test", "eval_size": "train"}
    labels, image = np.zeros((32, 32), np.uint8), np.full((32, 32, 3), 120, np.uint8)
    classes, empty = np.full((32, 32), value, np.uint8), np.zeros(0, np.float32)
    with PredictionWriter(folder / to, {**about, "resize": "stretch", "tta": None, **changes}) as writer:
        for number in names:
            writer.add(f"image_{number}", Prediction(labels, classes, ("a", "b", "c"), empty, None, image))
        manifest = {"images": writer._images, "table": "0"}
        path = writer._part / "manifest.json"
        path.write_text(json.dumps({"format": 1, **writer._about, **manifest}))
        writer._part.rename(folder / to)


@pytest.fixture
def results(tmp_path):
    """Two architectures; image_3 is easy for the first and hard for the second, image_5 the other way round."""
    for arch, easy, hard in (("unet", 3, 5), ("deeplab", 5, 3)):
        record, table = fake_record(fake_config(arch, "mobilenet_v2"))
        for number, share in ((easy, 1.0), (hard, 0.0)):
            for label in range(3):
                pixels = table.at[number, f"tp_{label}"] + table.at[number, f"fn_{label}"]
                table.at[number, f"tp_{label}"] = int(share * pixels)
                table.at[number, f"fn_{label}"] = pixels - int(share * pixels)
                table.at[number, f"fp_{label}"] = 0
        table = table.drop(columns=[name for name in table if name.startswith("confusion")])
        record.metrics.update(table_metrics(table))
        write_trial(tmp_path / "r", record, table, samples=0)
    return tmp_path / "r"


def folders(results: Path) -> dict[str, Path]:
    return {path.name.split("_")[0]: path for path in (results / "trials").iterdir() if path.is_dir()}


def pairs(results: Path, **options):
    trials = {str(trial.folder): trial for trial in load([results]).trials}
    (group,) = groups(load_results(results))
    problems: list[str] = []
    return PairRoom(trials, problems, **options).of(group, group_images(group)), problems


def test_both_directions_have_their_own_images_and_pictures(results):
    for value, folder in enumerate(folders(results).values()):
        keep(folder, value)
    (pair,), problems = pairs(results)
    assert not problems and pair.advice == "" and pair.shown == pair.images == TEST_IMAGES
    one, other = pair.sides
    easy = {"unet:mobilenet_v2": "image_3", "deeplab:mobilenet_v2": "image_5"}
    assert [one.lines[0].name, other.lines[0].name] == [easy[label] for label in pair.labels]
    assert one.lines[0].one == 1 and one.lines[0].other == 0 and other.lines[0].other == 1
    assert [len(side.pictures) for side in pair.sides] == [min(3, len(side.lines)) for side in pair.sides]
    assert one.pictures[0][1].width == 4 * 32 + 3 * 4  # image, truth, two predictions


def test_the_picture_has_the_predictions_of_both(results):
    for value, folder in enumerate(folders(results).values()):
        keep(folder, value)
    (pair,), _ = pairs(results)
    data = b64decode(pair.sides[0].pictures[0][1].uri.partition(",")[2])
    with Image.open(BytesIO(data)) as picture:
        pixels = np.array(picture.convert("RGB")).astype(int)
    colourful = [int(np.ptp(pixels[16, 36 * part + 16])) > 40 for part in range(4)]  # of class 1: orange over grey
    values = [value for value, name in enumerate(folders(results)) if pair.labels[0].startswith(name)]
    assert colourful == [False, False, bool(values[0]), not values[0]]


def test_without_pictures_the_page_says_how_to_get_them(results):
    (pair,), _ = pairs(results)
    assert not any(side.pictures for side in pair.sides)
    for folder in folders(results).values():
        assert f"bench evaluate {folder.name} --keep-predictions" in pair.advice


def test_predictions_of_bench_evaluate_are_found(results):
    first, second = folders(results).values()
    keep(first, 0)
    (second / EVALUATIONS).mkdir()
    keep(second, 1, to=f"{EVALUATIONS}/pets_test_train.{PREDICTIONS}")
    assert all(side.pictures for side in pairs(results)[0][0].sides)


@pytest.mark.parametrize(
    "changes", [{"split": "val"}, {"tta": "flips"}, {"fingerprint": "other"}, {"eval_size": "native"}]
)
def test_predictions_of_other_images_are_not_shown(results, changes):
    first, second = folders(results).values()
    keep(first, 0)
    (second / EVALUATIONS).mkdir()
    keep(second, 1, to=f"{EVALUATIONS}/x.{PREDICTIONS}", **changes)
    assert not any(side.pictures for side in pairs(results)[0][0].sides)


def test_a_damaged_manifest_is_a_line_in_the_report(results):
    first, second = folders(results).values()
    keep(first, 0)
    keep(second, 1)
    (second / PREDICTIONS / "manifest.json").write_text("{")
    found, problems = pairs(results)
    assert len(found) == 1 and any("manifest.json" in line for line in problems)


def test_private_pictures_stay_out_of_a_public_page(results):
    for value, folder in enumerate(folders(results).values()):
        keep(folder, value)
    (pair,), _ = pairs(results, public=True)
    assert not any(side.pictures for side in pair.sides) and pair.advice == ""


def test_the_room_is_bounded(tmp_path, monkeypatch):
    results = fake_results(tmp_path, failures=False)
    found, _ = pairs(results)
    assert [pair.places for pair in found[:3]] == [(0, 1), (0, 2), (1, 2)] and len(found) == 10
    monkeypatch.setattr(pair_board, "MOST_PAIRS", 2)
    monkeypatch.setattr(pair_board, "MOST_BYTES", 1)
    monkeypatch.setattr(pair_board, "POINTS", 7)
    found, _ = pairs(results)
    assert len(found) == 2 and sum(len(side.pictures) for pair in found for side in pair.sides) <= 1
    assert (found[0].shown, found[0].images, found[0].points.count("M")) == (7, TEST_IMAGES, 7)


def test_a_dot_is_where_the_scores_are(results):
    (pair,), _ = pairs(results)
    dots = [tuple(map(float, dot)) for dot in re.findall(r"M([\d.]+) ([\d.]+)h0", pair.points)]
    # the first row is on the x axis, the second on the y axis, which SVG counts downwards
    assert (100.0, 100.0) in dots and (0.0, 0.0) in dots and len(dots) == TEST_IMAGES


def test_compare_names_the_same_images(results):
    (pair,), _ = pairs(results)
    answer = CliRunner().invoke(app, ["compare", *pair.labels, "--results", str(results)])
    assert answer.exit_code == 0, answer.output
    text = " ".join(answer.output.split())
    for title, side in zip(("Images where the first is right", "Where the second is right"), pair.sides, strict=True):
        named = re.search(rf"{title} and the \w+ wrong: (.*?)\.(?: |$)(?=[A-Z]|$)", text)[1]
        assert re.findall(r"(image_\d+) \(", named) == [line.name for line in side.lines]


@needs_browser
def test_two_lists_choose_the_pair_that_is_shown(tmp_path):
    page = write_report([fake_results(tmp_path / "r", failures=False)], tmp_path / "out").files[0]
    first, chosen, turned, same = told(
        page,
        tmp_path,
        """
        const [a, b] = document.querySelectorAll(".pairs select");
        const open = () => Array.from(document.querySelectorAll(".pairs details:not([hidden])"));
        const shown = () => open().map((one) => one.dataset.pair);
        const take = (list, place) => { list.value = place; list.dispatchEvent(new Event("change")); };
        told.push(shown());
        take(a, "2"); take(b, "4"); told.push(shown());
        take(a, "4"); take(b, "2"); told.push(shown());
        take(a, "2"); told.push([...shown(), document.querySelector(".chooser span").textContent]);""",
    )
    assert (first, chosen, turned) == (["0-1"], ["2-4"], ["2-4"])
    assert same == ["Choose two different rows."]
