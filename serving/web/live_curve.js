// The curve of a game: P(home wins) over elapsed seconds, one point per answer of the model.
const SVG = "http://www.w3.org/2000/svg";
const QUARTER_S = 720;
const REGULATION_S = 4 * QUARTER_S;
const OVERTIME_S = 300;
const BAND = [0.3, 0.7]; // where the model makes no call: it is less than .70 sure of either side
const FALLBACK = "fallback";

function svg(tag, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

/** Points of one game, [elapsed_s, P(home wins), "called" | "abstained" | "fallback"]: those the server kept, then those heard. */
export class Curve {
  points = [];

  /** What the server kept, before what was heard meanwhile. */
  load(kept) {
    const until = kept.length ? kept.at(-1)[0] : -1;
    this.points = [...kept, ...this.points.filter(([elapsed_s]) => elapsed_s > until)];
  }

  /** Add an answer; one about an earlier moment takes the place of what came after (a correction, or a new replay). */
  add(elapsed_s, probability, { fallback, abstained }) {
    while (this.points.length && this.points.at(-1)[0] >= elapsed_s) this.points.pop();
    this.points.push([elapsed_s, probability, fallback ? FALLBACK : abstained ? "abstained" : "called"]);
  }
}

const lengthOf = (elapsed_s) => REGULATION_S + OVERTIME_S * Math.max(0, Math.ceil((elapsed_s - REGULATION_S) / OVERTIME_S));

// Runs of one kind, each beginning at the point before it so that the line does not break.
function runs(points) {
  const found = [];
  for (const [index, point] of points.entries()) {
    const fallback = point[2] === FALLBACK;
    const run = found.at(-1);
    if (run && run.fallback === fallback) run.points.push(point);
    else found.push({ fallback, points: index ? [points[index - 1], point] : [point] });
  }
  return found;
}

function line(points, at) {
  return points.map((point) => at(point).map((value) => value.toFixed(1)).join(",")).join(" ");
}

function draw(target, points, { width, height, left, right, top, bottom }, furniture) {
  const last = points.at(-1);
  const span = lengthOf(last ? last[0] : 0);
  const x = (elapsed_s) => left + ((width - left - right) * elapsed_s) / span;
  const y = (probability) => top + (height - top - bottom) * (1 - probability);
  const at = ([elapsed_s, probability]) => [x(elapsed_s), y(probability)];
  target.setAttribute("viewBox", `0 0 ${width} ${height}`);
  target.append(svg("rect", { class: "band", x: left, width: width - left - right, y: y(BAND[1]), height: y(BAND[0]) - y(BAND[1]) }));
  target.append(svg("line", { class: "half", x1: left, x2: width - right, y1: y(0.5), y2: y(0.5) }));
  furniture?.({ x, y, span });
  for (const run of runs(points)) target.append(svg("polyline", { class: run.fallback ? "by-fallback" : "by-model", points: line(run.points, at) }));
  if (last) target.append(svg("circle", { class: last[2] === FALLBACK ? "by-fallback" : "by-model", cx: x(last[0]), cy: y(last[1]), r: 4 }));
}

/** The small curve on a game's card. */
export function drawSmall(target, points) {
  target.replaceChildren();
  draw(target, points, { width: 190, height: 56, left: 1, right: 5, top: 4, bottom: 4 });
}

/** The curve with its axes; `width` in CSS pixels, so that its words keep their size. */
export function drawLarge(target, points, width, [home, away]) {
  const height = width < 500 ? 190 : 250;
  const box = { width, height, left: 44, right: 14, top: 14, bottom: 24 };
  target.replaceChildren();
  target.setAttribute("width", width);
  target.setAttribute("height", height);
  draw(target, points, box, ({ x, y, span }) => {
    const middle = (from, to) => (x(from) + x(to)) / 2;
    for (let begin = 0, period = 1; begin < span; period += 1) {
      const end = begin + (begin < REGULATION_S ? QUARTER_S : OVERTIME_S);
      if (begin) target.append(svg("line", { class: "quarter", x1: x(begin), x2: x(begin), y1: box.top, y2: height - box.bottom }));
      const name = period <= 4 ? `Q${period}` : period === 5 ? "OT" : `${period - 4}OT`;
      target.append(svg("text", { x: middle(begin, end), y: height - 7, "text-anchor": "middle" }, name));
      begin = end;
    }
    for (const [probability, text] of [[1, home], [0.7, "70 %"], [0.5, "50 %"], [0.3, "70 %"], [0, away]]) {
      target.append(svg("text", { x: box.left - 6, y: y(probability) + 4, "text-anchor": "end", class: probability % 1 ? "" : "team" }, text));
    }
    target.append(svg("text", { x: width - box.right - 6, y: y(BAND[0]) - 5, "text-anchor": "end", class: "band-name" }, "no call"));
  });
}
