"""The registry of quantities: everything that shows, limits or ranks a number is a view of its rows."""

import inspect
from pathlib import Path

import pytest
import scripts

from bench.commands.recommend import recommend
from bench.report.columns import HIGH_IS_BETTER, MEASURED
from bench.report.constraints import CONSTRAINTS
from bench.report.plots.trade_offs import COSTS
from bench.report.speed_tables import COLUMNS
from bench.results.gate.limits import DEFAULTS, read_limits
from bench.results.quantities import METRICS, PARAMS, QUANTITIES, quantity, shown_in
from bench.results.quantities.performance import PERFORMANCE, REVISIONS
from bench.results.quantities.quality import QUALITY
from bench.results.quantities.quantity import HIGHER, LOWER, SPEED_TABLE, Quantity, significant

ROOT = Path(__file__).parents[1]
PLACES = {value for name, value in vars(quantity).items() if name.isupper() and isinstance(value, str)}


def test_no_name_stands_twice():
    assert len(QUANTITIES) == len(QUALITY) + len(PERFORMANCE) + len(REVISIONS)


@pytest.mark.parametrize("row", QUANTITIES.values(), ids=lambda row: row.name)
def test_a_row_names_known_places_and_begins_its_sentences_large(row):
    assert set(row.where) <= PLACES
    for text in filter(None, (row.meaning, row.more, row.speed_meaning)):
        assert text[0] in "0123456789\u0060" or text[0].isupper(), text
        assert text.endswith("."), text


@pytest.mark.parametrize(("better", "goodness"), [(HIGHER, 2.0), (LOWER, -2.0), (None, 2.0)])
def test_more_goodness_is_always_better(better, goodness):
    row = Quantity(name="n", part="", heading="h", meaning="M.", better=better)
    assert row.goodness(2.0) == goodness


def test_limits_go_by_the_direction():
    at_most = {one.key: one.at_most for one in CONSTRAINTS}
    assert at_most == {key: key.startswith("max_") for key in at_most}
    options = inspect.signature(recommend).parameters
    assert set(at_most) <= set(options), "bench recommend lacks an option"


def test_the_gate_goes_by_the_direction(tmp_path):
    worse = {limit.metric: limit.worse for limit in DEFAULTS}
    assert worse["mean_iou"] == "lower" and worse["peak_memory_mib"] == worse["train_step_time"] == "higher"
    assert worse["params"] == "any"
    (tmp_path / "limits.toml").write_text("[file_mib]\nlimit = 1\n[dice]\nlimit = 0.1\n[mean_iou]\nworse = 'higher'\n")
    given = {limit.metric: limit.worse for limit in read_limits(tmp_path / "limits.toml")}
    assert (given["file_mib"], given["dice"], given["mean_iou"]) == ("higher", "lower", "higher")  # a file may differ


def test_the_views_hold_what_the_rows_say():
    assert PARAMS not in MEASURED and PARAMS in COLUMNS and PARAMS in COSTS
    assert {"mean_iou", "train_images_per_second", "seeds"} <= HIGH_IS_BETTER
    assert not HIGH_IS_BETTER & {"hausdorff95", "latency_ms_p95", "params", "train_seconds"}
    assert shown_in(SPEED_TABLE) == COLUMNS
    assert set(METRICS) >= {"mean_iou", "dice", "f2", "pixel_accuracy", "airbus_f2", "carvana_dice", "hausdorff95"}


def test_the_tables_in_the_documents_are_those_of_the_code():
    docs = scripts.load(".ci/docs.py")
    for name, (document, write) in docs.PARTS.items():
        text = (ROOT / document).read_text(encoding="utf-8")
        assert docs.written(text, name, write()) == text, f"{name} in {document} is stale: run make docs"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1_234_567.0, "1,234,567"),
        (101.4, "101"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.5, "0.500"),
        (0.0018652, "0.00187"),  # a small model's millions of parameters
        (-0.0421, "-0.0421"),
        (4e-9, "0.000000"),
        (0.0, "0.00"),
    ],
)
def test_a_small_number_keeps_its_digits(value, text):
    assert significant(value) == text
