"""Workers of the hub are killed while they tell of a game: every client comes back without a gap or a duplicate."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from serving.live.client import Change, LiveClient, merged
from tests.fixtures.hub import Hub, OwnRedis, Teller, eventually

pytestmark = pytest.mark.xdist_group("hub")
TOPICS = 6
WITHIN_S = 180.0


class Watcher:
    """Follows its topics and checks each change against the one before, apart from the client's own checks."""

    def __init__(self, hub: Hub, topics: list[str]) -> None:
        self.client: LiveClient = hub.client(topics, connect_s=WITHIN_S)
        self.critical: dict[str, list[int]] = {topic: [] for topic in topics}
        self.wholes: dict[str, dict[str, Any]] = {}
        self.last: dict[str, int] = {}
        self.snapshots = 0

    async def watch(self, connected: asyncio.Semaphore, end: int) -> None:
        """Watch until every topic is at `end`."""
        async with self.client as live:
            connected.release()
            async for change in live:
                self._check(change)
                if all(self.wholes.get(topic, {}).get("seq") == end for topic in self.critical):
                    return

    def _check(self, change: Change) -> None:
        topic = change.topic
        if change.kind == "snapshot":
            self.snapshots += 1
            self.wholes[topic] = change.data
        else:
            self.wholes[topic] = merged(self.wholes[topic], change.data)
            if "goal" in change.data:
                self.critical[topic].append(change.data["goal"])
        seq = self.wholes[topic].get("seq", 0)
        assert seq > self.last.get(topic, -1), f"{topic}: {seq} after {self.last.get(topic)}"
        self.last[topic] = seq
        assert self.wholes[topic] == change.whole


async def ordeal(
    hub: Hub, own_redis: OwnRedis, *, clients: int, kills: int, rounds: int, pause_s: float
) -> list[Watcher]:
    """Tell `TOPICS` games of `rounds` plays, SIGKILL a worker `kills` times meanwhile; returns the watchers."""
    dice = random.Random(5)
    teller = Teller(own_redis.url)
    names = [f"game:{clients}-{n}" for n in range(TOPICS)]
    for name in names:
        teller.tell(name, seq=0, goal=0)
    async with hub.client(names) as first:
        while any(first.whole(name) != {"seq": 0, "goal": 0} for name in names):
            await anext(first)
    watchers = [Watcher(hub, dice.sample(names, 3)) for _ in range(clients)]
    connected = asyncio.Semaphore(0)
    watching = [asyncio.create_task(watcher.watch(connected, rounds)) for watcher in watchers]
    for _ in watchers:
        await asyncio.wait_for(connected.acquire(), WITHIN_S)
    goals = {name: 0 for name in names}
    kill_at = {rounds * (n + 1) // (kills + 1) for n in range(kills)}
    for seq in range(1, rounds + 1):
        for name in names:
            scored = seq % 10 == 0
            goals[name] += scored
            teller.tell(name, critical=scored, seq=seq, goal=goals[name])
        if seq in kill_at:
            os.kill(dice.choice(await asyncio.to_thread(eventually, lambda: running(hub))), signal.SIGKILL)
        await asyncio.sleep(pause_s)
    async with asyncio.timeout(WITHIN_S):
        await asyncio.gather(*watching)
    for watcher in watchers:
        for name in watcher.critical:
            assert watcher.wholes[name] == {"seq": rounds, "goal": goals[name]}
            # Every goal, each once and in order: none was merged away, told twice or lost in a break.
            assert watcher.critical[name] == list(range(1, goals[name] + 1))
    return watchers


def running(hub: Hub) -> list[int]:
    """Process ids of the hub's workers; one that was just killed still stands in its state."""
    pids = [state.pid for state in hub.states()]
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


async def judged(hub: Hub, own_redis: OwnRedis, *, clients: int, kills: int, rounds: int, pause_s: float) -> None:
    """The ordeal, and that it was one: connections broke, and were resumed instead of being told all anew."""
    watchers = await ordeal(hub, own_redis, clients=clients, kills=kills, rounds=rounds, pause_s=pause_s)
    stats = [watcher.client.stats for watcher in watchers]
    assert sum(s.gaps for s in stats) == 0
    assert sum(s.connects for s in stats) > clients
    assert sum(s.resumed for s in stats) > 0
    # Told all of each topic once, when they first came; whatever broke afterwards was resumed.
    assert all(watcher.snapshots == 3 for watcher in watchers)


async def test_200_clients_survive_killed_workers(hubs: Callable[..., Hub], own_redis: OwnRedis) -> None:
    hub = hubs(workers=2)
    await judged(hub, own_redis, clients=200, kills=2, rounds=60, pause_s=0.05)


@pytest.mark.slow
async def test_2000_clients_survive_20_killed_workers(hubs: Callable[..., Hub], own_redis: OwnRedis) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8_192)), hard))
    hub = hubs(workers=3, limits={"per_address": 4_000})
    await judged(hub, own_redis, clients=2_000, kills=20, rounds=100, pause_s=1.0)
