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

// A leaderboard: a table that can also be filtered, limited and split into pages.
class Leaderboard extends Board {
  constructor(article) {
    super(article.querySelector("table.main"));
    this.choice = article.querySelector(".choice");
    this.pager = article.querySelector(".pager");
    this.columns = this.headings.map((heading) => heading.dataset.column);
    this.places = new Map(this.rows.map((row, place) => [row, place]));
    this.texts = this.rows.map((row) => row.textContent.toLowerCase());
    this.shown = this.rows;
    this.page = 0;
    const [previous, next] = this.pager.querySelectorAll("button");
    previous.addEventListener("click", () => this.turn(-1));
    next.addEventListener("click", () => this.turn(1));
  }

  value(row, name) {
    const cell = row.cells[this.columns.indexOf(name)];
    return cell && cell.dataset.sort !== undefined ? Number(cell.dataset.sort) : NaN;
  }

  show(words, limits) {
    const keeps = (row) => limits.every((limit) => limit.keeps(this.value(row, limit.column)));
    const kept = new Set(this.rows.filter((row) => keeps(row)));
    this.kept = kept;
    this.matching = new Set(this.rows.filter((row, place) => kept.has(row) && words.every((word) => this.texts[place].includes(word))));
    this.page = 0;
    this.advise(limits.length > 0);
    this.render();
  }

  // Shows the best of the rows within the limits, and those that are statistically tied with it; none that learned nothing.
  advise(limited) {
    const ranked = this.rows.filter((row) => this.kept.has(row) && !row.classList.contains("unranked"));
    const able = ranked.filter((row) => !row.classList.contains("unlearned"));
    const tied = able.filter((row) => !isDifferent(able[0], this.places.get(row)));
    for (const row of this.rows) row.classList.toggle("take", tied.includes(row));
    const head = document.createElement("b");
    head.textContent = !ranked.length ? "No row is within the limits." : !able.length ? "None learned anything." : tied.length > 1 ? "Best, statistically tied:" : "Best:";
    const chips = tied.slice(0, 20).map((row) => {
      const chip = document.createElement("span");
      chip.className = "chip";
      chip.textContent = row.dataset.label;
      return chip;
    });
    const rest = document.createElement("span");
    rest.className = "what";
    const more = tied.length > 20 ? `and ${tied.length - 20} more ` : "";
    rest.textContent = `${more}(${tied.length} of ${ranked.length}${limited ? " within the limits" : ""})`;
    this.choice.replaceChildren(head, ...chips.flatMap((chip) => [" ", chip]), " ", ...(ranked.length ? [rest] : []));
  }

  turn(by) {
    this.page += by;
    this.render();
  }

  render(all = false) {
    this.shown = this.matching ? this.order.filter((row) => this.matching.has(row)) : this.order;
    const count = this.shown.length, first = this.page * PAGE_ROWS, last = Math.min(first + PAGE_ROWS, count);
    this.body.replaceChildren(...(all ? this.shown : this.shown.slice(first, last)));
    const [previous, next] = this.pager.querySelectorAll("button");
    this.pager.hidden = count <= PAGE_ROWS;
    [previous.disabled, next.disabled] = [first === 0, last === count];
    this.pager.querySelector("span").textContent = `Rows ${first + 1} to ${last} of ${count}`;
  }
}

// Returns whether the row with that index is significantly different from `row`; data-different holds the bits in hexadecimal.
function isDifferent(row, place) {
  const digit = parseInt((row.dataset.different || "")[place >> 2] || "0", 16);
  return ((digit >> (3 - (place % 4))) & 1) === 1;
}

// A limit: a number field, and a slider over the values in the tables; the slider's last position means no limit.
class Limit {
  constructor(element, boards) {
    this.column = element.dataset.column;
    this.atLeast = "atLeast" in element.dataset;
    this.scale = Number(element.dataset.scale);
    this.unit = element.dataset.unit;
    [this.number, this.slider] = element.querySelectorAll("input");
    const values = boards.flatMap((board) => board.rows.map((row) => board.value(row, this.column) / this.scale));
    this.values = Array.from(new Set(values.filter((value) => !Number.isNaN(value)).map((value) => this.round(value))));
    this.values.sort((a, b) => (this.atLeast ? b - a : a - b));
    this.slider.max = this.values.length;
  }

  // Rounds to three digits, in the direction that keeps the value's own row within the limit.
  round(value) {
    const unit = 10 ** (Math.floor(Math.log10(Math.abs(value) || 1)) - 2);
    return Number(((this.atLeast ? Math.floor(value / unit) : Math.ceil(value / unit)) * unit).toPrecision(3));
  }

  get isSet() {
    return this.number.value !== "" && !Number.isNaN(this.number.valueAsNumber);
  }

  keeps(value) {
    const own = value / this.scale, limit = this.number.valueAsNumber;
    return this.atLeast ? own >= limit : own <= limit;
  }

