// The live page: games, players, news and lineups, drawn from what the hub says has changed.
import { ask, post } from "./api.js";
import { $, tell } from "./dom.js";
import { drawLarge } from "./live_curve.js";
import { LiveClient } from "./live_client.js";
import { chanceOf, clockOf, Games } from "./live_games.js";
import { drawMine, Mine } from "./live_lineup.js";
import { Lines } from "./live_lines.js";
import { News } from "./live_news.js";
import { Status } from "./live_status.js";
import { ago, named, put } from "./live_text.js";
import { WhatIf } from "./live_what_if.js";

const LEAGUES = { nba: "NBA", simulated: "Simulated" };
const LIVE_MODELS = ["live_win", "live_line"];
const LIST_AGAIN_MS = 5000;
const DRAW_MS = 60; // at most so often, however fast the changes come
const STALE_MS = 90_000;
const LOOK_MS = 3000;

const status = new Status();
const lines = new Lines();
const news = new News();
const whatIf = new WhatIf();
const games = new Games($("games"), open);
const mine = new Mine({
  followed(topics) { client.renew(); client.subscribe(topics); }, // the token names every lineup followed
  dropped(topic) { client.unsubscribe([topic]); later(); },
});
const rosters = new Map(); // game id -> player ids
let client = null;
let league = null;
let undecided = true;
let watched = []; // topics of the open game's players
let drawing = false;
let lookedAt_ms = 0;

const listed = (of) => ask(`/v1/live/games?league=${of}`);
const stale = (at_ms) => !status.connected || Date.now() - at_ms > STALE_MS;

const grant = async () => ({ ...(await post("/v1/live/token", { league, lineups: mine.keys(league) })), events: "/v1/live/events" });

// Says why nothing comes where the server knows.
async function hear(told) {
  status.hear(told);
  if (told.name === "connected") put($("hub-said"), "");
  if (told.name !== "waiting" || Date.now() - lookedAt_ms < LOOK_MS) return;
  lookedAt_ms = Date.now();
  try {
    const { running } = await ask("/v1/live/status");
    if (!running && !status.connected) put($("hub-said"), "The live hub is not running: start it with “fantasy serve”, or “python -m serving.live hub”.");
  } catch (error) {
    put($("hub-said"), `The server does not answer: ${error.message}`);
  }
}

// Draws happen together, and none while nobody looks.
function later() {
  if (drawing) return;
  drawing = true;
  setTimeout(() => requestAnimationFrame(() => { drawing = false; draw(); }), DRAW_MS);
}

function draw() {
  if (games.draw()) drawGame();
  if (lines.draw($("site").value)) drawSaid();
  drawMine(mine);
}

function drawGame() {
  const game = games.get(games.picked);
  if (!game) return;
  const { whole, curve } = game;
  const { home_team, away_team, home_score = 0, away_score = 0 } = whole;
  put($("game-title"), `${away_team} ${away_score} – ${home_score} ${home_team} · ${clockOf(whole)}`);
  const [svg, caption] = $("curve").children;
  drawLarge(svg, curve.points, Math.max(260, $("curve").clientWidth), [home_team, away_team]);
  svg.setAttribute("aria-label", `chance to win over the game: ${chanceOf(whole)}`);
  const margin = whole.home_margin;
  const by = (lead, digits = 0) => `${lead < 0 ? away_team : home_team} by ${Math.abs(lead).toFixed(digits)}`;
  const words = [chanceOf(whole)];
  if (margin && whole.status !== "final") words.push(`expected ${by(margin.mean, 1)} (80 %: ${by(margin.q10)} to ${by(margin.q90)})`);
  const behind = (whole.seq ?? 0) - (whole.at_seq ?? whole.seq ?? 0);
  if (behind > 0) words.push(`this answer knows all but the last ${behind === 1 ? "play" : `${behind} plays`}`);
  put(caption, words.join(" · "));
  put($("game-model"), whole.model ? `${named(whole.model)}${whole.fallback ? " · fallback" : ""}` : "");
  whatIf.draw(game, league);
}

function drawSaid() {
  const game = games.get(games.picked);
  const count = lines.rows.size;
  put($("lines-said"), count ? `${count} players; expected points and chances by the model named above each game, below .70 no call` : game?.whole.seq === undefined ? "no player of this game has done anything yet" : "the players' lines are on their way");
}

