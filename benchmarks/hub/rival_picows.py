"""Rival: picows with nothing around it, `python rival_picows.py PORT`: what the hub's own work costs above it.

Lines on stdin, `TOPIC<tab>TEXT`, go to every socket that subscribed to TOPIC (`*`: all).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

subscribers: dict[str, dict[WSTransport, None]] = defaultdict(dict)


class Client(WSListener):  # type: ignore[misc]
    """One socket's subscriptions."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Count it among all."""
        self.topics = ["*"]
        subscribers["*"][transport] = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Add what it subscribes to."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        for topic in json.loads(frame.get_payload_as_utf8_text())["topics"]:
            self.topics.append(topic)
            subscribers[topic][transport] = None

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget it."""
        for topic in self.topics:
            subscribers[topic].pop(transport, None)


def client(request: WSUpgradeRequest) -> Client:
    """A listener for every request."""
    return Client()


async def main() -> None:
    """Serve until stdin ends."""
    server = await ws_create_server(client, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    reader = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    while line := await reader.readline():
        topic, _, text = line.rstrip(b"\n").partition(b"\t")
        for transport in list(subscribers[topic.decode()]):
            transport.send(WSMsgType.TEXT, text)
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
