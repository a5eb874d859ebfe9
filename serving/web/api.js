// Questions to the server; every refusal is an Error that says what it said.
function refusal(body) {
  const clash = body.rules ? ` (${body.rules.join("; ")})` : "";
  return Object.assign(new Error((body.message || "no answer") + clash), { retryable: body.retryable });
}

async function checked(answer) {
  if (answer.ok) return answer;
  throw refusal(await answer.json().catch(() => ({ message: `${answer.status} ${answer.statusText}` })));
}

const asJson = (body, more = {}) => ({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), ...more });

export const ask = async (path, options) => (await checked(await fetch(path, options))).json();
export const post = (path, body) => ask(path, asJson(body));
export const send = (path, form) => ask(path, { method: "POST", body: form });
export const sendForFile = async (path, form) => (await checked(await fetch(path, { method: "POST", body: form }))).blob();

// Yields every line of an NDJSON answer; the server stops working when `signal` aborts.
export async function* follow(path, body, signal) {
  const answer = await checked(await fetch(path, asJson(body, { signal })));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const found = JSON.parse(line);
      if (found.event === "error") throw refusal(found);
      yield found;
    }
  }
}
