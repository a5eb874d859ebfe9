// Rival: Node's `ws`, `node rival_ws.mjs PORT`. Lines on stdin, `TOPIC<tab>TEXT`, go to every socket that subscribed
// to TOPIC (`*`: all). Nothing watches bufferedAmount: that is what most servers built on it do.
import { createRequire } from "node:module";
import readline from "node:readline";

// `ws` is installed where the benchmark keeps it, which is not beside this file.
const { WebSocketServer } = createRequire(`${process.cwd()}/`)("ws");
const subscribers = new Map([["*", new Set()]]);

const server = new WebSocketServer({
  port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096, perMessageDeflate: false,
});
server.on("connection", (socket) => {
  const topics = ["*"];
  subscribers.get("*").add(socket);
  socket.on("message", (data) => {
    for (const topic of JSON.parse(data).topics) {
      topics.push(topic);
      if (!subscribers.has(topic)) subscribers.set(topic, new Set());
      subscribers.get(topic).add(socket);
    }
  });
  socket.on("error", () => socket.terminate());
  socket.on("close", () => topics.forEach((topic) => subscribers.get(topic).delete(socket)));
});
server.on("listening", () => console.log("ready"));

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const tab = line.indexOf("\t");
  const frame = Buffer.from(line.slice(tab + 1));
  for (const socket of subscribers.get(line.slice(0, tab)) ?? []) socket.send(frame, { binary: false });
});
lines.on("close", () => process.exit(0));
