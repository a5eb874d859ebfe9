"""The pipeline on a Redis Cluster of three nodes: both roles at one cluster URL, partitions on different nodes."""

from __future__ import annotations

from features.stream.connections import Servers
from features.stream.deltas import decode_entry, epoch
from features.stream.directory import Directory
from features.stream.events import Flag
from features.stream.keys import Keys
from features.stream.news import News
from features.stream.producer import Producer
from features.stream.reader import LiveState
from tests.fixtures.stream import LEAGUE, Server, consuming, ground_truth, some_games, some_rows, until

PARTITIONS = 6
GAMES = some_games(12)


def url_of(cluster: list[Server]) -> str:
    return f"redis+cluster://127.0.0.1:{cluster[0].port}"


def register(servers: Servers) -> None:
    directory = Directory(servers.client(), LEAGUE)
    for game in GAMES:
        directory.register_game(game)


def test_everything_counts_once_on_a_cluster(cluster: list[Server]) -> None:
    url = url_of(cluster)
    servers, live = Servers(url), LiveState(url, LEAGUE, PARTITIONS)
    register(servers)
    nodes = {servers.url_of(Keys(LEAGUE, partition).state) for partition in range(PARTITIONS)}
    assert len(nodes) == 3, "the partitions' names fall on fewer nodes: choose another league"
    rows, urgent = some_rows(3000, GAMES, keep=Flag.keep), some_rows(20, GAMES, seed=1)
    with (
        consuming(url, url, partitions=PARTITIONS) as consumer,
        Producer(url, url, LEAGUE, PARTITIONS, source="test") as sender,
    ):
        for at in range(0, len(rows), 100):
            sender.send_many(rows[at : at + 100])
        for row in urgent:
            sender.send_critical(row)
        sender.send_news(
            News(id="1", at="2024-12-01T10:00:00Z", subject="player:1", kind="injury", field="status", new="out")
        )
        sender.flush(30)
        assert sorted(consumer.owned) == list(range(PARTITIONS))
        assert live.checksum() == ground_truth(GAMES, rows, urgent)
    assert [each.new for each in live.news()] == ["out"]
    assert sum(len(live.rows(game.game_id)) for game in GAMES) == len(rows)
    for partition in range(PARTITIONS):
        keys = Keys(LEAGUE, partition)
        client = servers.client_of(keys.deltas)
        assert decode_entry(client.xrevrange(keys.deltas, count=1)[0][1][b"u"])
        assert epoch(client, LEAGUE, partition) == epoch(client, LEAGUE, partition)
    live.close()
    servers.close()


def test_a_slot_that_moves_and_a_node_that_dies_are_followed(cluster: list[Server]) -> None:
    url = url_of(cluster)
    servers, live = Servers(url), LiveState(url, LEAGUE, PARTITIONS)
    register(servers)
    rows = some_rows(4000, GAMES)
    with (
        consuming(url, url, partitions=PARTITIONS, lease_ms=300),
        Producer(url, url, LEAGUE, PARTITIONS, source="test") as sender,
    ):
        sender.send_many(rows[:1000])
        sender.flush(30)
        _move(cluster, servers, Keys(LEAGUE, 0))
        sender.send_many(rows[1000:2000])
        sender.flush(30)
        assert live.checksum() == ground_truth(GAMES, rows[:2000])
        cluster[2].kill()
        sender.send_many(rows[2000:3000])
        cluster[2].start()
        sender.send_many(rows[3000:])
        sender.flush(60)
        until(lambda: live.checksum() == ground_truth(GAMES, rows))
    live.close()
    servers.close()


def _move(cluster: list[Server], servers: Servers, keys: Keys) -> None:
    """Move the partition's slot, keys and all, to another node, as an operator does who adds one."""
    slot = cluster[0].client.execute_command("CLUSTER KEYSLOT", keys.state)
    source = next(node for node in cluster if node.url == servers.url_of(keys.state))
    target = next(node for node in cluster if node is not source)
    ids = {node.port: node.client.execute_command("CLUSTER MYID").decode() for node in (source, target)}
    target.client.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source.port])
    source.client.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target.port])
    while names := source.client.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
        source.client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *names)
    for node in (target, source, *cluster):
        node.client.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[target.port])
