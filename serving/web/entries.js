// The site's entries file: filled with lineups before lock, swapped after it.
import { send, sendForFile } from "./api.js";
import { $, cell, offer, points, state } from "./dom.js";
import { everyRule } from "./rules.js";

function form() {
  const file = $("entries-file").files[0];
  if (!file) throw new Error("choose the entries file first");
  const made = new FormData();
  made.append("file", file);
  return [made, file.name];
}

export async function fill() {
  const [made, name] = form();
  const blob = await sendForFile(`/v1/lineups/${state.built.id}/entries.csv`, made);
  offer($("entries-download"), blob, name, "text/csv");
  $("swap-title").textContent = `${name} filled with your lineups`;
  $("swaps").hidden = true;
}

function said(entry) {
  const moves = entry.replaced.map((r) => `${r.slot}: ${r.out_name || "empty"} → ${r.into_name}`);
  return [...moves, entry.reason].filter(Boolean).join("; ");
}

function drawSwaps(answer) {
  const body = document.createElement("tbody");
  for (const entry of answer.entries) {
    const row = body.insertRow();
    row.className = entry.status;
    cell(row, entry.entry_id);
    cell(row, entry.status, "status");
    cell(row, said(entry));
    cell(row, points(entry.projection_before), "n");
    cell(row, entry.lineup ? points(entry.lineup.projection) : "–", "n points");
  }
  $("swaps").tBodies[0].replaceWith(body);
  $("swaps").hidden = false;
  const took = answer.solve_ms < 10 ? answer.solve_ms.toFixed(1) : Math.round(answer.solve_ms);
  $("swap-title").textContent = `${answer.swapped} swapped, ${answer.kept} kept, ${answer.unswappable} unswappable in ${took} ms`;
  $("swap-notes").textContent = answer.warnings.filter((text) => !state.warnings.includes(text)).join(" · ");
}

export async function swap() {
  const [made, name] = form();
  made.append("slate_id", state.slate);
  made.append("mode", $("swap-mode").value);
  if ($("now").value) made.append("now", new Date($("now").value).toISOString());
  for (const id of state.excluded) made.append("out", id);
  const rules = everyRule();
  // Whom the entries hold is theirs to say; locks of the panel are for new lineups.
  for (const own of ["n", "locked", "excluded"]) delete rules[own];
  made.append("rules", JSON.stringify(rules));
  if (state.own) made.append("projections", JSON.stringify(state.own));
  $("swap").disabled = true;
  try {
    const answer = await send("/v1/lineups/late-swap", made);
    drawSwaps(answer);
    offer($("entries-download"), answer.file, name, "text/csv");
  } finally {
    $("swap").disabled = false;
  }
}

export function forgetEntries() {
  $("swaps").hidden = $("entries-download").hidden = true;
  $("swap-title").textContent = "No entries yet";
  $("swap-notes").textContent = "";
  $("fill").disabled = true;
}
