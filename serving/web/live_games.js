// The games of the league: a card each, with score, clock and the model's curve.
import { make, percent } from "./dom.js";
import { Curve, drawSmall } from "./live_curve.js";
import { put } from "./live_text.js";

const SVG = "http://www.w3.org/2000/svg";
const FINAL = "final";

export function clockOf(game) {
  if (game.status === FINAL) return game.period > 4 ? `Final, ${overtime(game.period)}` : "Final";
  if (game.period === undefined) return "not begun";
  const clock_s = Math.max(0, game.clock_s ?? 0);
  const minutes = Math.floor(clock_s / 60);
  return `${game.period > 4 ? overtime(game.period) : `Q${game.period}`} ${minutes}:${String(Math.floor(clock_s % 60)).padStart(2, "0")}`;
}

const overtime = (period) => (period === 5 ? "OT" : `${period - 4}OT`);

/** Who is thought to win, in words; a call is made from .70 on. */
export function chanceOf(game) {
  const home = game.home_win_probability;
  if (home === undefined) return "no answer of a model yet";
  const [team, chance] = home >= 0.5 ? [game.home_team, home] : [game.away_team, 1 - home];
  const words = game.status === FINAL ? "" : game.abstained ? " · no call" : "";
  return `${team} ${percent(chance)}${words}${game.fallback ? " · fallback" : ""}`;
}

/** Every game heard of. `chosen(id)` is told when one is picked. */
export class Games {
  constructor(box, chosen) {
    this.box = box;
    this.chosen = chosen;
    this.found = new Map(); // id -> { whole, at_ms, curve, card }
    this.picked = null;
  }

  get(id) { return this.found.get(id); }

  ids() { return [...this.found.keys()]; }

  /** A game listed by the server, before the hub has said anything of it. */
  list({ game_id, home_team, away_team }) {
    if (this.found.has(game_id)) return false;
    const game = { id: game_id, whole: { home_team, away_team }, at_ms: 0, curve: new Curve(), card: null };
    game.card = this.#card(game);
    this.found.set(game_id, game);
    this.box.append(game.card.button);
    this.#draw(game);
    return true;
  }

  /** The model's answers over a game, as the server kept them. */
  loadCurve(id, points) {
    const game = this.found.get(id);
    if (!game) return;
    game.curve.load(points.map((point) => [point.elapsed_s, point.home_win_probability, point.kind]));
    game.dirty = true;
  }

  /** Take a change over; whether it brings the first answer heard about the game. */
  update(id, whole, { changed, at_ms }) {
    const game = this.found.get(id);
    if (!game) return false;
    const heard = game.curve.points.length;
    game.whole = whole;
    game.at_ms = at_ms;
    // The answer may be about an earlier play than the newest.
    if ("at_seq" in changed && whole.at_elapsed_s !== undefined) game.curve.add(whole.at_elapsed_s, whole.home_win_probability, whole);
    game.dirty = true;
    return !heard && game.curve.points.length > 0;
  }

  /** Draw what changed since; returns whether the picked game did. */
  draw() {
    let picked = false;
    for (const game of this.found.values()) {
      if (!game.dirty) continue;
      game.dirty = false;
      this.#draw(game);
      picked ||= game.id === this.picked;
    }
    return picked;
  }

  pick(id) {
    this.picked = id;
    for (const game of this.found.values()) game.card.button.setAttribute("aria-pressed", game.id === id);
    this.chosen(id);
  }

  age(text, stale) {
    for (const game of this.found.values()) {
      const moving = game.at_ms > 0 && game.whole.status !== FINAL;
      put(game.card.age, moving ? text(game.at_ms) : "");
      game.card.button.classList.toggle("stale", moving && stale(game.at_ms));
    }
  }

  forget() {
    this.found.clear();
    this.picked = null;
    this.box.replaceChildren();
  }

  #card(game) {
    const part = (className) => make("span", { className });
    const card = { clock: part("clock"), away: part("n"), home: part("n"), chance: part("chance"), age: part("age") };
    const curve = document.createElementNS(SVG, "svg");
    curve.setAttribute("aria-hidden", "true");
    const { home_team, away_team } = game.whole;
    card.curve = curve;
    card.button = make("button", { type: "button", className: "game-card", "aria-pressed": "false" },
      make("span", { className: "top" }, card.clock, card.age),
      make("span", { className: "side" }, make("b", {}, away_team), card.away),
      make("span", { className: "side" }, make("b", {}, home_team), card.home),
      curve, card.chance);
    card.button.dataset.game = game.id;
    card.button.addEventListener("click", () => this.pick(game.id));
    return card;
  }

  #draw({ whole, card, curve }) {
    put(card.clock, clockOf(whole));
    put(card.away, String(whole.away_score ?? "–"));
    put(card.home, String(whole.home_score ?? "–"));
    put(card.chance, chanceOf(whole));
    card.button.classList.toggle("final", whole.status === FINAL);
    drawSmall(card.curve, curve.points);
  }
}
