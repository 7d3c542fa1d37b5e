"""A click on a row's architecture tells which other tables it could be compared with, and what keeps them apart."""

from browser import needs_browser, told
from fake_results import fake_config, fake_record, write_trial

from bench.core.specs import Budget
from bench.report.render import write_report

CLICK = """
  const ask = (table, place) => {
    document.getElementById("comparable").close();
    boards[table].tBodies[0].rows[place].querySelector("button.other").click();
    return document.getElementById("comparable");
  };
  const items = (shown) => Array.from(shown.querySelectorAll(":scope > ul > li"));
  const lines = (shown) => items(shown).map((line) => line.innerText.split("\\n"));
  const fields = (table) => table.closest("article").querySelector(".fields").textContent;
  const table = boards.findIndex((one) => fields(one).includes("10 epochs"));
  const row = Array.from(boards[table].tBodies[0].rows).findIndex((one) => one.dataset.label === "unet");
  const shown = ask(table, row);
  told.push(lines(shown), shown.querySelector("h2").textContent);
  told.push(lines(ask(table, 1 - row)).map((line) => line[0]));
  shown.querySelector("a").click();
  told.push(shown.open);
"""


@needs_browser
def test_the_window_names_other_tables_the_nearest_first_and_why_they_are_not_ranked_together(tmp_path):
    other = {"budget": Budget(30, "epochs"), "image_size": (64, 64)}
    trials = [("unet", {}), ("segnet", {}), ("unet", {"budget": Budget(20, "epochs")}), ("fcn", other)]
    for arch, changes in trials:
        write_trial(tmp_path / "results", *fake_record(fake_config(arch, **changes)), samples=0)
    page = write_report([tmp_path / "results"], tmp_path / "out").files[0]
    found, title, alone, opened = told(page, tmp_path, CLICK)
    (near, budget), (far, *others) = found
    assert title == "unet: comparable with ..."
    assert "20 epochs" in near and "(mean IoU there: 0." in near and budget == "budget: 10 epochs here, 20 epochs there"
    assert "30 epochs" in far and "(no row of this name)" in far
    assert others[0].startswith("evaluation size: ") and others[1] == "budget: 10 epochs here, 30 epochs there"
    assert all("(no row of this name)" in line for line in alone) and opened is False
