"""The image size of each architecture within a limit of operations."""

import math
from dataclasses import replace

import pytest
from fake_results import fake_config, fake_record, write_trial
from hypothesis import given, settings
from hypothesis import strategies as st
from running import CONFIG
from typer.testing import CliRunner

from bench import api
from bench.cli import app
from bench.config import grid
from bench.config.equal_cost import share_of_limit
from bench.config.given import GridFile
from bench.core.errors import BenchError
from bench.core.trial_config import LARGEST_SIDE
from bench.report.findings.equal_cost_board import equal_costs
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.results.dataframe import load_results
from bench.trials import preflight
from bench.trials.identity import trial_key
from bench.trials.image_sizes.within_limit import sized

OPTIONS = {"arch": "unet", "dataset": "shapes", "param": ["filters=[4,8]"]}


def grid_of(**options):
    return grid.expand({**OPTIONS, **options})


@pytest.fixture
def law(monkeypatch):
    """Costs by side, without models; the sides that were counted are in the list that this returns."""

    def use(cost, counted=None):
        def summaries(configs, *, own_classes=False):
            sides = [config.image_size[0] for config in configs]
            (counted if counted is not None else []).extend(sides)
            return [found if isinstance(found, dict) else {"gflops": found} for found in map(cost, sides)]

        monkeypatch.setattr(preflight, "summaries", summaries)

    return use


def side_of(limit, **options):
    (config,) = sized(grid_of(same_gflops=limit, **options), lambda line: None)
    assert config.image_size[0] == config.image_size[1]
    return config.image_size[0]


@settings(deadline=None, max_examples=50)
@given(
    limit=st.floats(0.01, 1e5),
    square=st.floats(1e-5, 1e-2),
    fourth=st.sampled_from([0.0, 1e-9, 1e-7]),
    fixed=st.sampled_from([0.0, 0.5]),
    depth=st.integers(1, 6),
)
def test_the_size_is_the_largest_multiple_within_the_limit_whatever_the_law(limit, square, fourth, fixed, depth):
    def cost(side):
        return fixed + square * side**2 + fourth * side**4

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            preflight, "summaries", lambda some, **_: [{"gflops": cost(config.image_size[0])} for config in some]
        )
        step = 2**depth
        fitting = [side for side in range(step, LARGEST_SIDE + 1, step) if cost(side) <= limit]
        params = {"param": [f"filters={[4] * (depth + 1)}"]}
        if not fitting:
            with pytest.raises(BenchError, match="Give a higher one"):
                side_of(limit, **params)
        else:
            assert side_of(limit, **params) == max(fitting)


def test_few_sizes_are_built_to_find_one(law):
    counted = []
    law(lambda side: 3e-5 * side**2, counted)
    assert side_of(5.0) == 2 * int(math.sqrt(5.0 / 3e-5) / 2)
    assert len(counted) <= 3


def test_equal_models_are_counted_once_for_all_seeds(law):
    counted = []
    law(lambda side: side / 100, counted)
    configs = sized(grid_of(same_gflops=1, seeds=4), lambda line: None)
    assert [config.seed for config in configs] == [0, 1, 2, 3]
    assert len(counted) == len(set(counted))


def test_the_cost_is_that_of_the_trial_with_its_classes(quick_backend):
    told = []
    (config,) = sized(grid_of(same_gflops=0.004, backend=quick_backend), told.append)
    (at, beyond) = (
        preflight.summaries([replace(config, image_size=(side, side))], own_classes=True)[0]["gflops"]
        for side in (config.image_size[0], config.image_size[0] + 2)
    )
    assert at <= 0.004 < beyond
    (line,) = told
    assert line == (
        f"unet within 0.004 GFLOPs: {config.image_size[0]}x{config.image_size[0]}, {at:.3g} GFLOPs, "
        f"{1 - at / 0.004:.1%} below."
    )


def test_an_architecture_that_cannot_keep_the_limit_is_named_and_the_others_go_on(law):
    law(lambda side: side**2 / 1e4)
    told = []
    configs = sized(grid_of(arch="unet,fcn8", param=[], same_gflops=0.05), told.append)
    assert [config.arch for config in configs] == ["unet"]
    assert any(
        line.startswith("fcn8:vgg16 within 0.05 GFLOPs is left out: its smallest size, 32x32, takes 0.102 GFLOPs")
        for line in told
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({}, "the operations of its layers can't be counted"),
        ({"error": "a bin is larger than its features"}, "at 256x256, a bin is larger than its features"),
    ],
)
def test_a_model_that_cannot_be_counted_is_left_out_with_the_reason(law, answer, reason):
    law(lambda side: answer)
    told = []
    with pytest.raises(BenchError, match="No architecture has an image size within the limit"):
        sized(grid_of(same_gflops=1), told.append)
    assert told == [f"unet within 1 GFLOPs is left out: {reason}."]


def test_a_limit_beyond_the_largest_image_takes_that_and_says_so(law):
    law(lambda side: 1e-9 * side**2)
    told = []
    assert [c.image_size for c in sized(grid_of(same_gflops=9), told.append)] == [(LARGEST_SIDE, LARGEST_SIDE)]
    assert f"{LARGEST_SIDE} pixels are the most" in told[0]


