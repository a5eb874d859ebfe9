// Words of the live page.
const OLD_S = 5;

/** Set an element's text if it is another, so that nothing is selected away or read out again. */
export function put(element, text) {
  if (element.textContent === text) return false;
  element.textContent = text;
  return true;
}

export function ago(at_ms, now_ms) {
  const age_s = (now_ms - at_ms) / 1000;
  if (!at_ms || age_s < OLD_S) return "";
  if (age_s < 90) return `${Math.round(age_s)} s ago`;
  if (age_s < 5400) return `${Math.round(age_s / 60)} min ago`;
  return new Date(at_ms).toLocaleString([], { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
}

export const named = (model) => (model ? `${model.name}${model.version ? ` version ${model.version}` : ""}` : "");
