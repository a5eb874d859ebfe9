"""Rival: uvicorn and Starlette as their documentation broadcasts, `python rival_starlette.py PORT`.

Lines on stdin, `TOPIC<tab>TEXT`, go to every socket that subscribed to TOPIC (`*`: all). Sockets, uvloop and the
fastest of uvicorn's WebSocket implementations (websockets-sansio).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

subscribers: dict[str, dict[WebSocket, None]] = defaultdict(dict)


async def live(socket: WebSocket) -> None:
    """Keep one client's subscriptions while it is connected."""
    await socket.accept()
    topics = ["*"]
    subscribers["*"][socket] = None
    try:
        while True:
            for topic in json.loads(await socket.receive_text())["topics"]:
                topics.append(topic)
                subscribers[topic][socket] = None
    except WebSocketDisconnect:
        pass
    finally:
        for topic in topics:
            subscribers[topic].pop(socket, None)


async def publish() -> None:
    """Pass on what comes on stdin; ends the process when it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        topic, _, text = line.decode().rstrip("\n").partition("\t")
        for socket in list(subscribers[topic]):
            try:
                await socket.send_text(text)
            except (WebSocketDisconnect, RuntimeError):
                subscribers[topic].pop(socket, None)


async def main() -> None:
    """Serve until stdin ends."""
    app = Starlette(routes=[WebSocketRoute("/", live)])
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=int(sys.argv[1]),
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            ws_ping_interval=None,
            backlog=4096,
            log_level="warning",
            lifespan="off",
        )
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        if serving.done():
            serving.result()
            sys.exit("uvicorn did not start")
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await publish()
    server.force_exit = server.should_exit = True
    await serving


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
