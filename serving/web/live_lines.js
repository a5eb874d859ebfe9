// The players of the chosen game: their lines as they grow, and what the model expects of them by the end.
import { $, headings, make, percent } from "./dom.js";
import { named, put } from "./live_text.js";

const STATS = ["pts", "reb", "ast", "stl", "blk", "tov"];
const FLASH_MS = 1500;
const GATE = 0.7;
const TITLES = [
  ["Player"], ...STATS.map((name) => [name === "tov" ? "TO" : name.toUpperCase(), "n wide"]), ["Now", "n", "fantasy points so far"],
  ["Expected", "n", "fantasy points expected by the end"], ["80 %", "interval", "he ends between these with a chance of 80 %"],
  ["Over", "n over", "chance to end above his own projection before the game"],
];

const shortLine = (line) => STATS.slice(0, 3).map((name) => `${line[name] ?? 0} ${name}`).join(" · ");

export class Lines {
  constructor() {
    this.table = $("lines");
    headings(this.table, TITLES);
    this.forget();
  }

  forget() {
    this.rows = new Map(); // player id -> { row, parts, whole }
    this.sides = [];
    for (const body of [...this.table.tBodies]) body.remove();
  }

  /** Begin with a game: one part of the table per side. */
  open([away, home]) {
    this.forget();
    this.home = home;
    for (const team of [away, home]) {
      const body = this.table.createTBody();
      const title = body.insertRow();
      title.className = "team";
      title.append(make("th", { scope: "rowgroup", colSpan: TITLES.length }, team));
      this.sides.push(body);
    }
  }

  update(player_id, whole) {
    const found = this.rows.get(player_id) || this.#row(player_id);
    found.whole = whole;
    found.dirty = true;
  }

  draw(site) {
    const top = Math.max(40, ...[...this.rows.values()].map(({ whole }) => this.#expected(whole, site)?.q90 ?? 0));
    let moved = false;
    for (const found of this.rows.values()) {
      if (!found.dirty && found.site === site && found.top === top) continue;
      this.#fill(found, site, top);
      Object.assign(found, { dirty: false, site, top });
      moved = true;
    }
    if (moved) this.#sort(site);
    return moved;
  }

  #expected(whole, site) {
    const expected = whole.expected?.[site];
    return expected?.mean === null || expected?.q10 === null ? undefined : expected;
  }

  // Whoever has not played yet has no side; his team is the model's word.
  #isHome({ side, team }) { return side === undefined ? team === this.home : side === "home" || side === 1; }

  #row(player_id) {
    const row = make("tr");
    const parts = { name: make("td", { className: "name" }) };
    parts.who = make("span");
    parts.short = make("small", { className: "narrow" });
    parts.name.append(parts.who, parts.short);
    row.append(parts.name);
    for (const name of STATS) row.append(parts[name] = make("td", { className: "n wide" }));
    parts.now = make("td", { className: "n points" });
    parts.expected = make("td", { className: "n" });
    const [band, middle, range] = [make("i"), make("b"), make("span")];
    Object.assign(parts, { band, middle, range });
    parts.interval = make("td", { className: "interval" }, make("span", { className: "bar", "aria-hidden": "true" }, band, middle), range);
    parts.over = make("td", { className: "n over" }, make("span"), make("span", { className: "wide" }));
    row.append(parts.now, parts.expected, parts.interval, parts.over);
    row.dataset.player = player_id;
    const found = { row, parts, whole: {}, dirty: true };
    this.rows.set(player_id, found);
    return found;
  }

  #fill({ row, parts, whole }, site, top) {
    // Before he comes in, a line is of his game before.
    const line = whole.appeared === false ? {} : whole.line || {};
    const now = whole.appeared === false ? undefined : whole.fantasy_points?.[site];
    put(parts.who, whole.name || `Player ${row.dataset.player}`);
    put(parts.short, shortLine(line));
    for (const name of STATS) this.#write(parts[name], line.pts === undefined ? "–" : String(line[name] ?? 0));
    this.#write(parts.now, now === undefined ? "–" : now.toFixed(1));
    const expected = this.#expected(whole, site);
    put(parts.expected, expected ? expected.mean.toFixed(1) : "–");
    put(parts.range, expected ? `${expected.q10.toFixed(0)} – ${expected.q90.toFixed(0)}` : "–");
    parts.band.parentElement.hidden = !expected;
    if (expected) {
      const at = (value) => `${Math.min(100, Math.max(0, (100 * value) / top))}%`;
      parts.band.style.left = at(expected.q10);
      parts.band.style.width = at(expected.q90 - expected.q10);
      parts.middle.style.left = at(expected.mean);
    }
    drawOver(parts.over, whole.over_own_line?.[site]);
    row.classList.toggle("fallback", Boolean(whole.fallback));
    row.title = [named(whole.model), whole.fallback ? "fallback" : ""].filter(Boolean).join(" · ");
  }

  #write(element, text) {
    const first = !element.textContent;
    if (!put(element, text) || first) return;
    element.classList.add("moved");
    setTimeout(() => element.classList.remove("moved"), FLASH_MS);
  }

  // By fantasy points; rows are moved only where the order is another, so that the focus and a selection stay.
  #sort(site) {
    for (const [index, body] of this.sides.entries()) {
      const mine = [...this.rows.values()].filter(({ whole }) => Number(this.#isHome(whole)) === index);
      const score = ({ whole }) => (this.#expected(whole, site)?.mean ?? whole.fantasy_points?.[site] ?? 0);
      mine.sort((a, b) => score(b) - score(a));
      let before = body.rows[0];
      for (const { row } of mine) {
        if (before.nextElementSibling !== row) before.after(row);
        before = row;
      }
    }
  }
}

function drawOver(cell, told) {
  const called = told && Math.max(told.probability, 1 - told.probability) >= GATE;
  const [chance, line] = cell.children;
  put(chance, told ? percent(told.probability) : "–");
  put(line, told ? ` of ${told.line.toFixed(1)}` : "");
  cell.classList.toggle("soft", !called);
  cell.title = told ? `${called ? "" : "no call; "}his own line is his ${told.basis === "projection" ? "projection before the game" : "usual amount"}` : "";
}
