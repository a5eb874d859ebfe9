// What the page is drawn with, and what every part of it shares.
export const $ = (id) => document.getElementById(id);
export const money = (value) => "$" + value.toLocaleString("en-US");
export const percent = (share, digits = 0) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)} %`);
export const points = (value, digits = 2) => value.toFixed(digits);

export const state = {
  slate: null, site: "", sport: "", mode: "", players: [], warnings: [], names: new Map(), locked: new Set(), excluded: new Set(), built: null,
  own: null, payouts: null,
};

export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made && name !== "list") made[name] = value; else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function cell(row, text, className = "") {
  const td = row.insertCell();
  td.append(text);
  td.className = className;
  return td;
}

export function headings(table, titles) {
  const row = make("tr");
  for (const [text, className = "", title = ""] of titles) row.append(make("th", { scope: "col", className, title }, text));
  table.tHead.replaceChildren(row);
}

export function tell(text) {
  $("notice").firstElementChild.textContent = text;
  $("notice").className = "error";
  $("notice").hidden = !text;
}

export function notes(warnings) {
  const box = $("notes");
  const found = [...new Set(warnings)];
  box.hidden = !found.length;
  box.firstElementChild.textContent = found.length > 1 ? `${found[0]} (and ${found.length - 1} more)` : found[0] || "";
  box.lastElementChild.textContent = found.join("\n");
}

export function offer(link, content, name, type) {
  if (link.href.startsWith("blob:")) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.hidden = false;
}

export function showTab(name) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const chosen = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    $(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
}

export function startTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  for (const [index, tab] of tabs.entries()) {
    const name = tab.id.replace("tab-", "");
    tab.addEventListener("click", () => showTab(name));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      showTab(next.id.replace("tab-", ""));
      next.focus();
    });
  }
}
