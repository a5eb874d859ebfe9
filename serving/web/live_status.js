// The badge that says how the page is connected.
import { $ } from "./dom.js";
import { put } from "./live_text.js";

const SAID_MS = 4000; // how long "resumed" and "snapshot" stay
const VIA = { socket: "", events: " by event stream" };

export class Status {
  constructor() {
    this.now = { name: "connecting", transport: "socket" };
    this.until_ms = 0;
    this.connections = 0;
    this.since_ms = Date.now();
  }

  get connected() { return this.now.name === "connected"; }

  hear(state) {
    const before = this.now.name;
    this.now = state;
    this.until_ms = state.retry_ms === null ? 0 : performance.now() + state.retry_ms;
    if (state.name === "connected" && before !== "connected") this.connections += 1;
    if (before === "connected" && !this.connected) this.since_ms = Date.now();
    if (state.name === "connected") this.said_ms = performance.now();
    this.draw();
  }

  draw() {
    const badge = $("connection");
    badge.className = `badge ${this.now.name}`;
    put(badge, this.#words());
    badge.title = this.now.message || "";
  }

  #words() {
    const { name, transport, resumed, snapshots } = this.now;
    if (name === "connected") {
      const fresh = this.connections > 1 && performance.now() - this.said_ms < SAID_MS && resumed + snapshots;
      if (!fresh) return `connected${VIA[transport]}`;
      return snapshots ? `connected anew: snapshot of ${snapshots}` : "resumed, nothing missed";
    }
    if (name === "waiting") {
      const left_s = Math.max(0, Math.ceil((this.until_ms - performance.now()) / 1000));
      return `reconnecting in ${left_s} s`;
    }
    return name === "connecting" && this.connections ? "reconnecting …" : name;
  }
}
