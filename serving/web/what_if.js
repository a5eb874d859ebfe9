// What if the lead or the clock were another? The champion's own ONNX answers here, in the page, where onnxruntime-web
// is installed (`make web`); without it the server is asked. The same arithmetic as models/what_if.py, and tested to
// be: tests/unit/serving/test_what_if_js.py.

const RUNTIME = './vendor/ort.wasm.min.mjs';
let runtime;
const kept = new Map();

// Answers `changes`, one object such as {lead: 5, left_s: 120} or a list of them, to the inputs `features` of a game in
// progress (topic game:ID, field `features`). Options: {league, gameId, deadlineMs}. Returns one answer, or a list:
// {home_win_probability, home_margin: {mean, q10, q50, q90}, model, where: "browser" | "server", fallback, degraded}.
// Throws an Error with the server's message when a change is not known or nobody can answer.
export async function whatIf(features, changes, options = {}) {
  const many = Array.isArray(changes);
  const list = many ? changes : [changes];
  const found = (await inPage(features, list, options)) ?? (await fromServer(features, list, options));
  return many ? found : found[0];
}

// Whether what-ifs are answered in this page.
export async function answersHere() {
  return (await loadRuntime()) !== null;
}

// The inputs with changes applied; every input that depends on one follows. `known` is `constants` of the model.
export function changed(features, changes, known) {
  check(changes, known);
  const [lead0, share0, unit0] = ['lead', 'share_left', 'margin_unit'].map((name) => given(features, name));
  const standing = {};
  for (const name of ['ball', 'luck', 'run']) standing[name] = times(features[`${name}_standing`], unit0);
  const strength = {};
  for (const name of known.strength) {
    strength[name] = name in changes ? changes[name] : over(features[`${name}_left`], Math.sqrt(share0));
  }
  const lead = changes.lead ?? lead0;
  standing.ball = changes.ball ?? standing.ball;
  standing.run = changes.run_4min ?? standing.run;
  let share = share0;
  let unit = unit0;
  if ('left_s' in changes) {
    share = changes.left_s / known.regulation_s;
    unit = Math.sqrt(known.unit[0] + known.unit[1] * share + known.unit[2] * share ** 2);
  }
  const root = Math.sqrt(share);
  const power = strength.expected_margin ?? 0;
  const anchor = lead * (1 - known.given_back * share) + (known.drift[0] + known.drift[1] * power) * share;
  const late = Math.exp((-share * known.regulation_s) / known.last_s);
  const told = {
    ...features, anchor_logit: logOdds(anchor / unit, known.most_log_odds), margin_anchor: anchor, margin_unit: unit,
    share_left: share, root_left: root, lead, standing: lead / unit, lead_share: (lead * share) / unit,
    standing_late: (lead / unit) * late,
  };
  for (const name of Object.keys(standing)) told[`${name}_standing`] = over(standing[name], unit);
  for (const name of known.strength) told[`${name}_left`] = times(strength[name], root);
  return told;
}

// Answers of `session` (of `ort`) to each change; `model` is what GET /v1/models/live_win/what_if said.
export async function answersOf(ort, session, model, features, changes) {
  const width = model.features.length;
  const inputs = new Float32Array(width * changes.length);
  changes.forEach((each, row) => {
    const values = Object.keys(each).length ? changed(features, each, model.constants) : features;
    model.features.forEach((name, column) => {
      inputs[row * width + column] = values[name] ?? NaN;
    });
  });
  const tensor = new ort.Tensor('float32', inputs, [changes.length, width]);
  const raw = await session.run({ features: tensor });
  const share = model.features.indexOf('share_left');
  const levels = model.levels.length;
  return changes.map((_, row) => {
    const quantiles = Array.from(raw.raw_quantiles.data.slice(row * levels, (row + 1) * levels));
    const one = { logit: raw.raw_logit.data[row], mean: raw.raw_location.data[row], quantiles };
    return calibrated(one, inputs[row * width + share], model);
  });
}

function calibrated(raw, share, model) {
  const whole = Number.isNaN(share) ? 1 : share;
  const bucket = model.constants.buckets.filter((edge) => edge < whole).length;
  const temperature = model.calibration.temperatures?.[bucket] ?? 1;
  const moves = model.calibration.offsets?.[bucket] ?? null;
  let quantiles = raw.quantiles;
  if (moves !== null) {
    const spread = quantiles[moves.high] - quantiles[moves.low];
    quantiles = quantiles.map((value, k) => value + spread * moves.offsets[0][k]).sort((a, b) => a - b);
  }
  const [q10, q50, q90] = model.constants.shown.map((level) => between(level, model.levels, quantiles));
  return {
    home_win_probability: 1 / (1 + Math.exp(-raw.logit / temperature)),
    home_margin: { mean: raw.mean, q10, q50, q90 },
  };
}

