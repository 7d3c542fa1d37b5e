// What a row could be compared with: a click on its architecture opens a window with the other tables, those that differ in
// the fewest fields first, with the row of the same name there and the fields in which the tables differ.
class Comparable {
  constructor(articles) {
    this.tables = articles.map((article) => ({
      article,
      title: article.querySelector("h3").textContent,
      fields: new Map(Array.from(article.querySelectorAll(".fields span:not(.shared)"), (span) => [span.firstChild.textContent.trim(), span.querySelector("b").textContent])),
    }));
    this.window = document.body.appendChild(document.createElement("dialog"));
    this.window.id = "comparable";
    for (const { article } of this.tables) article.querySelector("table.main").addEventListener("click", (event) => this.open(article, event.target.closest("button.other")));
  }

  // Makes the architectures of the rows shown into buttons.
  static offer(rows) {
    for (const cell of rows.map((row) => row.querySelector("th.arch")).filter((cell) => !cell.firstElementChild)) {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "other", textContent: cell.textContent, title: "Comparable with ..." });
      cell.replaceChildren(button);
    }
  }

  open(article, button) {
    if (!button) return;
    const { label } = button.closest("tr").dataset, own = this.tables.find((table) => table.article === article);
    const others = this.tables.filter((table) => table !== own).map((table) => ({ ...table, differs: differences(own.fields, table.fields) }));
    others.sort((a, b) => a.differs.length - b.differs.length);
    const close = element("button", "Close");
    close.addEventListener("click", () => this.window.close());
    const what = others.length ? "Its rank is among the rows of its own table. Other tables, and why they aren't ranked with it:" : "Its rank is among the rows of its own table; the page has no other table.";
    const list = element("ul");
    list.append(...others.slice(0, 50).map((other) => this.line(other, label)));
    const rest = element("p", others.length > 50 ? `and ${others.length - 50} more tables` : "");
    this.window.replaceChildren(element("h2", `${label}: comparable with ...`), element("p", what), list, rest, close);
    this.window.showModal();
  }

  line({ article, title, differs }, label) {
    const link = element("a", title), line = element("li"), reasons = element("ul");
    link.href = `#${article.id}`;
    link.addEventListener("click", () => this.window.close());
    reasons.append(...differs.map(([name, here, there]) => element("li", `${name}: ${here} here, ${there} there`)));
    line.append(link, ` (${this.found(article, label)})`, reasons);
    return line;
  }

  // Says which score the row of the same name has in another table, whose rows may be on another of its pages.
  found(article, label) {
    const board = article.board, row = board.rows.find((row) => row.dataset.label === label);
    const place = board.columns.indexOf(article.dataset.metric);
    return row ? `${board.headings[place].textContent} there: ${row.cells[place].textContent}` : "no row of this name";
  }
}

function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

// Lists name, own and other value of the fields in which two tables differ.
function differences(own, other) {
  const names = [...new Set([...own.keys(), ...other.keys()])];
  return names.map((name) => [name, own.get(name) ?? "not set", other.get(name) ?? "not set"]).filter(([, here, there]) => here !== there);
}
