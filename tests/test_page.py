"""The page in a real browser: sorting, filtering, limits, a shared address; no error, no request.

Without a browser these tests are skipped.
"""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from browser import browse, needs_browser, told
from fake_results import fake_config, fake_record, fake_results, write_trial

from bench.report.render import write_report

pytestmark = needs_browser


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """The page of ten ok trials and three that are not."""
    folder = tmp_path_factory.mktemp("page")
    return write_report([fake_results(folder / "results")], folder / "out").files[0]


def requests(page: Path, folder: Path) -> tuple[set[str], subprocess.CompletedProcess]:
    """Return the addresses that the browser requested, except for its own updates, and its messages."""
    log = folder / "net.json"
    done = browse(page, folder, "--enable-logging=stderr", f"--log-net-log={log}")
    asked = set(re.findall(r'"url":"(https?://[^"]+)"', log.read_text()))
    return {url for url in asked if not re.match(r"https?://[a-z0-9.]*\.(googleapis|google)\.com/", url)}, done


def test_no_error_and_no_request_leaves_the_page(page, tmp_path):
    asked, done = requests(page, tmp_path)
    assert not asked
    assert "CONSOLE" not in done.stderr  # errors, and what the page's policy forbids
    assert '<form class="picker" id="picker" autocomplete="off">' in done.stdout  # the script ran: its hash fits
    assert '<html lang="en" class="">' in done.stdout  # so did the one that holds long tables back, and it let go


