"""What fits a card: made measurements whose truth is known, and the tables and sentences that are read from them."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from bench.report.render import write_report
from bench.report.text.fit_tables import BY_ALLOCATOR, fit_boards
from bench.results.analysis.memory_fit import NotFitted, Point, fit_memory
from bench.results.dataframe import trials_frame
from bench.results.loading import StoredTrial
from tests.fake_results import write_trial
from tests.test_speed_report import speed_record

TRUTH = np.array([900.0, 3.0, 1600.0])  # MiB, MiB an image, MiB an image and megapixel
SIDES, BATCHES = (128, 256, 512), (1, 2, 4, 8, 16, 32)


def true_mib(batch, side):
    """The memory of a made model, by hand: at 512 px an image takes 3 + 1600 x 0.262144 = 422.4 MiB."""
    return TRUTH[0] + batch * (TRUTH[1] + TRUTH[2] * side * side / 1e6)


def measured(rng=None, sd=0.0, sides=SIDES, batches=BATCHES):
    noise = (lambda: rng.normal(0, sd)) if rng else (lambda: 0.0)
    return [Point(n, side * side, true_mib(n, side) + noise()) for side in sides for n in batches]


def test_exact_points_give_the_truth_and_the_batches_by_hand():
    fit = fit_memory(measured())
    assert fit.coefficients == pytest.approx(TRUTH)
    holds = fit.holds(512 * 512, 8192)  # (8192 - 900) / 422.43 = 17.26
    assert (holds.surely, holds.perhaps, holds.most, holds.decided) == (17, 17, 32, True)
    assert fit.holds(512 * 512, 1000).surely == 0 and not fit.holds(512 * 512, 1000).decided
    assert fit.holds(128 * 128, 8192).surely == 32  # all that was measured; 250 would fit, which is not said
    assert not fit.holds(128 * 128, 8192).decided


@pytest.mark.parametrize("sides", [SIDES, (256,)])
def test_the_intervals_cover_the_truth_as_often_as_they_say(sides):
    """Of 1,000 made experiments, each 95 % interval contains the truth in 950, give or take 3 standard errors (21)."""
    rng, repeats = np.random.default_rng(5), 1000
    truth = TRUTH if len(sides) > 1 else np.array([TRUTH[0], TRUTH[1] + TRUTH[2] * 0.065536])
    of_truth, of_new = np.zeros(len(truth)), 0
    for _ in range(repeats):
        fit = fit_memory(measured(rng, 25.0, sides))
        low, high = fit.intervals.T
        of_truth += (low <= truth) & (truth <= high)
        (low,), _, (high,) = fit.predict(np.array([24.0]), 256 * 256)
        of_new += low <= true_mib(24, 256) + rng.normal(0, 25.0) <= high
    assert np.abs(of_truth - 950).max() <= 25 and abs(of_new - 950) <= 25


def test_what_surely_fits_does_and_what_is_beyond_perhaps_does_not():
    rng, most = np.random.default_rng(6), 17  # at 512 px in 8 GiB, by hand above
    answers = [fit_memory(measured(rng, 60.0)).holds(512 * 512, 8192) for _ in range(300)]
    too_large = sum(answer.surely > most for answer in answers)
    too_small = sum(answer.perhaps < most for answer in answers)
    assert too_large <= 15 and too_small <= 15  # 2.5 % each are 7.5
    assert any(answer.surely < answer.perhaps for answer in answers)


@pytest.mark.parametrize(("side", "most"), [(127, 0), (128, 40), (362, 25), (512, 8), (513, 0)])
def test_nothing_is_said_beyond_what_was_measured(side, most):
    # 362 px are 131,044 pixels: (131,044 - 16,384) / 245,760 = 0.467 of the way, so 40 - 0.467 x 32 = 25.07.
    small, large = measured(sides=(128,), batches=(1, 10, 20, 40)), measured(sides=(512,), batches=(1, 4, 8))
    fit = fit_memory([*small, *large])
    assert fit.most(side * side) == fit.holds(side * side, 1e6).surely == most


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([], "too few points: 0 at 0 image sizes"),
        (measured(sides=(128, 256), batches=(1, 2)), r"too few points: 4 at 2 .* 5 points and 2 batches .*--largest"),
        (measured(sides=(128,), batches=(1, 2, 4)), "too few points: 3 at 1"),
        ([*measured(sides=(128,)), *measured(sides=(512,), batches=(1,))], "7 at 2 image sizes with 1 batches or more"),
        ([Point(n, 4096, 500.0 - n) for n in BATCHES], "memory doesn't rise with the batch beyond its scatter"),
    ],
)
def test_points_that_make_no_fit_say_so_in_one_line(points, reason):
    with pytest.raises(NotFitted, match=reason) as error:
        fit_memory(points)
    assert "\n" not in str(error.value)


def searched(side, arch="unet", batches=BATCHES, scale=1.0, process=True, **config):
    """A record of a search at one image size; the process takes 400 MiB more than the allocator."""
    points = [[n, scale * true_mib(n, side)] for n in batches]
    memory = {"largest_batch": batches[-1], "memory_points": points, "method": "device allocator"}
    if process:
        ours = [[n, mib + 400] for n, mib in points]
        memory |= {"process_points": ours, "process_points_method": "NVML by process"}
    record = speed_record(arch, memory=memory, image_size=(side, side), **config)
    return replace(record, key=f"{record.key}-{side}")


def boards(tmp_path, *records):
    trials = [StoredTrial(record, tmp_path / str(number)) for number, record in enumerate(records)]
    return fit_boards(trials_frame(trials), {str(trial.folder): trial for trial in trials})


def test_a_board_says_what_fits_and_a_sentence_up_to_which_size(tmp_path):
    (board,) = boards(tmp_path, *(searched(side) for side in (512, 128, 256)))
    # Of the process: 1300 + batch x (3 + 1600 x megapixels). At 256 px an image takes 107.9 MiB: 1.4 GiB holds 1;
    # in 2 GiB fit (2048 - 1300) / 107.9 = 6.9, at 128 px 25.6, at 512 px 1.8.
    cells = {row.size: dict(zip(board.memories, row.cells, strict=True)) for row in board.rows}
    assert [row.size for row in board.rows] == ["128x128", "256x256", "512x512"]
    assert [cells[f"{side}x{side}"]["2 GiB"] for side in SIDES] == ["25", "6", "1"]
    assert [cells[f"{side}x{side}"]["8 GiB"] for side in SIDES] == ["≥ 32", "≥ 32", "16"]
    # At batch 16, (2048 - 1300) / 16 = 46.75 MiB an image are 27,344 pixels: 160 px (25,600) but not 192 px (36,864).
    assert "unet trains at batch 16 up to 160 px in 2 GiB" in board.sentences[0]
    assert "up to 512 px in 8 GiB (no larger one was measured)" in board.sentences[0]
    (text,) = board.fits
    assert text.startswith(
        "unet: memory in MiB = 1300 [1300, 1300] + 3 [3, 3] x batch + 1600 [1600, 1600] x batch x meg"
    )
    assert "18 points at 128x128 to 512x512, batches up to 32; measured: NVML by process." in text


def test_frontiers_that_cross_are_told_size_by_size(tmp_path):
    """A net with a large base and small images beats one without a base only on large images."""
    heavy = [searched(side, "segnet", scale=0.5) for side in SIDES]
    for record in heavy:
        record.memory["process_points"] = [[n, mib + 800] for n, mib in record.memory["process_points"]]
    (board,) = boards(tmp_path, *(searched(side) for side in SIDES), *heavy)
    two = board.memories.index("2 GiB")
    cells = {(row.label, row.size): row.cells[two] for row in board.rows}
    # segnet: 1650 + batch x (1.5 + 800 x megapixels). In 2 GiB: at 128 px 398 / 14.6 = 27, at 512 px 398 / 211.2 = 1.
    assert cells["unet", "128x128"] == "25" and cells["segnet", "128x128"] == "27"
    four = {(row.label, row.size): row.cells[board.memories.index("4 GiB")] for row in board.rows}
    # In 4 GiB at 512 px: unet (4096 - 1300) / 422.4 = 6.6, segnet 2446 / 211.2 = 11.6.
    assert four["unet", "512x512"] == "6" and four["segnet", "512x512"] == "11"


def test_records_without_the_process_s_memory_are_fitted_by_the_allocator_and_say_so(tmp_path):
    (board,) = boards(tmp_path, *(searched(side, process=False) for side in SIDES))
    assert board.fits[0].startswith("unet: memory in MiB = 900 [") and BY_ALLOCATOR in board.fits[0]
    (mixed,) = boards(tmp_path, searched(128, process=False), searched(256))
    assert BY_ALLOCATOR in mixed.fits[0]  # never both in one fit


def test_one_size_makes_a_line_and_two_batches_a_reason(tmp_path):
    (board,) = boards(tmp_path, searched(256), searched(256, "segnet", batches=(1, 2)))
    assert [row.label for row in board.rows] == ["unet"] and "megapixels" not in board.fits[0]
    assert board.fits[1].startswith("segnet: no fit, too few points: 2 at 1 image sizes")
    assert "segnet: no fit" in "\n".join(board.markdown())


def test_a_batch_that_was_not_measured_gets_no_size(tmp_path):
    (board,) = boards(tmp_path, *(searched(side, batches=(1, 2, 4)) for side in SIDES))
    assert board.sentences == (
        "unet: batch 16 is beyond what was measured (9 points at 128x128 to 512x512, batches up to 4).",
    )


@pytest.mark.parametrize(
    "points", [None, "x", [[1]], [["a", 3]], [[1, float("nan")], [-2, 5]], [[True, 1], [0, 3]], [[1e300, 1]], {"a": 1}]
)
def test_a_record_that_somebody_edited_gives_no_point(tmp_path, points):
    record = searched(128)
    record.memory["memory_points"] = record.memory["process_points"] = points
    found = boards(tmp_path, record)
    assert not found or "no fit" in found[0].fits[0]


def test_a_search_is_not_mixed_with_that_of_another_precision_or_device(tmp_path):
    other = [searched(side, scale=0.5, precision="mixed_bfloat16") for side in SIDES]
    away = [replace(searched(side), device="another GPU") for side in SIDES]
    first, second = boards(tmp_path, *(searched(side) for side in SIDES), *other, *away)
    assert [text.split(":")[0] for text in first.fits] == ["unet, precision float32", "unet, precision mixed_bfloat16"]
    assert [text.split(":")[0] for text in second.fits] == ["unet"] and second.title.endswith("another GPU")


def test_the_page_and_the_files_say_what_fits(tmp_path):
    for side in SIDES:
        write_trial(tmp_path, searched(side))
    report = write_report([tmp_path])
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert 'id="fits"' in page and "unet trains at batch 16 up to 160 px in 2 GiB" in page
    assert "trains at batch 16" in (tmp_path / "report" / "LEADERBOARD.md").read_text(encoding="utf-8")
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(report.fits[0].for_terminal())
    assert "unet trains at batch 16 up to 160 px in 2 GiB" in " ".join(console.export_text().split())
