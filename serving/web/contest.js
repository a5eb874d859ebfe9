// Simulating a contest: progress while it runs, then what the lineups win.
import { follow } from "./api.js";
import { $, cell, headings, offer, percent, state } from "./dom.js";
import { OWN_TABLE, withOwn } from "./own.js";
import { everyRule } from "./rules.js";

const PORTFOLIO = {
  roi: ["Return ± 2 standard errors", percent], p_profit: ["P(profit)", percent], p_any_first: ["P(a first place)", percent],
  p_any_top10: ["P(a top 10)", percent], cash: ["Cashing", percent],
};
const LINEUP = [
  ["lineup", "Lineup", (v) => String(v)], ["projection", "Points", (v) => v.toFixed(1)], ["roi", "Return", (v) => percent(v)],
  ["win", "Win", (v) => percent(v, 2)], ["top1", "Top 1 %", (v) => percent(v, 1)], ["cash", "Cash", (v) => percent(v)],
  ["duplicates", "Copies", (v) => String(v), "opponents with the same lineup"],
];
let running = null;

function drawPortfolio(answer) {
  const table = $("portfolio");
  const shown = Object.entries(PORTFOLIO).filter(([key]) => key in answer.portfolio);
  headings(table, [["", ""], ...shown.map(([, [title]]) => [title, "n"])]);
  const body = document.createElement("tbody");
  for (const [title, values] of [["These lineups", answer.portfolio], ["By projection alone", answer.baseline]]) {
    const row = body.insertRow();
    cell(row, title, "name");
    for (const [key, [, show]] of shown) cell(row, show(values[key], 1) + (key === "roi" ? ` ± ${percent(2 * values.roi_se, 1)}` : ""), "n");
  }
  table.tBodies[0].replaceWith(body);
}

function drawChances(answer) {
  const table = $("chances");
  headings(table, LINEUP.map(([, title, , hint]) => [title, "n", hint]));
  const body = document.createElement("tbody");
  for (const each of answer.table) {
    const row = body.insertRow();
    for (const [key, , show] of LINEUP) cell(row, each[key] === null ? "–" : show(each[key]), "n");
  }
  table.tBodies[0].replaceWith(body);
}

function drawOwnership(answer) {
  const table = $("ownership");
  headings(table, [["Player"], ["Projected", "n"], ["Field", "n"], ["Yours", "n"], ["Optimal", "n", "share of simulations whose best lineup holds him"]]);
  const mine = new Map(answer.players.map((player) => [player.id, player.share]));
  const optimal = new Map(answer.optimal_share.map((each) => [each.site_id, each.optimal]));
  const body = document.createElement("tbody");
  const rows = [...answer.ownership].sort((one, other) => other.projected - one.projected);
  for (const each of rows) {
    const row = body.insertRow();
    cell(row, each.name, "name");
    for (const share of [each.projected, each.field, mine.get(each.site_id) || 0, optimal.get(each.site_id)]) cell(row, percent(share, 1), "n");
  }
  table.tBodies[0].replaceWith(body);
}

function draw(answer) {
  drawPortfolio(answer);
  drawChances(answer);
  drawOwnership(answer);
  const id = answer.id || state.built.id;
  $("simulation-csv").href = `/v1/lineups/${id}/upload.csv`;
  offer($("simulation-json"), JSON.stringify(answer, null, 1), `contest-${answer.slate_id}.json`, "application/json");
  const { contest } = answer;
  $("simulation-title").textContent = `${answer.lineups.length} entries among ${contest.field_size.toLocaleString("en-US")}, ${contest.scenarios_reported.toLocaleString("en-US")} simulations`;
  $("simulation").hidden = false;
  $("simulation-notes").textContent = answer.warnings.filter((text) => !state.warnings.includes(text)).join(" · ");
}

function body() {
  const payouts = $("payouts").value === OWN_TABLE ? state.payouts : $("payouts").value;
  const wanted = withOwn({ slate_id: state.slate, rules: everyRule(), objective: $("goal").value, payouts });
  for (const [id, name] of [["entries", "entries"], ["field-size", "field_size"], ["scenarios", "scenarios"], ["candidates", "candidates"]]) {
    const input = $(id);
    if (!input.checkValidity() || input.value === "") throw new Error(`${input.parentElement.firstChild.textContent.trim()} is "${input.value}": ${input.validationMessage}`);
    wanted[name] = Number(input.value);
  }
  if ($("use-built").checked) {
    if (!state.built) throw new Error("no lineups were built yet: press Build lineups first, or let the simulation choose them");
    wanted.lineups_id = state.built.id;
  }
  return wanted;
}

function advance(line) {
  $("progress").max = Math.max(line.total, 1);
  $("progress").value = line.done;
  $("stage").textContent = `${line.stage.replaceAll("_", " ")} ${percent(line.done / Math.max(line.total, 1))}`;
}

export async function simulate() {
  if (running) { running.abort(); return; }
  const wanted = body();
  const button = $("simulate");
  running = new AbortController();
  button.textContent = "Stop";
  try {
    for await (const line of follow("/v1/contests/simulate", wanted, running.signal)) {
      if (line.event === "progress") advance(line); else { draw(line); $("stage").textContent = "done"; $("progress").value = $("progress").max; }
    }
  } catch (error) {
    $("stage").textContent = error.name === "AbortError" ? "stopped" : "failed";
    $("progress").value = 0;
    if (error.name !== "AbortError") throw error;
  } finally {
    running = null;
    button.textContent = "Simulate contest";
  }
}

export function forgetContest() {
  if (running) running.abort();
  $("simulation").hidden = true;
  $("progress").value = 0;
  $("stage").textContent = "your rules above hold here too";
}
