// The table of projections, with a lock and an out mark per player.
import { $, cell, make, money, percent, state } from "./dom.js";

const BASIS = { champion: "model", file_average: "file average", user: "yours", out: "ruled out" };

// A player listed twice (a captain apart) is told from himself by his positions.
export function nameAll() {
  const seen = new Map();
  for (const player of state.players) seen.set(player.name, (seen.get(player.name) || 0) + 1);
  state.names = new Map();
  for (const player of state.players) {
    player.label = seen.get(player.name) > 1 ? `${player.name} ${player.positions.join("/")} ${player.team} ${money(player.salary)}` : player.name;
    state.names.set(player.label, player.id);
  }
  $("player-names").replaceChildren(...state.players.map((player) => make("option", { value: player.label })));
}

function mark(row, player, mine, other, word) {
  const label = `${word} ${player.label}`;
  const box = make("input", { type: "checkbox", checked: mine.has(player.id), "aria-label": label });
  box.addEventListener("change", () => {
    if (box.checked) { mine.add(player.id); other.delete(player.id); } else { mine.delete(player.id); }
    drawPlayers();
    document.querySelector(`#players [aria-label="${CSS.escape(label)}"]`)?.focus();
  });
  cell(row, box, "tick");
}

function interval(player, top) {
  const at = (value) => (100 * Math.max(value, 0)) / top;
  const band = make("i");
  band.style.left = at(player.q10) + "%";
  band.style.width = at(player.q90) - at(player.q10) + "%";
  const middle = make("b");
  middle.style.left = at(player.mean) + "%";
  const bar = make("span", { className: "bar", "aria-hidden": "true" }, band, middle);
  const found = document.createDocumentFragment();
  found.append(bar, make("span", {}, `${player.q10.toFixed(1)} – ${player.q90.toFixed(1)}`));
  return found;
}

function value(player) {
  const thousands = state.site === "yahoo" ? player.salary : player.salary / 1000;
  return thousands ? (player.mean / thousands).toFixed(2) : "–";
}

export function drawPlayers() {
  const wanted = $("search").value.trim().toLowerCase();
  const top = Math.max(1, ...state.players.map((p) => p.q90));
  const body = make("tbody");
  for (const player of state.players) {
    const words = `${player.name} ${player.team} ${player.positions.join("/")}`.toLowerCase();
    if (wanted && !words.includes(wanted)) continue;
    const row = body.insertRow();
    row.className = player.basis === "out" || state.excluded.has(player.id) ? "out" : "";
    if (state.locked.has(player.id)) row.className = "locked";
    mark(row, player, state.locked, state.excluded, "lock");
    mark(row, player, state.excluded, state.locked, "exclude");
    const short = `${player.team} · ${player.positions.join("/")} · ${money(player.salary)}`;
    cell(row, player.name, "name").append(make("small", { className: "narrow" }, short));
    cell(row, player.team, "wide");
    cell(row, player.positions.join("/"), "wide");
    cell(row, money(player.salary), "n wide");
    cell(row, player.mean.toFixed(2), "n points");
    cell(row, interval(player, top), "interval");
    cell(row, percent(player.p_play), "n wide");
    cell(row, value(player), "n wide");
    cell(row, BASIS[player.basis] || player.basis, "basis wide");
  }
  $("players").tBodies[0].replaceWith(body);
  const words = [];
  if (state.locked.size) words.push(`${state.locked.size} locked`);
  if (state.excluded.size) words.push(`${state.excluded.size} out`);
  $("chosen").textContent = words.join(" · ") || "nobody locked or out";
}