async function inPage(features, changes, { league = 'nba' }) {
  const ort = await loadRuntime();
  if (ort === null) return null;
  const ready = await loadModel(ort, league);
  if (ready === null) return null;
  const answers = await answersOf(ort, ready.session, ready.model, features, changes);
  const model = { name: ready.model.name, version: ready.model.version };
  return answers.map((each) => ({ ...each, model, where: 'browser', fallback: false, degraded: false }));
}

async function fromServer(features, changes, { league = 'nba', gameId = 'what-if', deadlineMs = null }) {
  const question = { kind: 'what_if', game_id: gameId, changes, features };
  const body = { league, question, ...(deadlineMs === null ? {} : { deadline_ms: deadlineMs }) };
  const reply = await fetch('/v1/ask', {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  });
  const said = await reply.json();
  if (!reply.ok) throw new Error(said.message ?? `the server answered ${reply.status}`);
  const { model, fallback, degraded } = said;
  return said.answer.answers.map((each) => ({ ...each, model, where: 'server', fallback, degraded }));
}

function loadRuntime() {
  runtime ??= import(RUNTIME).then(
    (ort) => {
      // One thread: threads need headers that would cut the page off from other windows, and the model is tiny.
      ort.env.wasm.numThreads = 1;
      return ort;
    },
    () => null, // not installed: the server answers
  );
  return runtime;
}

// The champion's session, fetched again when another version became champion; null when there is none.
async function loadModel(ort, league) {
  const before = kept.get(league);
  if (before !== undefined && Date.now() - before.asked_ms < 30_000) return before;
  const reply = await fetch(`/v1/models/live_win/what_if?league=${encodeURIComponent(league)}`);
  if (!reply.ok) return null;
  const model = await reply.json();
  if (before?.model.version === model.version) {
    before.asked_ms = Date.now();
    return before;
  }
  const file = await fetch(model.onnx_url);
  if (!file.ok) return null;
  const session = await ort.InferenceSession.create(new Uint8Array(await file.arrayBuffer()));
  const ready = { session, model, asked_ms: Date.now() };
  kept.set(league, ready);
  return ready;
}

function check(changes, known) {
  for (const [name, value] of Object.entries(changes)) {
    const bound = known.strength_bound;
    const range = known.changes[name] ?? (known.strength.includes(name) ? [-bound, bound] : null);
    if (range === null) throw new Error(`change ${name} is unknown`);
    if (typeof value !== 'number' || !(value >= range[0] && value <= range[1])) {
      throw new Error(`change ${name} is ${value}; give a number from ${range[0]} to ${range[1]}`);
    }
  }
}

function given(features, name) {
  const value = features[name];
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Error(`feature ${name} is ${value}`);
  return value;
}

const times = (value, factor) => (value == null ? null : value * factor);
const over = (value, divisor) => (value == null || divisor === 0 ? null : value / divisor);

function between(level, levels, values) {
  if (level <= levels[0]) return values[0];
  const last = levels.length - 1;
  if (level >= levels[last]) return values[last];
  const at = levels.findIndex((each) => each > level) - 1;
  const share = (level - levels[at]) / (levels[at + 1] - levels[at]);
  return values[at] + share * (values[at + 1] - values[at]);
}

// Log-odds that a normal number with this mean (in deviations) is positive, held within ±most.
function logOdds(standing, most) {
  const odds = Math.log(upperTail(-standing)) - Math.log(upperTail(standing));
  return Math.min(Math.max(odds, -most), most);
}

// P(a standard normal number > z): a series near 0, Lentz's continued fraction beyond.
function upperTail(z) {
  if (z < 0) return 1 - upperTail(-z);
  if (z > 37) return Number.MIN_VALUE;
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  if (z < 3) {
    let term = z;
    let sum = z;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) {
      term *= (z * z) / (2 * n + 1);
      sum += term;
    }
    return 0.5 - density * sum;
  }
  let fraction = 0;
  for (let n = 100; n > 0; n -= 1) fraction = n / (z + fraction);
  return density / (z + fraction);
}