def test_a_request_and_an_error_would_be_seen(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<img src='http://segbench.invalid/x.png'><script>nothing()</script>")
    asked, done = requests(page, tmp_path)
    assert asked == {"http://segbench.invalid/x.png"}
    assert "CONSOLE" in done.stderr


def test_sorting_and_filtering(page, tmp_path):
    up, rising, down, falling, ranks, left, count, shared = told(
        page,
        tmp_path,
        """
        press("peak memory"); told.push(column("peak memory"), head("peak memory").getAttribute("aria-sort"));
        press("peak memory"); told.push(column("peak memory"), head("peak memory").getAttribute("aria-sort"));
        press("mean IoU"); told.push(column("rank"));
        type("filter", "UNET resnet50");
        told.push(boards[0].tBodies[0].rows.length, document.getElementById("count").textContent);
        type("filter", "unet weights none"); told.push(boards[0].tBodies[0].rows.length)""",
    )
    numbers = [float(cell.replace(",", "")) for cell in up[:5]]
    assert numbers == sorted(numbers) and rising == "ascending"
    assert down[:5] == up[:5][::-1] and falling == "descending"
    assert up[5:] == down[5:] == ["–", "–"]  # noqa: RUF001  what was not measured stays last
    assert [rank.split()[0] for rank in ranks[:5]] == ["1", "1", "1", "1", "5"]
    assert left == 2 and count == "2 of 7 rows"
    assert shared == 4  # the weights of all rows are in the table's head


def test_a_heat_map_tells_the_counts_of_the_cell_that_arrow_keys_or_the_pointer_reach(page, tmp_path):
    first, right, edge, back, stops, pointed = told(
        page,
        tmp_path,
        """
        const map = document.querySelector("table.confusion");
        const text = () => map.closest("details").querySelector(".cell-text").textContent;
        const go = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        map.querySelector("td[tabindex='0']").focus(); told.push(text());
        go("ArrowRight"); told.push(text());
        go("ArrowUp"); told.push(text());
        go("ArrowLeft"); go("ArrowDown"); told.push(text());
        told.push(map.querySelectorAll("td[tabindex='0']").length);
        map.tBodies[0].rows[2].cells[3].dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
        told.push(text());""",
    )
    assert re.fullmatch(r"pet recognised: [\d,]+ pixels, \d\d\.\d\d% of pet", first)
    assert re.fullmatch(r"pet taken for background: [\d,]+ pixels, \d\.\d\d% of pet", right)
    assert edge == right and back == "background taken for pet: no pixel"
    assert stops == 1
    assert pointed.startswith("border recognised: ")


def test_limits_leave_what_keeps_them(page, tmp_path):
    before, after, latencies, number, address, command, nothing, reset, words = told(
        page,
        tmp_path,
        """
        told.push(chips());
        const slider = document.getElementById("max_latency_ms_slider");
        slider.value = 1; slider.dispatchEvent(new Event("input"));
        told.push(chips(), column("latency p95"), document.getElementById("max_latency_ms").value);
        told.push(location.hash, document.getElementById("command").textContent);
        type("min_mean_iou", "0.99"); told.push(document.querySelector(".choice").textContent);
        document.querySelector("button[type=reset]").click(); told.push(column("rank").length);
        type("filter", "unet"); told.push(document.getElementById("command").textContent)""",
    )
    assert words.endswith("/results  # without the filter's words")
    assert before == ["deeplab:resnet50", "unet:resnet50", "unet:mobilenet_v2", "deeplab:mobilenet_v2"]
    assert after == ["unet:mobilenet_v2", "deeplab:mobilenet_v2"]
    assert len(latencies) == 2 and all(float(value) <= float(number) for value in latencies)
    assert address == f"#max_latency_ms={number}"
    assert command == f"bench recommend {page.parents[1] / 'results'} --max-latency-ms {number}"
    assert nothing.startswith("No row is within the limits")
    assert reset == 7


def test_a_shared_address_opens_the_same_view(page, tmp_path):
    memory, shown, latency, boxes = told(
        page,
        tmp_path,
        """
        told.push(column("peak memory"), getComputedStyle(head("dice")).display);
        told.push(document.getElementById("max_latency_ms").value);
        told.push(Array.from(document.querySelectorAll("#columns input:not(:checked)"), (box) => box.value))""",
        fragment="#q=resnet50&max_latency_ms=40&sort=-peak_memory_mib&hide=dice,f2",
    )
    numbers = [float(cell.replace(",", "")) for cell in memory]
    assert len(numbers) == 2 and numbers == sorted(numbers, reverse=True)
    assert shown == "none" and latency == "40" and boxes == ["dice", "f2"]


def test_details_are_hidden_until_their_box_is_ticked_and_an_address_can_show_them_all(page, tmp_path):
    script = """
        const display = (name) => getComputedStyle(head(name)).display;
        const boxes = () => document.getElementById("shown").textContent;
        told.push(display("mean IoU"), display("F2"), boxes(), location.hash);
        document.querySelector("#columns input[value=f2]").click(); told.push(display("F2"), location.hash, boxes());
        document.querySelector("button[type=reset]").click(); told.push(display("F2"), location.hash)"""
    score, before, count, address, ticked, shared, more, reset, plain = told(page, tmp_path, script)
    assert (score, before, address) == ("table-cell", "none", "")
    assert ticked == "table-cell" and "f2" not in shared.removeprefix("#hide=").split("%2C") and shared != plain
    assert [int(re.search(r"[0-9]+", text)[0]) for text in (count, more)] == [n := int(count.split()[0][1:]), n + 1]
    assert (reset, plain) == ("none", "")
    shown = "told.push(heads.every((one) => getComputedStyle(one).display !== 'none'))"
    assert told(page, tmp_path, shown, fragment="#hide=") == [True]


def test_the_column_that_rows_are_ranked_by_is_no_detail(tmp_path):
    page = write_report([fake_results(tmp_path / "results")], tmp_path / "out", rank_by="f2").files[0]
    assert told(page, tmp_path, "told.push(getComputedStyle(head('F2')).display)") == ["table-cell"]


def test_a_place_in_the_page_is_no_view(page, tmp_path):
    assert told(page, tmp_path, "told.push(column('rank').length, location.hash)", "#method") == [7, "#method"]


def test_long_tables_have_pages(tmp_path):
    record, _ = fake_record(fake_config())
    for number in range(120):
        write_trial(tmp_path / "results", replace(record, key=f"key{number}", configuration=f"c{number:03}"), samples=0)
    page = write_report([tmp_path / "results"], tmp_path / "out").files[0]
    first, text, second, found = told(
        page,
        tmp_path,
        """
        told.push(column("rank").length, document.querySelector(".pager span").textContent);
        document.querySelector(".pager button:last-child").click(); told.push(column("rank").length);
        type("filter", "c007"); told.push(column("configuration"))""",
    )
    assert (first, text, second) == (100, "Rows 1 to 100 of 120", 20)
    assert found == ["c007"]


def test_the_time_to_a_score_follows_the_field(page, tmp_path):
    before, after, never = told(
        page,
        tmp_path,
        """
        const times = () => Array.from(document.querySelectorAll("tr[data-curve]"), (row) => row.cells[1].textContent);
        const box = document.querySelector(".goal");
        const goal = (text) => { box.value = text; box.dispatchEvent(new Event("input")); };
        told.push(times()); goal("0.3"); told.push(times()); goal("0.99"); told.push(times())""",
    )
    assert len(before) == 5 and set(never) == {"not reached"}
    assert all(float(soon) < float(late) for late, soon in zip(before, after, strict=True) if late != "not reached")


def test_no_heading_touches_the_one_beside_it(page, tmp_path):
    script = """
        const heads = Array.from(document.querySelectorAll("thead th"), (th) => th.querySelector("button") || th);
        const touching = heads.filter((one) => getComputedStyle(one).paddingLeft === "0px");
        told.push(heads.length, touching.map((one) => one.textContent))"""
    count, touching = told(page, tmp_path, f"{{ {script} }}")
    assert count > 20 and touching == []
