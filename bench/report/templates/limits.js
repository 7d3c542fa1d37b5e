// A limit: a number field, and a slider over the values in the tables; the slider's last position means no limit.
class Limit {
  constructor(element, boards) {
    this.column = element.dataset.column;
    this.atLeast = "atLeast" in element.dataset;
    this.ofForms = "ofForms" in element.dataset;
    this.scale = Number(element.dataset.scale);
    this.unit = element.dataset.unit;
    [this.number, this.slider] = element.querySelectorAll("input");
    this.key = this.number.id;
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
