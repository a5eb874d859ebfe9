// A small client of the live hub (docs/live_protocol.md). It keeps the whole of every topic subscribed to and connects
// again by itself, going on from the offset it had. Needs nothing else of this page; fetch it as a module and:
//
//   const client = new LiveClient(grant, { update, state, refused });
//   client.subscribe(["game:0022300001", "model"]);
//
// grant()    resolves to { token, url, expires_at } as POST /v1/live/token answers; asked again when that has run out.
//            `events` beside them is the address of the SSE fallback, used when no WebSocket comes about.
// update(topic, whole, { changed, at_ms, snapshot })   after every change; `whole` is the topic as it is now.
// state({ name, transport, retry_ms, resumed, snapshots, message })   name: connecting, connected, waiting, closed.
// refused({ code, message, topics })   the hub will not do something; the connection stays.
//
// A topic's delta names the offset before it (`prev`): where that is not ours something was missed, and the topic is
// asked for again from our offset. The hub then sends what was missed ("resumed"), or the whole ("snapshot").
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;
const OPEN_WITHIN_MS = 5000;
const SILENT_BEATS = 2.5; // heartbeats without a word until the connection is taken for dead
const TRIES_BEFORE_EVENTS = 3;
const SOCKET_AGAIN_MS = 60_000;
const STREAM_TOPICS = 20;
const STREAMS = 4; // a browser holds six connections to a server, and the page needs some
const AT_ONCE = 100; // topics in one subscribe message
const TOO_FAST = "too_fast";
const TOO_FAST_MS = 1000;
const DRAINING = 4000;
const UNAUTHORIZED = 4001;
const LIMITS = 4009;

export class LiveClient {
  #grant; #tell; #granted = null; #socket = null; #events = null; #closed = false;
  #topics = new Map(); // topic -> { epoch, offset, data, at_ms, asked }
  #answers = new Map(); // id of an `ask` -> what to do with the answer
  #subscribes = new Map(); // id of a `subscribe` -> its topics
  #id = 0; #failures = 0; #beat = null; #heard = 0; #timer = null; #bye_ms = null; #tally = { resumed: 0, snapshots: 0 };

  constructor(grant, tell) {
    this.#grant = grant;
    this.#tell = tell;
    this.#connect();
  }

