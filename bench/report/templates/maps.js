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
