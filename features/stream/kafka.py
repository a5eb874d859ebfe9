"""Plays from a topic of any broker that speaks Kafka's protocol (confluent-kafka, the extra `scale`).

A message is a JSON object with the play-by-play columns of `features.play.plays.COLUMNS` (`REQUIRED` at least). Each
partition of the topic is a source of its own. A Kafka offset is committed only when the state has everything before
it, and kept beside the watermarks together with how many plays of each lane that is: a run that goes on there knows
which sequence number a message has, and gives the producer only what is not applied. So every message counts once.
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, cast

import numpy as np
import polars as pl
import redis

from features.errors import FantasyError, InvalidInput, SchemaError, SourceUnavailable
from features.play.plays import COLUMNS
from features.stream.connections import answering
from features.stream.directory import GameInfo, Glossary, partition_of
from features.stream.events import key_of
from features.stream.keys import kafka_offsets
from features.stream.plays import events_of
from features.stream.producer import Producer
from features.stream.replay import Play, is_critical, sound_plays
from features.stream.runs import Runs

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

log = logging.getLogger(__name__)

REQUIRED: Final = ("game_id", "season", "seq", "period", "event_type", "home_team", "away_team")
GROUP: Final = "fantasy"
POLL_S: Final = 0.5
CHUNK: Final = 1000
COMMIT_S: Final = 1.0
TIMEOUT_S: Final = 10.0
#: Topics are numbered from their beginning: there is one life.
EPOCH: Final = 1


class KafkaMissing(FantasyError):
    """confluent-kafka is not installed."""

    http_status = 501


@dataclass(slots=True)
class Checkpoint:
    """How far a partition of the topic is applied: all below `offset`, which is `counts` plays per lane.

    Lanes are (partition, critical) in the order of `_lanes`; `base` is where the topic's first play was.
    """

    base: int
    offset: int
    counts: list[int]


class Checkpoints:
    """Checkpoints on the state server, beside the watermarks: a server that forgets one forgets the other."""

    def __init__(self, client: redis.Redis, league: str, group: str, topic: str) -> None:
        self._redis, self._key = client, kafka_offsets(league)
        self._prefix = f"{group}/{topic}/"

    def read(self, partition: int) -> Checkpoint | None:
        """The checkpoint of a partition of the topic."""
        with answering():
            value = cast("bytes | None", self._redis.hget(self._key, f"{self._prefix}{partition}"))
        return None if value is None else Checkpoint(**json.loads(value))

    def write(self, partition: int, checkpoint: Checkpoint) -> None:
        """Replace it."""
        with answering():
            self._redis.hset(self._key, f"{self._prefix}{partition}", json.dumps(asdict(checkpoint)))


@dataclass(slots=True)
class Lane:
    """One partition of the topic on its way into the stream."""

    topic: str
    number: int
    producer: Producer
    checkpoint: Checkpoint
    #: Plays counted so far per lane, and how many of those to come are applied already.
    counts: list[int]
    skip: list[int]
    #: Checkpoints that wait for the watermark, oldest first.
    waiting: deque[Checkpoint] = field(default_factory=deque)


@dataclass(slots=True)
class Taken:
    """What was read: messages, plays sent, messages that are no plays, and offsets that were committed."""

    messages: int = 0
    plays: int = 0
    rejected: int = 0
    committed: dict[int, int] = field(default_factory=dict)


class KafkaSource:
    """Reads every partition of `topic` at `brokers` into producers that `open_producer(source)` gives.

    `open_producer` opens the life 1 of a source where it stands. Raises `KafkaMissing` without confluent-kafka,
    `SourceUnavailable` when the brokers do not answer or the topic is not there.
    """

    def __init__(
        self,
        brokers: str,
        topic: str,
        *,
        directory: Glossary,
        checkpoints: Checkpoints,
        runs: Runs,
        open_producer: Callable[[str], Producer],
        group: str = GROUP,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._client = _consumer(brokers, group)
        self._brokers, self._topic = brokers, topic
        self._directory, self._checkpoints, self._runs = directory, checkpoints, runs
        self._open_producer, self._clock_ns = open_producer, clock_ns
        self._lanes: dict[int, Lane] = {}
        self.taken = Taken()

    def __enter__(self) -> Self:
        try:
            for number in self._partitions():
                self._lanes[number] = self._open(number)
            from confluent_kafka import TopicPartition

            starts = [
                TopicPartition(self._topic, lane.number, lane.checkpoint.offset) for lane in self._lanes.values()
            ]
            self._client.assign(starts)
        except BaseException:
            self._close(0.0)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(30.0 if error is None else 0.0)

    def run(
        self, *, stopped: Callable[[], bool], idle_s: float | None, on_progress: Callable[[Taken], None]
    ) -> Taken:
        """Read until `stopped`, or until nothing came for `idle_s` and all is applied."""
        last = committed = time.monotonic()
        while not stopped():
            messages = self._client.consume(CHUNK, timeout=POLL_S)
            now = time.monotonic()
            if messages:
                last = now
                self._take(messages)
            if now - committed >= COMMIT_S or not messages:
                self.commit()
                committed = now
            on_progress(self.taken)
            if (
                idle_s is not None
                and now - last > idle_s
                and not any(lane.waiting for lane in self._lanes.values())
            ):
                break
        return self.taken

    def commit(self) -> None:
        """Commit the offsets that the state has passed, here and with the brokers."""
        from confluent_kafka import KafkaException, TopicPartition

        for lane in self._lanes.values():
            applied = self._applied(lane)
            passed = None
            while lane.waiting and all(a >= n for a, n in zip(applied, lane.waiting[0].counts, strict=True)):
                passed = lane.waiting.popleft()
            if passed is None:
                continue
            lane.checkpoint = passed
            self._checkpoints.write(lane.number, passed)
            try:
                at = TopicPartition(self._topic, lane.number, passed.offset)
                self._client.commit(offsets=[at], asynchronous=False)
            except KafkaException as error:  # only a reading for the brokers' tools: ours is the checkpoint
                log.warning("%s: offset %d not committed (%s)", self._name(lane.number), passed.offset, error)
                continue
            self.taken.committed[lane.number] = passed.offset

    def _open(self, number: int) -> Lane:
        """A partition where it stands; at its beginning when the state has lost what its checkpoint says."""
        producer = self._open_producer(self._name(number))
        lanes = [(p, critical) for p in range(producer.partitions) for critical in (False, True)]
        try:
            resumed = [producer.resume_from(p, critical=critical) for p, critical in lanes]
            low, _ = self._offsets(number)
            checkpoint = self._checkpoints.read(number)
            if checkpoint is not None and len(checkpoint.counts) != len(lanes):
                raise InvalidInput(
                    f"stream_partitions is {producer.partitions} now but was {len(checkpoint.counts) // 2} when "
                    f"{self._name(number)} was read; set FANTASY_STREAM_PARTITIONS back"
                )
            if checkpoint is None or any(have < n for have, n in zip(resumed, checkpoint.counts, strict=True)):
                base = low if checkpoint is None else checkpoint.base
                checkpoint = Checkpoint(base, base, [0] * len(lanes))
            if low > checkpoint.offset:
                raise SourceUnavailable(
                    f"{self._name(number)}: messages {checkpoint.offset} to {low - 1} were deleted from the topic "
                    "before they were read, so its games are incomplete; read a topic that has them"
                )
        except BaseException:
            producer.close(timeout_s=0.0)
            raise
        self._checkpoints.write(number, checkpoint)
        skip = [have - n for have, n in zip(resumed, checkpoint.counts, strict=True)]
        return Lane(self._topic, number, producer, checkpoint, list(checkpoint.counts), skip)

    def _take(self, messages: Sequence[Message]) -> None:
        by_partition: dict[int, list[tuple[int, bytes | None]]] = {}
        for message in messages:
            if (error := message.error()) is not None:
                raise SourceUnavailable(f"{self._brokers}, topic {self._topic!r}: {error}; try again later")
            number, offset = cast("int", message.partition()), cast("int", message.offset())
            by_partition.setdefault(number, []).append((offset, message.value()))
        for number, own in by_partition.items():
            lane = self._lanes[number]
            plays, wrong = plays_of_messages(own)
            for offset, reason in wrong:
                log.warning("%s, offset %d is left out: %s", self._name(number), offset, reason)
            self.taken.messages += len(own)
            self.taken.rejected += len(wrong)
            self._send(lane, plays)
            lane.waiting.append(Checkpoint(lane.checkpoint.base, own[-1][0] + 1, list(lane.counts)))

    def _send(self, lane: Lane, plays: pl.DataFrame) -> None:
        if plays.is_empty():
            return
        self._register(plays)
        rows, _ = events_of(plays, self._directory)
        rows["created_ns"] = self._clock_ns()
        partitions = lane.producer.partitions
        places = 2 * partition_of(rows["game"].astype(np.int64), partitions) + is_critical(rows)
        for place in range(2 * partitions):  # the order between lanes and partitions does not matter
            mine = rows[places == place]
            lane.counts[place] += len(mine)
            skipped = min(lane.skip[place], len(mine))
            lane.skip[place] -= skipped
            self.taken.plays += len(mine) - skipped
            if place % 2:
                for row in mine[skipped:]:
                    lane.producer.send_critical(row)
            elif skipped < len(mine):
                lane.producer.send_many(mine[skipped:])

    def _register(self, plays: pl.DataFrame) -> None:
        """Make games known that are not; a topic does not say who may play, so everybody is taken."""
        first = plays.unique("game_id", keep="first", maintain_order=True)
        known = self._directory.games(key_of(game_id) for game_id in first["game_id"])
        now = datetime.fromtimestamp(self._clock_ns() / 1e9, UTC)
        for play in first.iter_rows(named=True):
            if key_of(play["game_id"]) not in known:
                teams = (play["home_team"], play["away_team"])
                self._directory.register_game(GameInfo(play["game_id"], play["season"], *teams, now))

    def _applied(self, lane: Lane) -> list[int]:
        partitions, name = lane.producer.partitions, self._name(lane.number)
        return [
            self._runs.applied(name, EPOCH, partition, critical=critical)
            for partition in range(partitions)
            for critical in (False, True)
        ]

    def _name(self, number: int) -> str:
        return f"kafka:{self._topic}/{number}"

    def _partitions(self) -> list[int]:
        from confluent_kafka import KafkaException

        try:
            metadata = self._client.list_topics(self._topic, timeout=TIMEOUT_S).topics[self._topic]
        except KafkaException as error:
            raise SourceUnavailable(
                f"Kafka brokers {self._brokers} do not answer ({error}); start them"
            ) from error
        if metadata.error is not None or not metadata.partitions:
            raise SourceUnavailable(
                f"topic {self._topic!r} at {self._brokers} cannot be read ({metadata.error}); create it first"
            )
        return sorted(metadata.partitions)

    def _offsets(self, number: int) -> tuple[int, int]:
        from confluent_kafka import KafkaException, TopicPartition

        try:
            low, high = self._client.get_watermark_offsets(TopicPartition(self._topic, number), timeout=TIMEOUT_S)
        except KafkaException as error:
            raise SourceUnavailable(f"{self._name(number)} does not tell its offsets ({error})") from error
        return int(low), int(high)

    def _close(self, timeout_s: float) -> None:
        try:
            for lane in self._lanes.values():
                lane.producer.close(timeout_s=timeout_s)
            if timeout_s:
                self.commit()
        finally:
            self._client.close()


def plays_of_messages(
    messages: Sequence[tuple[int, bytes | None]],
) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """Plays (`COLUMNS`) of messages (offset, value) in order, and (offset, reason) of those that are none."""
    plays: list[tuple[int, Play]] = []
    wrong: list[tuple[int, str]] = []
    for offset, value in messages:
        try:
            plays.append((offset, _play(value)))
        except (ValueError, SchemaError) as error:
            wrong.append((offset, str(error)))
    frame, unfit = sound_plays([play for _, play in plays])
    wrong += [(plays[index][0], reason) for index, reason in unfit]
    return frame, sorted(wrong)


def _play(value: bytes | None) -> Play:
    play = json.loads(value or b"null")
    if not isinstance(play, dict):
        raise SchemaError(f"{type(play).__name__} instead of a JSON object of a play")
    missing = [name for name in REQUIRED if play.get(name) is None]
    if missing:
        raise SchemaError(f"the play lacks {missing}; see docs/live.md for its fields")
    return {name: play.get(name) for name in COLUMNS}


def _consumer(brokers: str, group: str) -> Consumer:
    try:
        from confluent_kafka import Consumer
    except ImportError as error:
        raise KafkaMissing(
            "confluent-kafka is not installed: pip install 'fantasy-ai[scale]' to read from Kafka's protocol"
        ) from error
    return Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",  # an offset that is gone is told, never skipped
            "log_level": 2,
        }
    )