function open(id) {
  const game = games.get(id);
  $("game").hidden = false;
  client.unsubscribe(watched);
  lines.open([game.whole.away_team, game.whole.home_team]);
  watched = (rosters.get(id) || []).map((player) => `player:${player}`);
  client.subscribe(watched);
  drawGame();
  drawSaid();
}

function update(topic, whole, how) {
  if (!Object.keys(whole).length) return; // nobody has told of it yet
  const [kind, id] = [topic.slice(0, topic.indexOf(":")), topic.slice(topic.indexOf(":") + 1)];
  if (kind === "game" && games.update(id, whole, how)) loadCurve(id); // there may have been answers before
  if (kind === "player") {
    if (watched.includes(topic)) lines.update(id, whole);
  } else if (kind === "lineup") mine.update(topic, whole);
  else if (topic === "model") drawModels(whole);
  if (how.changed.news) news.update(how.changed.news);
  later();
}

function drawModels(models) {
  const all = Object.values(models).filter((model) => model?.name).map(named);
  put($("model"), LIVE_MODELS.map((family) => named(models[family])).filter(Boolean).join(" · ") || "baselines answer: no model of games in progress serves yet");
  $("model").title = all.join(", ");
}

// What was said before this page listened; it comes while changes do.
async function loadCurve(id) {
  const asked = league;
  try {
    const { points } = await ask(`/v1/live/games/${encodeURIComponent(id)}/curve?league=${asked}`);
    if (asked !== league) return;
    games.loadCurve(id, points);
    later();
  } catch (error) {
    tell(`The curve of game ${id} begins only now: ${error.message}`);
  }
}

async function list() {
  const asked = league;
  const { games: found, news: told } = await listed(asked);
  if (asked !== league) return;
  const fresh = [];
  for (const game of found) {
    rosters.set(game.game_id, game.players);
    if (games.list(game)) fresh.push(`game:${game.game_id}`);
  }
  if (told?.length) news.update(told);
  client.subscribe(fresh);
  const live = found.filter((game) => game.status === "live").length;
  put($("games-title"), found.length ? `${live} of ${found.length} games in progress` : "No game in progress");
  if (!games.picked && found.length) games.pick((found.find((game) => game.status === "live") || found[0]).game_id);
}

async function choose(chosen) {
  league = chosen;
  client?.close();
  for (const part of [games, lines, news, whatIf]) part.forget();
  rosters.clear();
  watched = [];
  $("game").hidden = true;
  $("origin").hidden = league !== "simulated";
  client = new LiveClient(grant, { update, state: hear, refused: ({ message }) => tell(message) });
  client.subscribe(["model", ...mine.topics(league)]);
  await Promise.all([list(), mine.open(league)]);
}

// A league with games is opened first.
async function begin() {
  const found = await Promise.all(Object.keys(LEAGUES).map(listed));
  if (league === null) $("league").replaceChildren(...Object.entries(LEAGUES).map(([id, name]) => new Option(name, id)));
  const wanted = new URLSearchParams(location.search).get("league");
  const chosen = wanted in LEAGUES ? wanted : (found.find(({ games: some }) => some.length) || found[0]).league;
  $("league").value = chosen;
  if (chosen !== league) await choose(chosen);
  else await list();
}

const guarded = (action) => async () => {
  try {
    await action();
  } catch (error) {
    tell(error.message);
  }
};

async function keepListing() {
  // Until somebody chooses, the first league that has a game is the one to show.
  if (league === null || (undecided && !games.picked && !document.hidden)) await guarded(begin)();
  else if (!document.hidden) await guarded(list)();
  setTimeout(keepListing, LIST_AGAIN_MS);
}

$("league").addEventListener("change", guarded(() => {
  undecided = false;
  return choose($("league").value);
}));
$("site").addEventListener("change", later);
$("notice").lastElementChild.addEventListener("click", () => tell(""));
new ResizeObserver(drawGame).observe($("curve"));
setInterval(() => {
  status.draw();
  games.age((at_ms) => (stale(at_ms) ? `stale, ${ago(at_ms, Date.now()) || "just lost"}` : ago(at_ms, Date.now())), stale);
}, 500);
keepListing();
