function start() {
  const articles = Array.from(document.querySelectorAll("article.group"));
  const boards = articles.map((article) => (article.board = new Leaderboard(article)));
  new Comparable(articles);
  const view = new View(boards);
  for (const board of boards) {
    board.headings.forEach((heading, column) => heading.firstChild.addEventListener("click", () => view.sortBy(board, column)));
  }
  byId("filter").addEventListener("input", () => view.changed());
  byId("format")?.addEventListener("input", () => view.changed());
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
