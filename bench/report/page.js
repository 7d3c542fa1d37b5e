"use strict";
// Sorts a table by the heading that is pressed, and hides the rows that the filter's words don't match.
// Values to sort by stand in data-sort; a cell without one stays last in both directions.

function compare(a, b) {
  const x = Number(a), y = Number(b);
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
}

function sortBy(heading) {
  const table = heading.closest("table"), body = table.tBodies[0];
  const column = Array.from(heading.parentNode.children).indexOf(heading);
  const descending = heading.ariaSort ? heading.ariaSort === "ascending" : firstDescending(heading);
  for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const keyed = Array.from(body.rows, (row) => [row.cells[column].dataset.sort, row]);
  keyed.sort(([a], [b]) => {
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return descending ? compare(b, a) : compare(a, b);
  });
  body.append(...keyed.map(([, row]) => row));
}

// Scores and rates: the best first. Ranks, latencies, sizes and names: the smallest first.
function firstDescending(heading) {
  return /IoU|dice|F2|accuracy|images\/s|efficiency|seeds/.test(heading.textContent);
}

function filterRows(text, count) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = Array.from(document.querySelectorAll("article > .scroll tbody tr"));
  let shown = 0;
  for (const row of rows) {
    const has = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => has.includes(word));
    shown += row.hidden ? 0 : 1;
  }
  count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
}

for (const button of document.querySelectorAll("table.board thead button")) {
  button.addEventListener("click", () => sortBy(button.parentNode));
}
const box = document.getElementById("filter");
if (box) {
  box.parentNode.hidden = false;
  box.addEventListener("input", () => filterRows(box.value, document.getElementById("count")));
}
