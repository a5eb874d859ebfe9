// What if the score or the clock of the chosen game were another? The model answers in this page where it can run here,
// else the server does (docs/tiers.md).
import { post } from "./api.js";
import { $, percent } from "./dom.js";
import { named, put } from "./live_text.js";
import { whatIf } from "./what_if.js";

const WAIT_MS = 150; // after the last key
const DEADLINE_MS = 2000; // who reads can wait that long for the better answer
const REGULATION_S = 2880;
const GATE = 0.7;
const LEAD = $("what-if-lead");
const LEFT = $("what-if-left");

export class WhatIf {
  constructor() {
    this.game = null;
    this.timer = null;
    this.asked = 0;
    for (const field of [LEAD, LEFT]) field.addEventListener("input", () => this.#changed());
  }

  /** Show the box for a game; until something is typed it stands as the game does. */
  draw(game, league) {
    const { whole } = game;
    const fresh = this.game?.id !== game.id;
    if (fresh) Object.assign(this, { touched: false, asked: this.asked + 1 });
    Object.assign(this, { game, league });
    const reason = whyNot(whole);
    $("what-if").hidden = whole.period === undefined;
    LEAD.disabled = LEFT.disabled = Boolean(reason);
    put($("what-if-home"), `${whole.home_team} leads by`);
    if (!this.touched) {
      LEAD.value = (whole.home_score ?? 0) - (whole.away_score ?? 0);
      LEFT.value = Math.round(Math.max(0, REGULATION_S - (whole.elapsed_s ?? 0)) / 6) / 10;
      put($("what-if-answer"), "");
      put($("what-if-said"), reason || "change the lead or the minutes left of regulation");
    }
  }

  forget() {
    this.game = null;
    $("what-if").hidden = true;
  }

  #changed() {
    this.touched = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#ask(), WAIT_MS);
  }

  async #ask() {
    const { game, league } = this;
    const asked = ++this.asked;
    const changes = { lead: LEAD.valueAsNumber, left_s: 60 * LEFT.valueAsNumber };
    if (!LEAD.checkValidity() || !LEFT.checkValidity() || Object.values(changes).some(Number.isNaN)) {
      put($("what-if-said"), "the lead is from −60 to 60, the minutes left from 0 to 48");
      return;
    }
    const began_ms = performance.now();
    try {
      const told = await answerOf(game, league, changes);
      if (asked === this.asked) this.#show(game.whole, told, performance.now() - began_ms);
    } catch (error) {
      if (asked !== this.asked) return;
      put($("what-if-answer"), "");
      put($("what-if-said"), error.message);
    }
  }

  #show({ home_team, away_team }, { home_win_probability: home, home_margin: margin, model, where, fallback, degraded }, took_ms) {
    const [team, chance] = home >= 0.5 ? [home_team, home] : [away_team, 1 - home];
    const by = `${margin.mean < 0 ? away_team : home_team} by ${Math.abs(margin.mean).toFixed(1)}`;
    put($("what-if-answer"), `${team} ${percent(chance)}${chance < GATE ? " · no call" : ""} · ${by}`);
    const took = `${where === "browser" ? "answered in this page" : "the server answered"} in ${took_ms.toFixed(took_ms < 10 ? 1 : 0)} ms`;
    put($("what-if-said"), [named(model), fallback ? "fallback" : "", degraded ? "degraded" : "", took].filter(Boolean).join(" · "));
  }
}

// `features` is what the model read of the game as this page shows it. A baseline read nothing: then the server takes
// the game as it is now.
async function answerOf({ id, whole: { features } }, league, changes) {
  if (features && Object.keys(features).length) return whatIf(features, changes, { league, gameId: id, deadlineMs: DEADLINE_MS });
  const { answer, model, fallback, degraded } = await post("/v1/ask", { league, question: { kind: "what_if", game_id: id, changes: [changes] }, deadline_ms: DEADLINE_MS });
  return { ...answer.answers[0], model, where: "server", fallback, degraded };
}

function whyNot({ status, home_win_probability: answered }) {
  if (status === "final") return "the game is over";
  return answered === undefined ? "no model has answered about this game yet" : "";
}
