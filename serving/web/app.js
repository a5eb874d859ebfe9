"use strict";
const $ = (id) => document.getElementById(id);
const money = (value) => "$" + value.toLocaleString("en-US");
const MOMENT = { year: "numeric", month: "short", day: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short" };
const when = (text) => new Date(text).toLocaleString([], MOMENT);
const SITES = { draftkings: "DraftKings", fanduel: "FanDuel", yahoo: "Yahoo" };
const RETRY_MS = 3000;
const BASIS = { champion: "model", file_average: "file average", out: "ruled out" };
const state = { slate: null, site: "", players: [], locked: new Set(), excluded: new Set() };

async function ask(path, options) {
  const answer = await fetch(path, options);
  const body = await answer.json().catch(() => ({ message: `${answer.status} ${answer.statusText}` }));
  if (answer.ok) return body;
  const clash = body.rules ? ` (${body.rules.join("; ")})` : "";
  throw Object.assign(new Error((body.message || "no answer") + clash), { retryable: body.retryable });
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

function toggle(row, player, mine, other, word) {
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = mine.has(player.id);
  box.setAttribute("aria-label", `${word} ${player.name}`);
  box.addEventListener("change", () => {
    if (box.checked) { mine.add(player.id); other.delete(player.id); } else { mine.delete(player.id); }
    drawPlayers();
    document.querySelector(`#players [aria-label="${CSS.escape(`${word} ${player.name}`)}"]`)?.focus();
  });
  row.insertCell().append(box);
}

function interval(row, player, top) {
  const td = row.insertCell();
  td.className = "interval";
  const bar = document.createElement("span");
  bar.className = "bar";
  bar.setAttribute("aria-hidden", "true");
  const at = (value) => (100 * Math.max(value, 0)) / top;
  const band = document.createElement("i");
  band.style.left = at(player.q10) + "%";
  band.style.width = at(player.q90) - at(player.q10) + "%";
  const mark = document.createElement("b");
  mark.style.left = at(player.mean) + "%";
  bar.append(band, mark);
  const text = document.createElement("span");
  text.textContent = `${player.q10.toFixed(1)} – ${player.q90.toFixed(1)}`;
  td.append(bar, text);
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
    row.className = player.basis === "out" || state.excluded.has(player.id) ? "out" : "";
    if (state.locked.has(player.id)) row.className = "locked";
    toggle(row, player, state.locked, state.excluded, "lock");
    toggle(row, player, state.excluded, state.locked, "exclude");
    cell(row, player.name, "name");
    cell(row, player.team);
    cell(row, player.positions.join("/"));
    cell(row, money(player.salary), "n");
    cell(row, player.mean.toFixed(2), "n points");
    interval(row, player, top);
    cell(row, Math.round(100 * player.p_play) + " %", "n");
    const thousands = state.site === "yahoo" ? player.salary : player.salary / 1000;
    cell(row, (player.mean / thousands).toFixed(2), "n");
    cell(row, BASIS[player.basis] || player.basis, "basis");
  }
  const words = [];
  if (state.locked.size) words.push(`${state.locked.size} locked`);
  if (state.excluded.size) words.push(`${state.excluded.size} out`);
  $("chosen").textContent = words.join(" · ");
}

function drawLineups(answer) {
  const cards = answer.lineups.map((lineup, index) => {
    const card = document.createElement("article");
    card.className = "card";
    const title = document.createElement("h3");
    const points = document.createElement("strong");
    points.textContent = `${lineup.projection.toFixed(2)} pts`;
    title.append(`Lineup ${index + 1}`, points);
    const table = document.createElement("table");
    for (const player of lineup.players) {
      const row = table.insertRow();
      if (state.locked.has(player.id)) row.className = "locked";
      cell(row, player.slot, "slot");
      cell(row, player.name, "name");
      cell(row, money(player.salary), "n");
      cell(row, player.projection.toFixed(1), "n points");
      cell(row, `${player.q10.toFixed(0)}–${player.q90.toFixed(0)}`, "n soft");
    }
    const foot = document.createElement("small");
    const proven = lineup.gap < 0.005 ? "proven best" : `within ${lineup.gap.toFixed(2)} points of the best`;
    foot.textContent = `${money(lineup.salary)} · ${proven}`;
    card.append(title, table, foot);
    return card;
  });
  $("lineups").replaceChildren(...cards);
  $("lineups-title").textContent = `${cards.length} lineups in ${Math.round(answer.solve_ms)} ms`;
  $("lineups-title").hidden = false;
}

function forget() {
  state.locked.clear();
  state.excluded.clear();
  $("lineups").replaceChildren();
  for (const id of ["download", "lineups-title"]) $(id).hidden = true;
  $("build").disabled = true;
}

async function openSlate(id) {
  state.slate = id;
  state.site = $("slate").selectedOptions[0]?.dataset.site || "";
  forget();
  const answer = await ask(`/v1/projections?slate_id=${encodeURIComponent(id)}`);
  state.players = answer.players;
  const data = answer.data_timestamp ? ` · data up to ${when(answer.data_timestamp)}` : "";
  const version = answer.model.version ? ` version ${answer.model.version}` : "";
  $("model").textContent = `${answer.model.name}${version}${data}${answer.fallback ? " · fallback" : ""}`;
  $("origin").hidden = answer.source !== "simulated";
  $("players-title").textContent = `Projections · ${answer.players.length} players`;
  tell(answer.warnings.join("\n"), false);
  drawPlayers();
  $("build").disabled = false;
}

function option(slate) {
  const found = document.createElement("option");
  const lock = slate.lock ? when(slate.lock) : "no date";
  const origin = slate.source === "file" ? "your file" : slate.source;
  found.value = slate.id;
  found.dataset.site = slate.site;
  found.textContent = `${SITES[slate.site] || slate.site} ${slate.sport.toUpperCase()} ${slate.mode} · ${slate.games} games · ${lock} · ${origin}`;
  return found;
}

async function listSlates(chosen) {
  const { slates } = await ask("/v1/slates");
  $("slate").replaceChildren(...slates.map(option));
  const first = chosen || (slates.find((slate) => slate.site === "draftkings") || slates[0] || {}).id;
  if (!first) { $("model").textContent = "no slate yet: choose a salary file, or run the daily line"; return; }
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
  $("build").textContent = "Building …";
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
    $("build").textContent = "Build lineups";
  }
}

const guarded = (action) => (...words) => action(...words).catch((error) => tell(error.message, true));

async function begin() {
  try {
    await listSlates();
  } catch (error) {
    tell(`${error.message}${error.retryable === false ? "" : "\ntrying again …"}`, true);
    if (error.retryable !== false) setTimeout(begin, RETRY_MS);
  }
}

$("slate").addEventListener("change", guarded(() => openSlate($("slate").value)));
$("file").addEventListener("change", guarded(async () => { if ($("file").files[0]) await upload($("file").files[0]); }));
$("file").addEventListener("click", () => { $("file").value = ""; });
$("build").addEventListener("click", guarded(build));
$("search").addEventListener("input", drawPlayers);
for (const name of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) guarded(upload)(event.dataTransfer.files[0]);
  });
}
begin();
