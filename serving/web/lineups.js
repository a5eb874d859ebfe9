// Building lineups; their cards, exposures and files. The live page can follow what was built last.
import { post } from "./api.js";
import { $, cell, make, money, offer, percent, showTab, state } from "./dom.js";
import { BUILT } from "./live_lineup.js";
import { withOwn } from "./own.js";
import { everyRule } from "./rules.js";

function proof(lineup) {
  if (lineup.gap < 0.005) return "proven best";
  return `bound ${lineup.bound.toFixed(2)}, gap ${lineup.gap.toFixed(2)}`;
}

function card(lineup, index) {
  const table = make("table");
  for (const player of lineup.players) {
    const row = table.insertRow();
    if (state.locked.has(player.id)) row.className = "locked";
    cell(row, player.slot, "slot");
    cell(row, player.name, "name");
    cell(row, money(player.salary), "n");
    cell(row, player.projection.toFixed(1), "n points");
    cell(row, `${player.q10.toFixed(0)}–${player.q90.toFixed(0)}`, "n soft");
  }
  const title = make("h3", {}, `Lineup ${index + 1}`, make("strong", {}, `${lineup.projection.toFixed(2)} pts`));
  return make("article", { className: "card" }, title, table, make("small", {}, `${money(lineup.salary)} · ${proof(lineup)}`));
}

function drawExposures(answer) {
  const body = make("tbody");
  for (const rule of answer.exposures) {
    const row = body.insertRow();
    row.className = "rule";
    cell(row, rule.label, "name");
    cell(row, `${rule.count} of ${rule.least}–${rule.most}`, "n");
    cell(row, percent(rule.count / answer.lineups.length), "n");
  }
  for (const player of answer.players) {
    const row = body.insertRow();
    cell(row, player.name, "name");
    cell(row, String(player.count), "n");
    cell(row, percent(player.share), "n");
  }
  $("exposure-table").tBodies[0].replaceWith(body);
  $("exposures").hidden = false;
}

// A set with minimum exposures is chosen jointly and proven as a whole, else each lineup for itself.
function certificate(answer) {
  const { length } = answer.lineups;
  if (answer.bound === null) return `${answer.lineups.filter((lineup) => lineup.gap < 0.005).length} of ${length} proven best of what was still allowed`;
  const total = answer.lineups.reduce((sum, lineup) => sum + lineup.projection, 0);
  return `chosen together: ${total.toFixed(2)} points, and no other set totals more than ${answer.bound.toFixed(2)} (gap ${percent(answer.gap, 2)})`;
}

function drawLineups(answer) {
  $("lineups").replaceChildren(...answer.lineups.map(card));
  const took = answer.solve_ms < 10 ? answer.solve_ms.toFixed(1) : Math.round(answer.solve_ms);
  $("lineups-title").textContent = `${answer.lineups.length} lineups in ${took} ms`;
  $("certificate").textContent = [certificate(answer), ...answer.warnings.filter((text) => !state.warnings.includes(text))].join(" · ");
  drawExposures(answer);
}

export function forgetLineups() {
  state.built = null;
  $("lineups").replaceChildren();
  $("exposures").hidden = $("download").hidden = $("download-json").hidden = $("follow-live").hidden = true;
  $("lineups-title").textContent = "No lineups yet: press Build lineups";
  $("certificate").textContent = "";
}

export async function build() {
  const button = $("build");
  button.disabled = true;
  button.textContent = "Building …";
  try {
    const answer = await post("/v1/lineups", withOwn({ slate_id: state.slate, rules: everyRule() }));
    state.built = answer;
    drawLineups(answer);
    showTab("lineups");
    if ($("tabs").getBoundingClientRect().top > 0.7 * innerHeight) $("tabs").scrollIntoView();
    $("download").href = `/v1/lineups/${answer.id}/upload.csv`;
    $("download").hidden = $("follow-live").hidden = false;
    const lineups = answer.lineups.map((lineup) => lineup.players.map((player) => player.id));
    localStorage.setItem(BUILT, JSON.stringify({ slate_id: answer.slate_id, lineups }));
    offer($("download-json"), JSON.stringify(answer, null, 1), `lineups-${answer.slate_id}.json`, "application/json");
    $("build").dispatchEvent(new CustomEvent("built", { bubbles: true }));
  } finally {
    button.disabled = false;
    button.textContent = "Build lineups";
  }
}
