// The ranks of any part of a table's ranked rows, counted as bench/results/analysis/bootstrap.py does. A row's data-worse
// says which rows after it are significantly worse: lengths of runs, alternately tied and worse, the last one left out.
class Ranks {
  constructor(rows) {
    this.count = rows.length;
    this.changes = rows.map((row, place) => this.read(row.dataset.worse, place));
  }

  // Returns the places at which worse rows begin and end, in turn.
  read(text, place) {
    const changes = [];
    let at = place + 1;
    for (const length of text ? text.split(" ") : []) changes.push((at += Number(length)));
    if (changes.length % 2) changes.push(this.count);
    return changes;
  }

  // Returns whether a row is significantly worse than an earlier one.
  isWorse(place, earlier) {
    return this.changes[earlier].filter((at) => at <= place).length % 2 === 1;
  }

  // Returns rank, best and worst possible rank by place, of the rows at the given places in rising order.
  among(places) {
    const shown = new Int32Array(this.count + 1), above = new Int32Array(this.count + 1), found = new Map();
    for (const place of places) shown[place + 1] = 1;
    for (let place = 0; place < this.count; place++) shown[place + 1] += shown[place];
    for (const place of places) {
      let worse = 0;
      this.changes[place].forEach((at, number) => {
        const sign = number % 2 ? 1 : -1;
        worse += sign * shown[at];
        above[at] -= sign;
      });
      found.set(place, { worst: places.length - worse });
    }
    for (let place = 0; place < this.count; place++) above[place + 1] += above[place];
    let first = places[0], rank = 1;
    places.forEach((place, number) => {
      if (this.isWorse(place, first)) [first, rank] = [place, number + 1];
      Object.assign(found.get(place), { rank, best: 1 + above[place] });
    });
    return found;
  }
}

// Writes a rank as cells.py does: that of the tied group, and the range of possible ranks.
function rankText({ rank, best, worst }) {
  return best === rank && worst === rank ? String(rank) : `${rank} (${best}–${worst})`;
}

function rankTitle({ rank, best, worst }, part) {
  const whole = best === rank && worst === rank ? "no other rank is possible" : `tied group at rank ${rank}; ranks ${best} to ${worst} are possible`;
  return part ? `${whole}; among the rows shown` : whole;
}
