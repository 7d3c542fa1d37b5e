"""Images that may not be published, in a local page and in a public one."""

from dataclasses import replace

import pytest
from fake_results import fake_config, fake_record, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.report.plots.latency import Latencies
from bench.report.render import write_report

LOCAL = "For local use only:"
LEFT_OUT = "Left out because they may not be published: images of"


@pytest.fixture(autouse=True)
def no_plots(monkeypatch):
    """Leave out the plots, which take seconds and hold no images of data sets."""
    monkeypatch.setattr("bench.report.sections.group_plots", lambda *_, **__: [])
    monkeypatch.setattr("bench.report.sections.latencies", lambda *_, **__: Latencies(None, ()))


@pytest.fixture
def results(tmp_path):
    """A results folder with trials on data sets whose images may be shown, may not, or have unknown terms."""
    for dataset, may_show in (("pets", {"may_show_pictures": True}), ("carvana", {"may_show_pictures": False}),
                              ("older", {})):  # fmt: skip
        record, table = fake_record(fake_config(dataset=dataset))
        data = {**record.dataset, "name": dataset, "fingerprint": dataset, **may_show}
        write_trial(tmp_path / "r", replace(record, key=dataset, dataset=data), table)
    return tmp_path / "r"


def pictures(folder):
    """Return the number of images in a report's page, the image files beside it, and the page."""
    page = (folder / "index.html").read_text()
    files = [path.name for path in folder.rglob("*") if path.suffix in (".png", ".jpg", ".webp")]
    return page.count("data:image/"), files, page


def test_a_local_page_shows_all_and_says_that_it_may_not_be_published(results, tmp_path):
    write_report([results], tmp_path / "out")
    count, _, page = pictures(tmp_path / "out")
    assert count == 3 * 3  # two samples and a worst image of each
    assert LOCAL in page and LEFT_OUT not in page
    assert "images of carvana, older may not be published" in page


def test_a_public_page_has_only_what_may_be_published_and_says_so(results, tmp_path):
    write_report([results], tmp_path / "out")  # a local page was there before
    ran = CliRunner().invoke(app, ["report", str(results), "--out", str(tmp_path / "out"), "--public"])
    assert ran.exit_code == 0, ran.output
    count, files, page = pictures(tmp_path / "out")
    assert count == 1 * 3
    assert f"{LEFT_OUT} carvana, older." in page and LOCAL not in page
    assert "--public" in page.rpartition("Rebuild this page")[2]
    assert files == []
    assert "carvana at 128x128" in page  # its numbers stay


def test_a_page_without_such_pictures_says_nothing(tmp_path):
    record, table = fake_record(fake_config())
    data = {**record.dataset, "may_show_pictures": True}
    write_trial(tmp_path / "r", replace(record, dataset=data), table)
    for public in (False, True):
        write_report([tmp_path / "r"], tmp_path / "out", public=public)
        count, _, page = pictures(tmp_path / "out")
        assert (count, LOCAL in page, LEFT_OUT in page) == (3, False, False)


def test_a_public_page_does_not_go_where_the_pictures_stand(results):
    with pytest.raises(BenchError, match="has the images of its trials"):
        write_report([results], results, public=True)
