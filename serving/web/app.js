// The page: a slate is chosen or uploaded, everything else follows from it.
import { ask, send } from "./api.js";
import { forgetContest, simulate } from "./contest.js";
import { $, make, notes, showTab, startTabs, state, tell } from "./dom.js";
import { fill, forgetEntries, swap } from "./entries.js";
import { build, forgetLineups } from "./lineups.js";
import { dropOwn, forgetOwn, readOwn, readPayouts } from "./own.js";
import { drawPlayers, nameAll } from "./players.js";
import { forgetRules, startRules } from "./rules.js";

const MOMENT = { year: "numeric", month: "short", day: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short" };
const SITES = { draftkings: "DraftKings", fanduel: "FanDuel", yahoo: "Yahoo" };
const RETRY_MS = 3000;
const when = (text) => new Date(text).toLocaleString([], MOMENT);
const ACTIONS = ["build", "simulate", "swap"];

function forget() {
  state.locked.clear();
  state.excluded.clear();
  for (const part of [forgetLineups, forgetContest, forgetEntries, forgetRules, forgetOwn]) part();
  for (const id of ACTIONS) $(id).disabled = true;
  showTab("players");
}

async function openSlate(id) {
  const chosen = $("slate").selectedOptions[0]?.dataset || {};
  Object.assign(state, { slate: id, site: chosen.site || "", sport: chosen.sport || "", mode: chosen.mode || "" });
  forget();
  const answer = await ask(`/v1/projections?slate_id=${encodeURIComponent(id)}`);
  if (state.slate !== id) return;
  state.players = answer.players;
  state.warnings = answer.warnings;
  nameAll();
  const data = answer.data_timestamp ? ` · data up to ${when(answer.data_timestamp)}` : "";
  const version = answer.model.version ? ` version ${answer.model.version}` : "";
  $("model").textContent = `${answer.model.name}${version}${data}${answer.fallback ? " · fallback" : ""}`;
  $("origin").hidden = answer.source !== "simulated";
  $("players-title").textContent = `Projections · ${answer.players.length} players`;
  tell("");
  notes(answer.warnings);
  drawPlayers();
  for (const name of ACTIONS) $(name).disabled = false;
}

function option(slate) {
  const lock = slate.lock ? when(slate.lock) : "no date";
  const origin = slate.source === "file" ? "your file" : slate.source;
  const text = `${SITES[slate.site] || slate.site} ${slate.sport.toUpperCase()} ${slate.mode} · ${slate.games} games · ${lock} · ${origin}`;
  const found = make("option", { value: slate.id }, text);
  Object.assign(found.dataset, { site: slate.site, sport: slate.sport, mode: slate.mode });
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
  $("model").textContent = `reading ${file.name} …`;
  const slate = await send("/v1/slates", form);
  await listSlates(slate.id);
}

const guarded = (action) => async (...words) => {
  try {
    tell("");
    await action(...words);
  } catch (error) {
    tell(error.message);
  }
};

async function begin() {
  try {
    await listSlates();
  } catch (error) {
    tell(`${error.message}${error.retryable === false ? "" : "\ntrying again …"}`);
    if (error.retryable !== false) setTimeout(begin, RETRY_MS);
  }
}

startTabs();
startRules();
$("slate").addEventListener("change", guarded(() => openSlate($("slate").value)));
$("file").addEventListener("change", guarded(async () => { if ($("file").files[0]) await upload($("file").files[0]); }));
$("file").addEventListener("click", () => { $("file").value = ""; });
for (const [id, action] of Object.entries({ "own-file": readOwn, "payouts-file": readPayouts })) {
  $(id).addEventListener("change", guarded(async () => { if ($(id).files[0]) await action($(id).files[0]); }));
  $(id).addEventListener("click", () => { $(id).value = ""; });
}
$("own-drop").addEventListener("click", dropOwn);
$("search").addEventListener("input", drawPlayers);
for (const [id, action] of Object.entries({ build, simulate, fill, swap })) $(id).addEventListener("click", guarded(action));
document.addEventListener("built", () => { $("fill").disabled = false; });
$("notice").lastElementChild.addEventListener("click", () => tell(""));
for (const name of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) guarded(upload)(event.dataTransfer.files[0]);
  });
}
begin();
