// My lineups: which are followed, their points so far and expected, and the best late swap.
import { ask, post, send } from "./api.js";
import { $, cell, make } from "./dom.js";
import { put } from "./live_text.js";

const KEPT = "fantasy-live-lineups";
const MOST = 50; // as many as one token names
const WAITING = "waiting for the first values …";
export const BUILT = "fantasy-built-lineups"; // what the drafting page built last: { slate_id, lineups }

const stored = (key) => { try { return JSON.parse(localStorage.getItem(key)); } catch (error) { return null; } };

/** Lineups of a text: player ids divided by commas, semicolons or white space, a lineup a line. */
export function lineupsIn(text) {
  return text.split("\n").map((line) => line.split(/[\s,;]+/).filter(Boolean)).filter((ids) => ids.length);
}

export class Mine {
  /** `followed(topics)` and `dropped(topic)` are told what is to be subscribed to, and what no longer. */
  constructor({ followed, dropped }) {
    Object.assign(this, { followed, dropped });
    this.kept = stored(KEPT) || []; // { league, lineup_id, key, topic, lineups }
    this.told = new Map(); // topic -> whole
    this.boxes = new Map(); // topic -> its <details>
    $("mine-follow").addEventListener("click", () => this.#guarded(() => this.#follow()));
    $("mine-built").addEventListener("click", () => this.#guarded(() => this.#followBuilt()));
  }

  /** What the token has to allow: id and key of every lineup followed in this league. */
  keys(league) { return this.of(league).map(({ lineup_id, key }) => ({ lineup_id, key })); }

  of(league) { return this.kept.filter((each) => each.league === league); }

  topics(league) { return this.of(league).map(({ topic }) => topic); }

  async open(league) {
    this.league = league;
    this.told.clear();
    this.dirty = true;
    const { slates } = await ask("/v1/slates");
    const mine = slates.filter((slate) => slate.league === league || slate.source === "file");
    $("mine-slate").replaceChildren(...mine.map((slate) => make("option", { value: slate.id }, `${slate.site} ${slate.mode} · ${slate.lock ? new Date(slate.lock).toLocaleString() : slate.id}`)));
    const built = stored(BUILT);
    this.built = built && mine.some((slate) => slate.id === built.slate_id) ? built : null;
    $("mine-built").hidden = !this.built;
    if (this.built) put($("mine-built"), `Follow the ${this.built.lineups.length} I built`);
    $("mine-add").open = !this.of(league).length;
    put($("mine-said"), this.of(league).length ? WAITING : "no lineup followed yet");
  }

  async #guarded(action) {
    $("mine-follow").disabled = $("mine-built").disabled = true;
    try {
      put($("mine-said"), "…");
      const skipped = this.#keep(await action());
      $("mine-add").open = false;
      put($("mine-said"), skipped.length ? `not followed: ${skipped.join("; ")}` : WAITING);
    } catch (error) {
      put($("mine-said"), error.message);
    } finally {
      $("mine-follow").disabled = $("mine-built").disabled = false;
    }
  }

  async #follow() {
    const slate_id = $("mine-slate").value;
    const file = $("mine-file").files[0];
    if (file) {
      const form = new FormData();
      form.append("slate_id", slate_id);
      form.append("file", file);
      return send("/v1/live/lineups/entries", form);
    }
    const lineups = lineupsIn($("mine-ids").value);
    if (!lineups.length) throw new Error("paste player ids, or choose the site's entries file");
    return post("/v1/live/lineups", { slate_id, lineups });
  }

  async #followBuilt() { return post("/v1/live/lineups", { slate_id: this.built.slate_id, lineups: this.built.lineups }); }

  // Returns what of it cannot be followed, and why.
  #keep({ lineups, skipped = [] }) {
    const fresh = lineups.map(({ lineup_id, key, topic }) => ({ league: this.league, lineup_id, key, topic }));
    if (this.of(this.league).length + fresh.length > MOST) throw new Error(`at most ${MOST} lineups are followed in one page; stop following some`);
    this.kept = [...this.kept, ...fresh];
    localStorage.setItem(KEPT, JSON.stringify(this.kept));
    this.followed(fresh.map(({ topic }) => topic));
    return skipped;
  }

  drop(topic) {
    this.kept = this.kept.filter((each) => each.topic !== topic);
    localStorage.setItem(KEPT, JSON.stringify(this.kept));
    this.told.delete(topic);
    this.dirty = true;
    this.dropped(topic);
    if (!this.of(this.league).length) put($("mine-said"), "no lineup followed yet");
  }

  update(topic, whole) {
    this.told.set(topic, whole);
    this.dirty = true;
    if ($("mine-said").textContent === WAITING) put($("mine-said"), "");
  }
}

// -- drawing ----------------------------------------------------------------------------------------------------------

const digits = (value) => (value === null || value === undefined ? "–" : value.toFixed(1));

function table(lineup) {
  const made = make("table");
  for (const player of lineup.players || []) {
    const row = made.insertRow();
    row.className = player.locked ? "locked" : "";
    cell(row, player.slot, "slot");
    cell(row, player.name, "name");
    cell(row, player.locked ? "locked" : "open", "soft state").title = player.locked ? "his game has begun" : "can still be swapped";
    cell(row, player.locked ? digits(player.points) : "–", "n points");
    cell(row, digits(player.projected), "n soft");
  }
  return made;
}

function swapOf({ best_swap: swap, names }) {
  if (!swap) return make("p", { className: "soft swap" }, "no swap of open slots is worth more");
  const name = (id) => names?.[id] ?? id;
  const moves = swap.swaps.map(({ out, in: into, out_name, in_name }) => `${out_name ?? name(out)} → ${in_name ?? name(into)}`);
  return make("p", { className: "swap" }, make("b", {}, `Best swap +${swap.gain.toFixed(2)}: `), moves.join(", "));
}

// What is open stays open: a lineup's box is kept, only what is in it is drawn anew.
function box(mine, topic) {
  const made = make("details", { className: "mine", open: !mine.boxes.size }, make("summary"), make("div"));
  made.dataset.topic = topic;
  mine.boxes.set(topic, made);
  return made;
}

export function drawMine(mine) {
  if (!mine.dirty) return;
  mine.dirty = false;
  const heard = mine.topics(mine.league).filter((topic) => mine.told.has(topic));
  for (const topic of [...mine.boxes.keys()]) if (!heard.includes(topic)) { mine.boxes.get(topic).remove(); mine.boxes.delete(topic); }
  let [points, projected] = [0, 0];
  for (const [index, topic] of heard.entries()) {
    const whole = mine.told.get(topic);
    const [summary, body] = (mine.boxes.get(topic) || box(mine, topic)).children;
    points += whole.points;
    projected += whole.projected;
    const gain = whole.best_swap ? make("b", { className: "gain" }, ` · swap +${whole.best_swap.gain.toFixed(1)}`) : "";
    summary.replaceChildren(`${index + 1}. ${digits(whole.points)} now · `, make("strong", {}, `${digits(whole.projected)} expected`), gain);
    const drop = make("button", { type: "button", className: "quiet drop" }, "Stop following");
    drop.addEventListener("click", () => mine.drop(topic));
    body.replaceChildren(table(whole), swapOf(whole), drop);
    if (!body.isConnected) $("mine-lineups").append(body.parentElement);
  }
  put($("mine-total"), heard.length > 1 ? `${heard.length} lineups, on average ${digits(points / heard.length)} now and ${digits(projected / heard.length)} expected` : "");
}
