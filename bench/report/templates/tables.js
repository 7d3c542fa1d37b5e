"use strict";
// Without this script the page shows everything. With it, a click on a heading sorts its table, rows are filtered by words
// and by limits, columns can be hidden, and long tables are split into pages. The view is kept in the page's address after
// the #. The values to sort by are in data-sort; cells without one come last in both directions.

const PAGE_ROWS = 100;
const byId = (id) => document.getElementById(id);

function compare(a, b) {
  const x = Number(a), y = Number(b);
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
}

function compareCells(a, b, descending) {
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  return descending ? compare(b, a) : compare(a, b);
}

// A table whose rows can be sorted by the column with a given index, or put back in their original order (-1).
class Board {
  constructor(table) {
    this.table = table;
    this.headings = Array.from(table.tHead.rows[0].cells);
    this.body = table.tBodies[0];
    this.rows = Array.from(this.body.rows);
    this.order = this.rows;
  }

  sort(column, descending) {
    for (const heading of this.headings) heading.removeAttribute("aria-sort");
    this.order = this.rows;
    if (column >= 0) {
      this.headings[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
      const keyed = this.rows.map((row) => [row.cells[column].dataset.sort, row]);
      this.order = keyed.sort(([a], [b]) => compareCells(a, b, descending)).map(([, row]) => row);
    }
    this.render();
  }

  // Returns whether a click on the heading sorts in descending order: scores and rates begin with the best, then reversed.
  next(column) {
    const heading = this.headings[column];
    return heading.ariaSort ? heading.ariaSort === "ascending" : "high" in heading.dataset;
  }

  render() {
    this.body.replaceChildren(...this.order);
  }
}