  set(text) {
    this.number.value = text;
    const limit = this.number.valueAsNumber;
    const place = this.isSet ? this.values.findLastIndex((value) => (this.atLeast ? value >= limit : value <= limit)) : this.values.length;
    this.slider.value = Math.max(place, 0);
    this.slider.setAttribute("aria-valuetext", this.isSet ? `${this.number.value} ${this.unit}`.trim() : "any");
  }

  slide() {
    const place = Number(this.slider.value);
    this.set(place < this.values.length ? String(this.values[place]) : "");
  }
}

// The view: filter, limits, sorting and hidden columns. It is read from the page's address and written to it. Columns of
// details are hidden unless the address says which ones are.
class View {
  constructor(boards) {
    this.boards = boards;
    this.limits = Array.from(document.querySelectorAll(".limit"), (element) => new Limit(element, boards));
    this.sorted = { column: "", descending: false };
    this.details = boards.flatMap((board) => board.headings.filter((heading) => "detail" in heading.dataset).map((heading) => heading.dataset.column));
    this.hidden = new Set(this.details);
    this.command = byId("command").textContent;
    this.style = document.head.appendChild(document.createElement("style"));
    this.listColumns();
  }

  listColumns() {
    const names = new Map(this.boards.flatMap((board) => board.headings.map((heading) => [heading.dataset.column, heading.textContent])));
    names.delete("arch");
    for (const [name, text] of names) {
      const label = document.createElement("label"), box = document.createElement("input");
      Object.assign(box, { type: "checkbox", checked: !this.hidden.has(name), value: name });
      box.addEventListener("change", () => {
        this.hidden[box.checked ? "delete" : "add"](name);
        this.changed();
      });
      label.append(box, text);
      byId("columns").append(label);
    }
  }

  sortBy(board, column) {
    this.sorted = { column: board.columns[column], descending: board.next(column) };
    this.sort();
    this.write();
  }

  sort() {
    const { column, descending } = this.sorted;
    for (const board of this.boards) board.sort(board.columns.indexOf(column), descending);
    if (!column) for (const board of this.boards) board.headings[0].setAttribute("aria-sort", "ascending");
  }

  changed() {
    this.show();
    this.write();
  }

  show() {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const set = this.limits.filter((limit) => limit.isSet);
    for (const board of this.boards) board.show(words, set);
    const all = this.boards.reduce((sum, board) => sum + board.rows.length, 0);
    const left = this.boards.reduce((sum, board) => sum + board.shown.length, 0);
    byId("count").textContent = words.length || set.length ? `${left} of ${all} rows` : "";
    const hide = (board, name) => `#${board.table.closest("article").id} .main tr > :nth-child(${board.columns.indexOf(name) + 1})`;
    const rules = this.boards.flatMap((board) => [...this.hidden].filter((name) => board.columns.includes(name)).map((name) => hide(board, name)));
    const boxes = Array.from(byId("columns").querySelectorAll("input"));
    byId("shown").textContent = `(${boxes.filter((box) => box.checked).length} of ${boxes.length} shown)`;
    this.style.textContent = rules.length ? `${rules.join(",")} { display: none; }` : "";
    byId("command").textContent = [this.command, ...set.map((limit) => `--${limit.number.id.replaceAll("_", "-")} ${limit.number.value}${limit.column === "params" ? "M" : ""}`)].join(" ");
  }

  write() {
    const state = new URLSearchParams();
    if (byId("filter").value.trim()) state.set("q", byId("filter").value.trim());
    for (const limit of this.limits) if (limit.isSet) state.set(limit.number.id, limit.number.value);
    if (this.sorted.column) state.set("sort", (this.sorted.descending ? "-" : "") + this.sorted.column);
    const usual = new Set(this.details);
    if (this.hidden.size !== usual.size || [...this.hidden].some((name) => !usual.has(name))) state.set("hide", [...this.hidden].join(","));
    history.replaceState(null, "", `#${state}`);
  }

  // A fragment without "=" is a link to a place in the page: the view stays as it is.
  read() {
    if (location.hash.length > 1 && !location.hash.includes("=")) return;
    const state = new URLSearchParams(location.hash.slice(1));
    byId("filter").value = state.get("q") || "";
    for (const limit of this.limits) limit.set(state.get(limit.number.id) || "");
    const sort = state.get("sort") || "";
    this.sorted = { column: sort.replace(/^-/, ""), descending: sort.startsWith("-") };
    this.hidden = new Set(state.has("hide") ? state.get("hide").split(",").filter(Boolean) : this.details);
    for (const box of byId("columns").querySelectorAll("input")) box.checked = !this.hidden.has(box.value);
    this.sort();
    this.show();
  }
}

