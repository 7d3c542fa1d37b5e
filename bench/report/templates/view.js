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
    const format = byId("format")?.value || "";
    for (const board of this.boards) board.show(words, set, format);
    const all = this.boards.reduce((sum, board) => sum + board.rows.length, 0);
    const left = this.boards.reduce((sum, board) => sum + board.shown.length, 0);
    byId("count").textContent = words.length || set.length || format ? `${left} of ${all} rows` : "";
    const hide = (board, name) => `#${board.table.closest("article").id} .main tr > :nth-child(${board.columns.indexOf(name) + 1})`;
    const rules = this.boards.flatMap((board) => [...this.hidden].filter((name) => board.columns.includes(name)).map((name) => hide(board, name)));
    const boxes = Array.from(byId("columns").querySelectorAll("input"));
    byId("shown").textContent = `(${boxes.filter((box) => box.checked).length} of ${boxes.length} shown)`;
    this.style.textContent = rules.length ? `${rules.join(",")} { display: none; }` : "";
    this.tell(words, set, format);
  }

  // Writes the command of the same choice, and what it lacks: words, and limits that forms don't have.
  tell(words, limits, format) {
    const given = limits.filter((limit) => !format || limit.ofForms);
    const options = given.map((limit) => `--${limit.key.replaceAll("_", "-")} ${limit.number.value}${limit.column === "params" ? "M" : ""}`);
    const lacking = [words.length && "the filter's words", given.length < limits.length && "the limits that forms don't have"].filter(Boolean);
    const rest = lacking.length ? [` # without ${lacking.join(" and ")}`] : [];
    byId("command").textContent = [this.command, ...(format ? [`--format ${format}`] : []), ...options, ...rest].join(" ");
  }

  write() {
    const state = new URLSearchParams();
    if (byId("filter").value.trim()) state.set("q", byId("filter").value.trim());
    for (const limit of this.limits) if (limit.isSet) state.set(limit.key, limit.number.value);
    if (byId("format")?.value) state.set("format", byId("format").value);
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
    for (const limit of this.limits) limit.set(state.get(limit.key) || "");
    if (byId("format")) byId("format").value = [...byId("format").options].find(({ value }) => value === state.get("format"))?.value ?? "";
    const sort = state.get("sort") || "";
    this.sorted = { column: sort.replace(/^-/, ""), descending: sort.startsWith("-") };
    this.hidden = new Set(state.has("hide") ? state.get("hide").split(",").filter(Boolean) : this.details);
    for (const box of byId("columns").querySelectorAll("input")) box.checked = !this.hidden.has(box.value);
    this.sort();
    this.show();
  }
}
