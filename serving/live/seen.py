"""What the delta streams say, kept up to date in this process: every game and player, per writer."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args

import msgspec
import redis

from features.stream.connections import TRANSIENT, Servers
from features.stream.deltas import FIELD, Change, decode_entry, epoch, split_field
from features.stream.directory import Directory, GameInfo
from features.stream.events import key_of
from features.stream.keys import Keys
from serving.live.defects import DEFECTS, Complaints

log = logging.getLogger(__name__)
BLOCK_MS: Final = 500
#: Entries per read; a full read may mean that the stream was trimmed before us.
COUNT: Final = 500
RETRY_S: Final = 0.5
STOP_S: Final = 5.0
#: A slate's game and a live one of the same teams are the same when their tips are this close.
SAME_GAME: Final = timedelta(hours=12)
REGULATION_S: Final = 2880.0
Writer = Literal["state", "model", "news", "registry"]
OnChange = Callable[[int, Change], None]


class Tail:
    """Follows every partition's delta stream, a thread each: first all that stands, then what comes.

    `on_change(partition, change)` is called for each update, on those threads, and must be quick.
    """

    def __init__(self, servers: Servers, league: str, partitions: int, on_change: OnChange) -> None:
        self._servers = servers
        self._league = league
        self._on_change = on_change
        self._stop = threading.Event()
        self._ready = [threading.Event() for _ in range(partitions)]
        self._threads = [
            threading.Thread(target=self._follow, args=(partition,), name=f"deltas-{partition}", daemon=True)
            for partition in range(partitions)
        ]

    def start(self) -> None:
        """Begin reading."""
        for thread in self._threads:
            thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Whether all that stood at the start was read within `timeout_s` a partition."""
        return all(ready.wait(timeout_s) for ready in self._ready)

    def stop(self) -> None:
        """Stop reading."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=STOP_S)

    def _follow(self, partition: int) -> None:
        keys, complaints = Keys(self._league, partition), Complaints()
        while not self._stop.is_set():
            try:
                client = self._servers.client_of(keys.deltas)
                self._read(client, keys)
                complaints.over("read")
            except TRANSIENT as error:
                if complaints.fresh("read", repr(error)):
                    log.warning("deltas of partition %d: %s; trying again", partition, error)
                self._servers.refresh()
                self._stop.wait(RETRY_S)

    def _read(self, client: redis.Redis, keys: Keys) -> None:
        """Everything that stands, then every entry after it, until entries were missed or the server goes away."""
        life = epoch(client, self._league, keys.partition)
        reply: Any = client.xrevrange(keys.deltas, count=1)
        position: bytes = reply[0][0] if reply else b"0-0"
        stored: Any = client.hgetall(keys.topics)
        for field, whole in stored.items():
            topic, writer = split_field(field)
            self._on_change(keys.partition, Change(topic, writer, msgspec.json.decode(whole)))
        self._ready[keys.partition].set()
        while not self._stop.is_set():
            read: Any = client.xread({keys.deltas: position}, count=COUNT, block=BLOCK_MS)
            entries = read[0][1] if read else []
            if not entries and epoch(client, self._league, keys.partition) != life:
                return  # the server lost its state: read again what stands
            if len(entries) == COUNT and self._trimmed(client, keys, position):
                log.warning("deltas of partition %d were trimmed before they were read", keys.partition)
                return
            for entry_id, fields in entries:
                position = entry_id
                try:
                    for change in decode_entry(fields[FIELD]):
                        self._on_change(keys.partition, change)
                except DEFECTS:
                    log.exception("delta %s of partition %d cannot be read", entry_id, keys.partition)

    @staticmethod
    def _trimmed(client: redis.Redis, keys: Keys, position: bytes) -> bool:
        first: Any = client.xrange(keys.deltas, count=1)
        return bool(first) and _number(position) < _number(first[0][0]) and position != b"0-0"


class Seen:
    """The newest fields of every topic, per writer; `infos` come from the directory of games. For any thread."""

    def __init__(self, servers: Servers, league: str) -> None:
        self._lock = threading.Lock()
        self._fields: dict[tuple[str, str], dict[str, Any]] = {}
        self._partitions: dict[str, int] = {}
        self._directory = Directory(servers.client(), league)
        self._infos: dict[str, GameInfo] = {}

    def take(self, partition: int, change: Change) -> None:
        """Take an update over; a field that is null was removed."""
        with self._lock:
            fields = self._fields.setdefault((change.topic, change.writer), {})
            for name, value in change.data.items():
                if value is None:
                    fields.pop(name, None)
                else:
                    fields[name] = value
            self._partitions[change.topic] = partition
            if not fields:
                self._over(change.topic, change.writer)

    def _over(self, topic: str, writer: str) -> None:
        """Nothing is left of what a writer told, as of a game that was removed."""
        del self._fields[topic, writer]
        if not any((topic, other) in self._fields for other in get_args(Writer)):
            del self._partitions[topic]
            self._infos.pop(topic.partition(":")[2], None)

    def of(self, topic: str, writer: Writer) -> Mapping[str, Any]:
        """Fields of a topic as one writer told them; empty when it did not."""
        with self._lock:
            return dict(self._fields.get((topic, writer), {}))

    def partition(self, topic: str) -> int | None:
        """Where the topic was told."""
        return self._partitions.get(topic)

    def games(self) -> list[str]:
        """Ids of all games that have a state."""
        with self._lock:
            return [
                topic.partition(":")[2] for topic, writer in self._fields if writer == "state" and _game(topic)
            ]

    def info(self, game_id: str) -> GameInfo | None:
        """What was registered of a game. Raises `StoreUnavailable`."""
        with self._lock:
            if game_id not in self._infos:
                found = self._directory.game(key_of(game_id))
                if found is None:
                    return None
                self._infos[game_id] = found
            return self._infos[game_id]

    def game_between(self, home: str, away: str, tip: datetime | None) -> str | None:
        """Id of the live game of these teams around `tip` (any time where that is None)."""
        for game_id in self.games():
            info = self.info(game_id)
            if info is None or (info.home_team, info.away_team) != (home, away):
                continue
            if tip is None or abs(info.tip - tip) <= SAME_GAME:
                return game_id
        return None

    def share_left(self, game_id: str) -> float:
        """Share of regulation that is left, 0 once the game is over."""
        state = self.of(f"game:{game_id}", "state")
        if state.get("status") == "final":
            return 0.0
        return min(max(1 - float(state.get("elapsed_s", 0.0)) / REGULATION_S, 0.0), 1.0)


def _game(topic: str) -> bool:
    return topic.startswith("game:")


def _number(entry_id: bytes) -> tuple[int, int]:
    at_ms, _, place = entry_id.partition(b"-")
    return int(at_ms), int(place)