function start() {
  const boards = Array.from(document.querySelectorAll("article.group"), (article) => new Leaderboard(article));
  const view = new View(boards);
  for (const board of boards) {
    board.headings.forEach((heading, column) => heading.firstChild.addEventListener("click", () => view.sortBy(board, column)));
  }
  byId("filter").addEventListener("input", () => view.changed());
  for (const limit of view.limits) {
    limit.number.addEventListener("input", () => { limit.set(limit.number.value); view.changed(); });
    limit.slider.addEventListener("input", () => { limit.slide(); view.changed(); });
  }
  byId("picker").addEventListener("submit", (event) => event.preventDefault());
  byId("picker").addEventListener("reset", (event) => {
    event.preventDefault();
    history.replaceState(null, "", "#=");
    view.read();
    view.write();
  });
  window.addEventListener("hashchange", () => view.read());
  window.addEventListener("beforeprint", () => boards.forEach((board) => board.render(true)));
  window.addEventListener("afterprint", () => boards.forEach((board) => board.render()));
  byId("picker").hidden = false;
  view.read();
  view.show();
}

// Shows when each configuration's validations first reached a score; ";" separates the seeds in data-curve.
function showTimes(section, goal) {
  for (const row of section.querySelectorAll("tr[data-curve]")) {
    const seeds = row.dataset.curve.split(";").map((seed) => seed.split(" ").map((point) => point.split(":").map(Number)));
    const times = seeds.map((seed) => seed.find(([, score]) => score >= goal)).filter(Boolean).map(([seconds]) => seconds);
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    row.cells[1].textContent = times.length ? Number(mean.toPrecision(4)) : "not reached";
    row.cells[2].textContent = `${times.length} of ${seeds.length}`;
  }
}

// A heat map of confused classes: it tells the count of the cell under the pointer, or of the one that the arrow keys reach.
class HeatMap {
  constructor(table) {
    this.names = Array.from(table.tHead.querySelectorAll("th"), (heading) => heading.textContent);
    this.rows = Array.from(table.tBodies[0].rows, (row) => Array.from(row.querySelectorAll("td")));
    this.told = table.closest("details").querySelector(".cell-text");
    this.rows[0][0].tabIndex = 0;
    for (const name of ["mouseover", "focusin"]) table.addEventListener(name, (event) => this.tell(event.target));
    table.addEventListener("keydown", (event) => this.move(event));
  }

  place(cell) {
    const row = this.rows.findIndex((cells) => cells.includes(cell));
    return [row, row < 0 ? -1 : this.rows[row].indexOf(cell)];
  }

  tell(cell) {
    const [row, column] = this.place(cell);
    if (row < 0) return;
    const [actual, guess] = [this.names[row], this.names[column]];
    const what = row === column ? `${actual} recognised` : `${actual} taken for ${guess}`;
    this.told.textContent = `${what}: ${cell.title ? `${cell.title} of ${actual}` : "no pixel"}`;
  }

  move(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const [row, column] = this.place(event.target);
    const next = step && row >= 0 && this.rows[row + step[0]]?.[column + step[1]];
    if (!next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}

// The pairs of a table's rows: two lists choose the pair that is shown. Without this script all pairs can be opened.
class Pairs {
  constructor(element) {
    this.pairs = new Map(Array.from(element.querySelectorAll("details"), (details) => [details.dataset.pair, details]));
    this.told = element.querySelector(".chooser span");
    this.lists = element.querySelectorAll("select");
    const labels = new Map();
    for (const [name, details] of this.pairs) {
      details.dataset.labels.split("\n").forEach((label, side) => labels.set(name.split("-")[side], label));
    }
    for (const list of this.lists) {
      for (const [place, label] of [...labels].sort(([a], [b]) => a - b)) list.append(new Option(label, place));
      list.addEventListener("change", () => this.show());
    }
    this.lists[1].selectedIndex = 1;
    element.querySelector(".chooser").hidden = false;
    this.show();
  }

  show() {
    const chosen = Array.from(this.lists, (list) => list.value).sort((a, b) => a - b).join("-");
    for (const [name, details] of this.pairs) details.hidden = !(details.open = name === chosen);
    const same = this.lists[0].value === this.lists[1].value;
    this.told.textContent = this.pairs.has(chosen) ? "" : same ? "Choose two different rows." : "This pair isn't on the page: bench compare names its images.";
  }
}

for (const element of document.querySelectorAll(".pairs")) new Pairs(element);
for (const table of document.querySelectorAll("table.confusion")) new HeatMap(table);
for (const box of document.querySelectorAll(".goal")) {
  box.addEventListener("input", () => { if (box.value) showTimes(box.closest(".target"), box.valueAsNumber); });
}
for (const table of document.querySelectorAll("table.board:not(.main)")) {
  const board = new Board(table);
  board.headings.forEach((heading, column) => heading.firstChild.addEventListener("click", () => board.sort(column, board.next(column))));
}
if (byId("picker")) start();
