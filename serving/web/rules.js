// The rules panel: what the player asks for, as the server's rules.
import { $, make, state } from "./dom.js";
import { KINDS } from "./rule_kinds.js";

let made = 0;

function picker(id, label) {
  const chosen = new Set();
  const chips = make("span", { className: "chips" });
  const input = make("input", { id, type: "text", list: "player-names", placeholder: "type a name", autocomplete: "off" });
  const draw = () => {
    chips.replaceChildren(...[...chosen].map((name) => {
      const drop = make("button", { type: "button", className: "chip", "aria-label": `remove ${name} from ${label}` }, `${name} ×`);
      drop.addEventListener("click", () => { chosen.delete(name); draw(); input.focus(); });
      return drop;
    }));
  };
  const take = () => {
    if (!state.names.has(input.value)) return;
    chosen.add(input.value);
    input.value = "";
    draw();
  };
  input.addEventListener("input", take);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const typed = input.value.trim().toLowerCase();
    const found = [...state.names.keys()].filter((name) => name.toLowerCase().includes(typed));
    if (typed && found.length) { input.value = found[0]; take(); }
  });
  return { control: make("span", { className: "picker" }, chips, input), read: () => {
    if (!chosen.size) throw new Error(`${label}: choose at least one player`);
    return [...chosen].map((name) => state.names.get(name));
  } };
}

function written(id, field) {
  const { label, type, value = "", placeholder = "" } = field;
  if (type === "choice") {
    const select = make("select", { id }, ...Object.entries(field.choices).map(([key, text]) => make("option", { value: key }, text)));
    return { control: select, read: () => select.value };
  }
  const input = make("input", { id, type, value: String(value), placeholder });
  if (type === "number") Object.assign(input, { min: field.min, max: field.max });
  const read = () => {
    if (type !== "number") return field.list ? listed(input.value) : input.value.trim();
    if (!input.checkValidity() || input.value === "") throw new Error(`${label} is "${input.value}": give a number from ${field.min} to ${field.max}`);
    return field.share ? Number(input.value) / 100 : Number(input.value);
  };
  return { control: input, read };
}

// Empty means any, which the rules write as null.
function listed(text) {
  const found = text.toUpperCase().split(/[\s,;/]+/).filter(Boolean);
  return found.length ? found : null;
}

function addRule() {
  const name = $("kind").value;
  const kind = KINDS[name];
  const box = make("fieldset", { className: "rule" }, make("legend", {}, kind.title));
  const readers = {};
  for (const [key, field] of Object.entries(kind.fields)) {
    const id = `rule-${(made += 1)}`;
    const { control, read } = field.type === "players" ? picker(id, field.label) : written(id, field);
    readers[key] = read;
    // Beside the label, not in it: chosen players are no part of the field's name.
    box.append(make("div", { className: "field" }, make("label", { htmlFor: id }, field.label), control));
  }
  const drop = make("button", { type: "button", className: "quiet drop", "aria-label": `remove ${kind.title}` }, "×");
  drop.addEventListener("click", () => { box.remove(); counted(); $("add").focus(); });
  box.append(drop);
  box.rule = () => ({ name, value: kind.make(Object.fromEntries(Object.entries(readers).map(([key, read]) => [key, read()])), [...$("rule-list").children].indexOf(box)) });
  $("rule-list").append(box);
  counted();
  box.querySelector("input, select").focus();
}

function counted() {
  const number = $("rule-list").children.length;
  $("more-count").textContent = number ? `· ${number} ${number === 1 ? "rule" : "rules"}` : "";
}

function whole(id, scale = 1) {
  const input = $(id);
  if (input.value === "" && input.placeholder) return null;
  if (!input.checkValidity() || input.value === "") {
    input.focus();
    throw new Error(`${input.parentElement.firstChild.textContent.trim()} is "${input.value}": ${input.validationMessage}`);
  }
  return Number(input.value) / scale;
}

// The rules as POST /v1/lineups takes them.
export function everyRule() {
  const rules = {
    n: whole("count"), max_exposure: whole("exposure", 100), min_unique: whole("unique"), min_salary_usd: whole("min-salary"),
    max_per_team: whole("max-per-team"), locked: [...state.locked], excluded: [...state.excluded],
    objective: { measure: $("measure").value, randomness: whole("randomness", 100), leverage: whole("leverage") },
  };
  for (const box of $("rule-list").children) {
    const { name, value } = box.rule();
    const { into } = KINDS[name];
    if (into) (rules[into] ||= []).push(value);
    else if (name === "player") {
      for (const id of value.players) {
        (rules.player_max_exposure ||= {})[id] = value.most;
        if (value.least) (rules.player_min_exposure ||= {})[id] = value.least;
      }
    } else rules[name] = value;
  }
  return rules;
}

export function forgetRules() {
  $("rule-list").replaceChildren();
  counted();
}

export function startRules() {
  $("kind").append(...Object.entries(KINDS).map(([name, kind]) => make("option", { value: name }, kind.title)));
  $("add").addEventListener("click", addRule);
}
