"use strict";
const $ = (id) => document.getElementById(id);
const money = (value) => "$" + value.toLocaleString("en-US");
const state = { slate: null, players: [], locked: new Set(), excluded: new Set() };

async function ask(path, options) {
  const answer = await fetch(path, options);
  const body = await answer.json().catch(() => ({ message: `${answer.status} ${answer.statusText}` }));
  if (!answer.ok) throw new Error(body.message || JSON.stringify(body.detail || body));
  return body;
}

function tell(text, isError) {
  $("notice").textContent = text;
  $("notice").className = isError ? "error" : "";
  $("notice").hidden = !text;
}

function cell(row, text, className) {
  const td = row.insertCell();
  td.textContent = text;
  if (className) td.className = className;
  return td;
}

function toggle(row, set, other, id, label) {
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = set.has(id);
  box.setAttribute("aria-label", label);
  box.addEventListener("change", () => {
    if (box.checked) { set.add(id); other.delete(id); } else { set.delete(id); }
    drawPlayers();
  });
  row.insertCell().append(box);
}

function interval(row, player, top) {
  const td = row.insertCell();
  const bar = document.createElement("span");
  bar.className = "bar";
  const band = document.createElement("i");
  band.style.left = (100 * Math.max(player.q10, 0)) / top + "%";
  band.style.width = (100 * Math.max(player.q90 - Math.max(player.q10, 0), 0)) / top + "%";
  const mark = document.createElement("b");
  mark.style.left = (100 * Math.max(player.mean, 0)) / top + "%";
  bar.append(band, mark);
  td.append(bar, `${player.q10.toFixed(1)} – ${player.q90.toFixed(1)}`);
}

function drawPlayers() {
  const body = $("players").tBodies[0];
  const wanted = $("search").value.trim().toLowerCase();
  const top = Math.max(1, ...state.players.map((p) => p.q90));
  body.replaceChildren();
  for (const player of state.players) {
    const words = `${player.name} ${player.team} ${player.positions.join("/")}`.toLowerCase();
    if (wanted && !words.includes(wanted)) continue;
    const row = body.insertRow();
    if (player.basis === "out") row.className = "out";
    toggle(row, state.locked, state.excluded, player.id, `lock ${player.name}`);
    toggle(row, state.excluded, state.locked, player.id, `exclude ${player.name}`);
    cell(row, player.name);
    cell(row, player.team);
    cell(row, player.positions.join("/"));
    cell(row, money(player.salary), "n");
    cell(row, player.mean.toFixed(2), "n");
    interval(row, player, top);
    cell(row, player.p_play.toFixed(2), "n");
    cell(row, (1000 * player.mean / player.salary).toFixed(2), "n");
    cell(row, player.basis);
  }
}

function drawLineups(answer) {
  const rows = new Map(state.players.map((p) => [p.id, p]));
  const cards = answer.lineups.map((lineup, index) => {
    const card = document.createElement("article");
    card.className = "card";
    const title = document.createElement("h3");
    title.append(`Lineup ${index + 1}`, `${lineup.projection.toFixed(2)} pts`);
    const table = document.createElement("table");
    for (const player of lineup.players) {
      const row = table.insertRow();
      const known = rows.get(player.id);
      cell(row, player.slot);
      cell(row, player.name);
      cell(row, money(player.salary), "n");
      cell(row, player.projection.toFixed(1), "n");
      cell(row, known ? `${known.q10.toFixed(0)}–${known.q90.toFixed(0)}` : "", "n");
    }
    const foot = document.createElement("small");
    foot.textContent = `${money(lineup.salary)} · proven within ${lineup.gap.toFixed(2)} points`;
    card.append(title, table, foot);
    return card;
  });
  $("lineups").replaceChildren(...cards);
}

async function openSlate(id) {
  state.slate = id;
  state.locked.clear();
  state.excluded.clear();
  $("lineups").replaceChildren();
  $("download").hidden = true;
  $("build").disabled = true;
  const answer = await ask(`/v1/projections?slate_id=${encodeURIComponent(id)}`);
  state.players = answer.players;
  const origin = answer.source === "simulated" ? " · simulated league, not real games" : "";
  $("model").textContent = `${answer.model.name} version ${answer.model.version} · data up to ${answer.data_timestamp}${origin}`;
  $("players-title").textContent = `Projections · ${answer.players.length} players`;
  tell(answer.warnings.join("\n"), false);
  drawPlayers();
  $("build").disabled = false;
}

async function listSlates(chosen) {
  const { slates } = await ask("/v1/slates");
  const options = slates.map((slate) => {
    const option = document.createElement("option");
    option.value = slate.id;
    option.textContent = `${slate.site} ${slate.sport} ${slate.mode} · ${slate.games} games · ${slate.lock || "no date"} · ${slate.source}`;
    return option;
  });
  $("slate").replaceChildren(...options);
  const first = chosen || (slates.find((slate) => slate.site === "draftkings") || slates[0] || {}).id;
  if (!first) { $("model").textContent = "no slate yet: drop a salary file"; return; }
  $("slate").value = first;
  await openSlate(first);
}

async function upload(file) {
  const form = new FormData();
  form.append("file", file);
  if ($("day").value) form.append("day", $("day").value);
  tell(`reading ${file.name} …`, false);
  const slate = await ask("/v1/slates", { method: "POST", body: form });
  await listSlates(slate.id);
}

async function build() {
  $("build").disabled = true;
  try {
    const answer = await ask("/v1/lineups", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        slate_id: state.slate,
        n: Number($("count").value),
        max_exposure: Number($("exposure").value) / 100,
        min_salary: Number($("min-salary").value),
        min_unique: Number($("unique").value),
        locked: [...state.locked],
        excluded: [...state.excluded],
      }),
    });
    drawLineups(answer);
    tell(answer.warnings.join("\n"), false);
    $("download").href = `/v1/lineups/${answer.id}/upload.csv`;
    $("download").hidden = false;
  } finally {
    $("build").disabled = false;
  }
}

const guarded = (action) => (...words) => action(...words).catch((error) => tell(error.message, true));
$("slate").addEventListener("change", guarded(() => openSlate($("slate").value)));
$("file").addEventListener("change", guarded(async () => { if ($("file").files[0]) await upload($("file").files[0]); }));
$("build").addEventListener("click", guarded(build));
$("search").addEventListener("input", drawPlayers);
for (const name of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) guarded(upload)(event.dataTransfer.files[0]);
  });
}
guarded(listSlates)();
