// News as it comes: injuries, line-ups, salaries and lines that changed.
import { $, make } from "./dom.js";
import { ago, put } from "./live_text.js";

const SHOWN = 40;
const KINDS = { injury: "Injury", salary: "Salary", projection: "Projection", line: "Line", starter: "Line-up" };

function said({ kind, name, team, field, old, new: now }) {
  const who = [name, team].filter(Boolean).join(", ");
  const change = old === null || old === undefined || old === "" ? String(now) : `${old} → ${now}`;
  return `${KINDS[kind] || kind}: ${who}${who ? ": " : ""}${field && field !== kind ? `${field} ` : ""}${change}`;
}

export class News {
  constructor() { this.forget(); }

  forget() {
    this.found = new Map(); // id -> news
    $("news").hidden = true;
  }

  /** News of a topic: the newest of its subject, or several. */
  update(told) {
    for (const each of Array.isArray(told) ? told : [told]) if (each?.id !== undefined) this.found.set(String(each.id), each);
    const all = [...this.found.values()].sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, SHOWN);
    if (!all.length) return;
    const [box] = [$("news")];
    const [summary, list] = box.children;
    const when = (news) => ago(Date.parse(news.at), Date.now()) || "now";
    put(summary, `${said(all[0])} (${when(all[0])})${all.length > 1 ? ` · and ${all.length - 1} more` : ""}`);
    list.replaceChildren(...all.map((news) => make("li", {}, make("b", {}, when(news)), ` ${said(news)}`)));
    box.hidden = false;
  }
}