  /** The topics subscribed to. */
  get topics() { return [...this.#topics.keys()]; }

  /** The whole of a topic as last heard, null before that. */
  whole(topic) { return this.#topics.get(topic)?.data ?? null; }

  subscribe(topics) {
    const fresh = topics.filter((topic) => !this.#topics.has(topic));
    for (const topic of fresh) this.#topics.set(topic, { epoch: null, offset: null, data: null, at_ms: 0, asked: true });
    if (fresh.length) this.#wish(fresh);
  }

  unsubscribe(topics) {
    const gone = topics.filter((topic) => this.#topics.delete(topic));
    if (!gone.length) return;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#send({ op: "unsubscribe", id: ++this.#id, topics: gone });
    if (this.#events) this.#openEvents();
  }

  /** Ask the hub a question (its answers are in docs/live_protocol.md); rejects when it refuses or the line breaks. */
  ask(question, deadline_ms) {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) { reject(new Error("not connected")); return; }
      this.#answers.set(++this.#id, { resolve, reject });
      this.#send({ op: "ask", id: this.#id, question, deadline_ms });
    });
  }

  /** Connect anew with a new token, for topics that the old one does not allow. */
  renew() {
    this.#granted = null;
    this.#failures = 0;
    this.#drop();
    this.#connect();
  }

  close() {
    this.#closed = true;
    this.#drop();
    this.#say("closed");
  }

  // -- connection ---------------------------------------------------------------------------------------------------

  async #connect() {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#say("connecting");
    try {
      if (!this.#granted || Date.parse(this.#granted.expires_at) - Date.now() < 5000) this.#granted = await this.#grant();
    } catch (error) {
      this.#wait(error.message);
      return;
    }
    if (this.#closed || this.#socket) return;
    if (this.#failures >= TRIES_BEFORE_EVENTS && this.#granted.events) {
      this.#openEvents();
      this.#timer = setTimeout(() => this.#trySocket(), SOCKET_AGAIN_MS);
    } else {
      this.#trySocket();
    }
  }

  #trySocket() {
    const url = new URL(this.#granted.url);
    url.searchParams.set("token", this.#granted.token);
    const socket = new WebSocket(url);
    const late = setTimeout(() => socket.close(), OPEN_WITHIN_MS);
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      clearTimeout(late);
      this.#heard = performance.now();
      this.#read(JSON.parse(data));
    });
    socket.addEventListener("close", ({ code, reason }) => {
      clearTimeout(late);
      if (this.#socket === socket) this.#lost(code, reason);
    });
  }

  #lost(code, reason) {
    this.#drop();
    if (code === UNAUTHORIZED) this.#granted = null;
    if (code === LIMITS) this.#failures = Math.max(this.#failures, 5);
    const message = reason || (code === DRAINING ? "the hub moves elsewhere" : "the connection broke");
    if (this.#events) this.#timer = setTimeout(() => this.#trySocket(), SOCKET_AGAIN_MS);
    else this.#wait(message);
  }

  // Lets go of the socket without its "close" being heard of any more.
  #drop() {
    clearInterval(this.#beat);
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    for (const { reject } of this.#answers.values()) reject(new Error("the connection broke"));
    this.#answers.clear();
    this.#subscribes.clear();
    if (this.#closed) this.#closeEvents();
  }

  #wait(message) {
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures);
    // Thousands of clients of one dead worker must not come back at the same moment.
    const wait_ms = this.#bye_ms ?? longest * (0.5 + Math.random() / 2);
    this.#bye_ms = null;
    this.#failures += 1;
    this.#say("waiting", { retry_ms: wait_ms, message });
    this.#timer = setTimeout(() => this.#connect(), wait_ms);
  }

  #watch(heartbeat_s) {
    clearInterval(this.#beat);
    const beat_ms = 1000 * heartbeat_s;
    this.#beat = setInterval(() => {
      const silent_ms = performance.now() - this.#heard;
      if (silent_ms > SILENT_BEATS * beat_ms) this.#lost(0, "the hub fell silent");
      else if (silent_ms > beat_ms / 2) this.#send({ op: "ping", id: ++this.#id });
    }, beat_ms / 2);
  }

  // -- SSE fallback -------------------------------------------------------------------------------------------------

  // A stream holds few topics and a browser few streams: what does not fit is told of to nobody but `refused`.
  #openEvents() {
    this.#closeEvents();
    const topics = this.topics;
    if (!topics.length) return;
    this.#events = [];
    for (let first = 0; first < topics.length && this.#events.length < STREAMS; first += STREAM_TOPICS) {
      const url = new URL(this.#granted.events, location.href);
      url.searchParams.set("topics", topics.slice(first, first + STREAM_TOPICS).join(","));
      url.searchParams.set("token", this.#granted.token);
      const stream = new EventSource(url);
      this.#events.push(stream);
      stream.addEventListener("open", () => this.#say("connected"));
      stream.addEventListener("error", () => {
        this.#say("waiting", { retry_ms: 0, message: "the event stream broke" });
        if (stream.readyState === EventSource.CLOSED) { this.#granted = null; this.#closeEvents(); this.#wait("the event stream was refused"); }
      });
      for (const name of ["snapshot", "delta"]) stream.addEventListener(name, ({ data }) => this.#read(JSON.parse(data)));
    }
    const left = topics.slice(STREAMS * STREAM_TOPICS);
    if (left.length) this.#tell.refused({ code: "too_many_topics", message: `${left.length} topics do not fit event streams`, topics: left });
  }

  #closeEvents() {
    for (const stream of this.#events || []) stream.close();
    this.#events = null;
  }

  // -- what is said -------------------------------------------------------------------------------------------------

  #send(message) { this.#socket.send(JSON.stringify(message)); }

  // Asks for topics, from where each one stands; `anew` asks for the whole.
  #wish(topics, anew = false) {
    if (this.#events) { this.#openEvents(); return; }
    if (this.#socket?.readyState !== WebSocket.OPEN) return; // `welcome` asks for everything
    for (let first = 0; first < topics.length; first += AT_ONCE) {
      const some = topics.slice(first, first + AT_ONCE);
      const since = {};
      for (const topic of some) {
        const { epoch, offset } = this.#topics.get(topic);
        if (!anew && offset !== null) since[topic] = { epoch, offset };
      }
      this.#subscribes.set(++this.#id, some);
      this.#send({ op: "subscribe", id: this.#id, topics: some, since });
    }
  }

  #read(message) {
    switch (message.op) {
      case "welcome": this.#onWelcome(message); break;
      case "subscribed": this.#onSubscribed(message); break;
      case "snapshot": this.#onSnapshot(message); break;
      case "delta": this.#onDelta(message); break;
      case "answer": this.#onAnswer(message); break;
      case "error": this.#onError(message); break;
      case "bye": this.#bye_ms = 1000 * message.reconnect_s; break;
      default: // "pong", and what a later hub may say
    }
  }

  #onWelcome({ heartbeat_s }) {
    this.#closeEvents();
    this.#failures = 0;
    this.#tally = { resumed: 0, snapshots: 0 };
    this.#watch(heartbeat_s);
    this.#say("connected");
    this.#wish(this.topics);
  }

  #onSubscribed({ id, topics }) {
    this.#subscribes.delete(id);
    for (const how of Object.values(topics)) this.#tally[how === "resumed" ? "resumed" : "snapshots"] += 1;
    this.#say("connected");
  }

  #onSnapshot({ topic, epoch, offset, data }) {
    const mine = this.#topics.get(topic);
    if (!mine) return;
    const at_ms = Math.max(...parts(offset).map(([ms]) => ms)); // a snapshot has no `at`: when its newest change was written
    Object.assign(mine, { epoch, offset, data, at_ms, asked: false });
    this.#tell.update(topic, data, { changed: data, at_ms, snapshot: true });
  }

  #onDelta({ topic, epoch, offset, prev, at, data }) {
    const mine = this.#topics.get(topic);
    if (!mine) return;
    if (mine.data === null || epoch !== mine.epoch || (prev !== undefined && prev !== mine.offset)) { // event streams have no `prev`
      if (epoch === mine.epoch && mine.offset !== null && !later(offset, mine.offset)) return; // heard before
      if (!mine.asked) {
        mine.asked = true;
        this.#wish([topic], epoch !== mine.epoch);
      }
      return;
    }
    for (const [name, value] of Object.entries(data)) if (value === null) delete mine.data[name]; else mine.data[name] = value;
    Object.assign(mine, { offset, at_ms: at / 1e6, asked: false });
    this.#tell.update(topic, mine.data, { changed: data, at_ms: mine.at_ms, snapshot: false });
  }

  #onAnswer(message) {
    this.#answers.get(message.id)?.resolve(message);
    this.#answers.delete(message.id);
  }

  // A subscription is refused as a whole: halves find out which topic it was about.
  #onError({ id, code, message }) {
    const asked = this.#answers.get(id);
    this.#answers.delete(id);
    if (asked) { asked.reject(new Error(message)); return; }
    const topics = (this.#subscribes.get(id) || []).filter((topic) => this.#topics.has(topic));
    this.#subscribes.delete(id);
    if (code === TOO_FAST && topics.length) {
      setTimeout(() => this.#wish(topics.filter((topic) => this.#topics.has(topic))), TOO_FAST_MS);
    } else if (topics.length > 1) {
      const half = topics.length >> 1;
      this.#wish(topics.slice(0, half));
      this.#wish(topics.slice(half));
    } else {
      for (const topic of topics) this.#topics.delete(topic);
      this.#tell.refused({ code, message, topics });
    }
  }

  #say(name, more = {}) {
    this.#tell.state({ name, transport: this.#events ? "events" : "socket", retry_ms: null, message: "", ...this.#tally, ...more });
  }
}

// Offsets are ids of stream entries, "milliseconds-number", joined with "+" where several streams tell of a topic.
const parts = (offset) => offset.split("+").map((part) => part.split("-").map(Number));

function later(one, other) {
  const theirs = parts(other);
  return parts(one).some(([ms, n], index) => !theirs[index] || ms > theirs[index][0] || (ms === theirs[index][0] && n > theirs[index][1]));
}
