// A leaderboard: a table that can also be filtered, limited and split into pages.
class Leaderboard extends Board {
  constructor(article) {
    super(article.querySelector("table.main"));
    this.choice = article.querySelector(".choice");
    this.pager = article.querySelector(".pager");
    this.columns = this.headings.map((heading) => heading.dataset.column);
    this.ranks = new Ranks(this.rows.filter((row) => !row.classList.contains("unranked"))); // they come first
    const shared = Array.from(article.querySelectorAll(".fields .shared"), (span) => span.textContent).join(" ");
    this.texts = this.rows.map((row) => `${row.textContent} ${row.dataset.label} ${shared}`.toLowerCase());
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

  // Returns whether a row is within the limits: with a format, some form of it must be within those that forms have.
  keeps(row, limits, format) {
    const ofForms = format ? limits.filter((limit) => limit.ofForms) : [], own = limits.filter((limit) => !ofForms.includes(limit));
    if (!own.every((limit) => limit.keeps(this.value(row, limit.column)))) return false;
    const forms = format ? JSON.parse(row.dataset.forms || "[]").filter((form) => format === "any" || form.format === format) : [{}];
    return forms.some((form) => ofForms.every((limit) => limit.keeps(form[limit.key] ?? NaN)));
  }

  show(words, limits, format) {
    const fits = (row, place) => this.keeps(row, limits, format) && words.every((word) => this.texts[place].includes(word));
    const places = this.rows.map((_, place) => place).filter((place) => fits(this.rows[place], place));
    this.matching = new Set(places.map((place) => this.rows[place]));
    this.page = 0;
    const conditions = [format && `deployed as ${format}`, limits.length && "within the limits", words.length && "matching the filter"].filter(Boolean);
    this.rank(places.filter((place) => place < this.ranks.count), conditions.join(" and "));
    this.render();
  }

  // Writes the ranks among the rows shown, and advises: the best of them and those statistically tied with it. A row that
  // learned nothing has a rank, but is never advised.
  rank(places, conditions) {
    for (const [place, found] of this.ranks.among(places)) {
      const cell = this.rows[place].cells[this.columns.indexOf("rank")];
      [cell.textContent, cell.title] = [rankText(found), rankTitle(found, conditions)];
    }
    const able = places.filter((place) => !this.rows[place].classList.contains("unlearned"));
    const tied = able.filter((place) => !this.ranks.isWorse(place, able[0])).map((place) => this.rows[place]);
    const taken = new Set(tied);
    for (const row of this.rows) row.classList.toggle("take", taken.has(row));
    this.advise(tied, places.length, able.length, conditions);
  }

  advise(tied, ranked, able, conditions) {
    const head = document.createElement("b");
    head.textContent = !ranked ? `No row ${conditions ? `is ${conditions}` : "has a score"}.` : !able ? "None learned anything." : tied.length > 1 ? "Best, statistically tied:" : "Best:";
    const chips = tied.slice(0, 20).map((row) => {
      const chip = document.createElement("span");
      chip.className = "chip";
      chip.textContent = row.dataset.label;
      return chip;
    });
    const rest = document.createElement("span");
    rest.className = "what";
    const more = tied.length > 20 ? `and ${tied.length - 20} more ` : "";
    rest.textContent = `${more}(${tied.length} of ${ranked}${conditions && ` ${conditions}`})`;
    this.choice.replaceChildren(head, ...chips.flatMap((chip) => [" ", chip]), " ", ...(ranked ? [rest] : []));
  }

  turn(by) {
    this.page += by;
    this.render();
  }

  render(all = false) {
    this.shown = this.matching ? this.order.filter((row) => this.matching.has(row)) : this.order;
    const count = this.shown.length, first = this.page * PAGE_ROWS, last = Math.min(first + PAGE_ROWS, count);
    const rows = all ? this.shown : this.shown.slice(first, last);
    Comparable.offer(rows);
    this.body.replaceChildren(...rows);
    const [previous, next] = this.pager.querySelectorAll("button");
    this.pager.hidden = count <= PAGE_ROWS;
    [previous.disabled, next.disabled] = [first === 0, last === count];
    this.pager.querySelector("span").textContent = `Rows ${first + 1} to ${last} of ${count}`;
  }
}