def test_the_limit_implies_scores_at_native_size_and_leaves_the_key_to_the_size(law):
    law(lambda side: side / 100)
    (found,) = sized(grid_of(same_gflops=0.96), lambda line: None)
    assert (found.image_size, found.eval_size) == ((96, 96), "native")
    (named,) = grid_of(image_size=96, eval_size="native")
    assert trial_key(found, "data") == trial_key(named, "data")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 96}, "Leave out --image-size, or give it alone"),
        ({"eval_size": "train"}, "only --eval-size native can, but --eval-size is train"),
        ({"crop": 32}, "with --crop the model's input has the crop's size"),
        ({"resize": "crop"}, "--eval-size native needs whole images"),
        ({"same_gflops": 0}, "--same-gflops is 0. Accepted: GFLOPs of a forward pass"),
        ({"same_gflops": "nan"}, "Accepted: GFLOPs of a forward pass"),
        ({"same_gflops": "five"}, "--same-gflops is 'five'. Accepted: GFLOPs"),
        ({"same_memory_mib": 900}, "--same-gflops and --same-memory-mib each choose the image size"),
    ],
)
def test_what_does_not_go_with_a_limit_is_one_line(options, message):
    with pytest.raises(BenchError, match=message):
        grid_of(**{"same_gflops": 1, **options})


@pytest.mark.parametrize(
    ("file", "given", "expected"),
    [
        ({"image_size": 64}, {"same_gflops": 2}, (2.0, (128, 128))),
        ({"same_gflops": 2}, {"image_size": 64}, (None, (64, 64))),
        ({"same_gflops": 2}, {"same_gflops": 3}, (3.0, (128, 128))),
        ({"same_memory_mib": 900}, {"same_gflops": 3}, (3.0, (128, 128))),
    ],
)
def test_the_command_line_replaces_a_files_size_or_limit(file, given, expected):
    (config,) = grid.configs(given, GridFile({**OPTIONS, **file}, []))
    assert (config.same_gflops, config.image_size) == expected


def test_a_trial_of_a_file_replaces_the_size_or_the_limit_above_it():
    trials = [{"image_size": 64}, {"same_memory_mib": 900}, {}, {"seeds": 2, "image_size": 32}]
    configs = grid.configs({}, GridFile({**OPTIONS, "same_gflops": 2, "seed": 7}, trials))
    found = {(c.same_gflops, c.same_memory_mib, c.image_size, c.seed) for c in configs}
    assert found == {
        (None, None, (64, 64), 7),
        (None, 900.0, (128, 128), 7),
        (2.0, None, (128, 128), 7),
        (None, None, (32, 32), 0),
        (None, None, (32, 32), 1),
    }


def test_a_configuration_of_python_gets_its_size_too(law, monkeypatch, tmp_path):
    law(lambda side: side / 100)
    ran = []
    monkeypatch.setattr("bench.trials.runner.run", lambda configs, **_: ran.extend(configs))
    api.run(replace(CONFIG, same_gflops=0.5, eval_size="native"), results=tmp_path)
    assert [config.image_size for config in ran] == [(50, 50)]
    with pytest.raises(BenchError, match="only --eval-size native"):
        api.run(replace(CONFIG, same_gflops=0.5), results=tmp_path)


def test_a_dry_run_states_size_and_distance_and_a_shard_is_dealt_after_the_sizes(tmp_path, quick_backend):
    unet = ["run", "--arch", "unet", "--dataset", "shapes", "--same-gflops", "0.004", "--dry-run", "--backend"]
    unet += [quick_backend, "--param", "filters=[4,8]", "--results", str(tmp_path)]
    shown = CliRunner().invoke(app, unet, env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "unet within 0.004 GFLOPs: " in shown.stderr and "% below." in shown.stderr
    empty = CliRunner().invoke(app, [*unet, "--shard", "2/2"], env={"COLUMNS": "200"})
    assert "Shard 2 of 2: 0 of the grid's 1 trials." in empty.stderr


def test_the_record_has_the_share_of_the_limit():
    counted = replace(CONFIG, same_gflops=5.0)
    assert share_of_limit(counted, 4.5) == {"limit_share": 0.9}
    assert share_of_limit(CONFIG, 4.5) == share_of_limit(counted, None) == {}
    measured = replace(CONFIG, same_memory_mib=2000.0, sized_memory_mib=1500.0)
    assert share_of_limit(measured, 4.5) == share_of_limit(measured, None) == {"limit_share": 0.75}


@pytest.fixture
def results(tmp_path):
    for net, side, gflops in ((("unet", None), 48, 3.4), (("deeplab", "resnet50"), 96, 4.9), (("fcn8", None), 64, 4.0)):
        for seed in range(2):
            limit = None if net[0] == "fcn8" else 5.0
            config = fake_config(*net, seed, image_size=(side, side), eval_size="native", same_gflops=limit)
            record, table = fake_record(config)
            write_trial(tmp_path, replace(record, model={**record.model, "gflops": gflops}), table, samples=0)
    return tmp_path


def test_sizes_within_one_limit_stand_in_one_table_with_their_distance(results):
    (board,) = equal_costs(groups(load_results(results)))
    assert board.title.endswith("equal cost, 5 GFLOPs")
    assert [(label.partition(",")[0], *(cell.text for cell in cells[1:4])) for label, cells in board.rows] == [
        ("deeplab:resnet50", "96x96", "4.90", "2.0"),
        ("unet", "48x48", "3.40", "32.0"),
    ]


def test_the_page_and_its_text_have_the_table(results):
    page, text = write_report([results]).files[:2]
    for file in (page, text):
        assert "equal cost, 5 GFLOPs" in file.read_text(encoding="utf-8")
    assert 'href="#equal-cost"' in page.read_text(encoding="utf-8")
