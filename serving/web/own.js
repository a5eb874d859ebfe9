// The player's own files: projections in place of the model's, and a contest's payout table.
import { send } from "./api.js";
import { $, make, money, state } from "./dom.js";

// The payout choice that stands for the file.
export const OWN_TABLE = "file";

export const withOwn = (body) => (state.own ? { ...body, projections: state.own } : body);

function said(text) {
  $("own-said").textContent = text;
  $("own-drop").hidden = !state.own;
}

export async function readOwn(file) {
  const form = new FormData();
  form.append("slate_id", state.slate);
  form.append("file", file);
  let read;
  try {
    read = await send("/v1/projections/file", form);
  } catch (error) {
    dropOwn();
    throw error;
  }
  if (read.slate_id !== state.slate) return;
  state.own = read.projections;
  const others = read.unnamed ? `; the other ${read.unnamed} project 0` : "";
  said(`${file.name}: ${Object.keys(state.own).length} players${others}`);
}

export function dropOwn() {
  state.own = null;
  $("own-file").value = "";
  said("the model's projections are used");
}

export const forgetOwn = dropOwn;

export async function readPayouts(file) {
  const form = new FormData();
  form.append("file", file);
  const { payouts, pool_usd: pool, paid_places: paid, problems } = await send("/v1/contests/payouts", form);
  state.payouts = payouts;
  $("payouts").querySelector(`[value=${OWN_TABLE}]`)?.remove();
  $("payouts").append(make("option", { value: OWN_TABLE }, file.name));
  $("payouts").value = OWN_TABLE;
  // The simulation takes so many entries at most; the table is scaled to what is simulated.
  $("field-size").value = Math.min(payouts.field_size, Number($("field-size").max));
  const size = payouts.field_size.toLocaleString("en-US");
  $("payouts-said").textContent = [`${size} entries, ${money(Math.round(pool))} for ${paid} places`, ...problems].join(" · ");
}
