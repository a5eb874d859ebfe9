"""What a worker remembers, and what it tells whoever comes back."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from features.stream.deltas import Change
from serving.live.book import Book, Loaded
from serving.live.client import merged
from serving.live.protocol import Position
from serving.live.topics import RING, Topic, offset_number, offset_text

EPOCHS = {0: "0:a", 1: "1:b"}


def said(frame: bytes) -> dict[str, Any]:
    """The message in an unmasked frame."""
    message: dict[str, Any] = json.loads(frame[frame.index(b'{"op"') :])
    return message


def one(topic: str, data: dict[str, Any], *, critical: bool = False, writer: str = "state") -> Change:
    """An update."""
    return Change(topic, writer, data, int(critical), 5)


def empty(partition: int = 0) -> Loaded:
    """A partition nobody wrote to yet."""
    return Loaded(EPOCHS[partition], 0, 0, {}, [])


def apply(book: Book, number: int, *changes: Change, partition: int = 0) -> tuple[list[Topic], list[Topic]]:
    """Take in an entry."""
    return book.apply(partition, EPOCHS[partition], number, changes, size=100)


def here(topic: Topic) -> Position:
    """Where one stands who knows all."""
    return Position(topic.epoch, topic.offset)


def test_offsets_sort_as_entry_ids_do() -> None:
    texts = ["1-0", "1-2", "1-10", "2-0", "1795461570501-3"]
    assert [offset_text(offset_number(text)) for text in texts] == texts
    assert sorted(texts, key=offset_number) == texts


def test_the_whole_is_all_writers_fields_and_null_removes() -> None:
    book = Book("nba")
    apply(book, 1, one("player:1", {"line": 1, "news": "in"}), one("player:1", {"expected": 2}, writer="model"))
    apply(book, 2, one("player:1", {"line": 3, "news": None}))
    assert book.topic("player:1").whole() == {"line": 3, "expected": 2}


def test_games_that_were_removed_leave_no_topics_behind() -> None:
    """Ten thousand games come and go; their topics stay only as long as the updates that told of it."""
    book = Book("nba", kept_bytes=5_000)
    for game in range(10_000):
        name, at = f"game:{game}", 3 * game
        apply(book, at + 1, one(name, {"seq": 1}))
        apply(book, at + 2, one(name, {"seq": 2}, writer="model"))
        since = here(book.topic(name))
        apply(book, at + 3, one(name, {"seq": None}, critical=True), one(name, {"seq": None}, writer="model"))
        assert [entry.data for entry in book.topic(name).missing(since) or ()] == [{"seq": None}]
        assert len(book.topics) <= 50
    apply(book, 30_001, one("game:0", {"seq": 9}))  # it comes again: whoever stood at its end is told all of it
    assert book.topic("game:0").whole() == {"seq": 9}
    assert book.topic("game:0").missing(Position(EPOCHS[0], offset_text(3))) is None


def test_two_writers_in_one_entry_make_one_delta() -> None:
    book = Book("nba")
    apply(book, 1, one("game:1", {"a": 1}))
    touched, new = apply(
        book, 2, one("game:1", {"a": 2}), one("game:1", {"p": 0.5}, critical=True, writer="model")
    )
    topic = book.topic("game:1")
    assert (touched, new) == ([topic], [])
    assert len(topic.ring) == 1
    assert topic.ring[0].data == {"a": 2, "p": 0.5}
    assert topic.ring[0].critical


def test_the_field_a_player_had_in_an_older_game_does_not_come_back() -> None:
    book = Book("nba")
    book.load(0, Loaded("0:a", 10, 0, {("player:1", "state"): {"line": "old"}}, [(3, [one("player:1", {})])]))
    book.load(1, Loaded("1:b", 10, 0, {("player:1", "state"): {"line": "new"}}, [(7, [one("player:1", {})])]))
    apply(book, 12, one("player:1", {"news": "in"}, writer="news"))
    assert book.topic("player:1").whole() == {"line": "new", "news": "in"}


def test_loading_again_under_another_epoch_is_a_snapshot_for_all() -> None:
    book = Book("nba")
    apply(book, 1, one("game:1", {"a": 1}), one("game:2", {"a": 1}))
    at = here(book.topic("game:1"))
    reset = book.load(0, Loaded("0:z", 9, 0, {("game:1", "state"): {"a": 9}}, [(9, [one("game:1", {"a": 9})])]))
    assert {topic.name for topic in reset} == {"game:1", "game:2"}
    assert book.topic("game:1").missing(at) is None
    assert book.topic("game:1").whole() == {"a": 9}
    assert "game:2" not in {name for name, topic in book.topics.items() if topic.known}


def test_what_was_evicted_cannot_be_resumed() -> None:
    book = Book("nba", kept_bytes=1_000)
    apply(book, 1, one("game:1", {"n": 0}))
    start = here(book.topic("game:1"))
    for n in range(2, 10):
        apply(book, n, one("game:1", {"n": n}))
    assert len(book.topic("game:1").missing(start) or []) == 8
    for n in range(10, 30):
        apply(book, n, one("game:1", {"n": n}))
    assert book.topic("game:1").missing(start) is None
    assert len(book.topic("game:1").ring) == 10


def test_a_ring_is_bounded() -> None:
    book = Book("nba")
    for n in range(1, RING + 50):
        apply(book, n, one("game:1", {"n": n}))
    assert len(book.topic("game:1").ring) == RING


def test_a_topic_nobody_told_of_is_forgotten_with_its_last_subscriber() -> None:
    book = Book("nba")
    book.release(book.topic("game:1"))
    apply(book, 1, one("game:2", {"a": 1}))
    book.release(book.topic("game:2"))
    assert list(book.topics) == ["game:2"]


def test_history_cut_short_resumes_only_what_it_covers() -> None:
    book = Book("nba")
    wholes = {("game:1", "state"): {"n": 9}, ("game:2", "state"): {"n": 1}}
    history = [(n, [one("game:1", {"n": n})]) for n in (7, 8, 9)]
    book.load(0, Loaded("0:a", 9, 7, wholes, history, size=300))
    covered, quiet = book.topic("game:1"), book.topic("game:2")
    assert [e.number for e in covered.missing(Position("0:a", offset_text(7))) or []] == [8, 9]
    assert covered.missing(Position("0:a", offset_text(6))) is None
    assert quiet.missing(Position("0:a", offset_text(6))) is None
    assert quiet.missing(Position("0:a", offset_text(7))) == []


changes = st.tuples(st.sampled_from([0, 1]), st.booleans(), st.sampled_from("abc"), st.integers(0, 99) | st.none())


@settings(max_examples=200, deadline=None)
@given(st.lists(changes, min_size=1, max_size=40), st.data())
def test_whoever_stops_anywhere_goes_on_without_gap_or_duplicate(
    updates: list[tuple[int, bool, str, int | None]], data: st.DataObject
) -> None:
    book = Book("nba")
    book.load(0, Loaded("0:a", 0, 0, {("game:1", "w0"): {}}, []))
    book.load(1, Loaded("1:b", 0, 0, {("game:1", "w1"): {}}, []))
    topic = book.topic("game:1")
    stop = data.draw(st.integers(0, len(updates)))
    stops = [(topic.whole(), here(topic))]
    wanted: list[dict[str, Any]] = []
    for number, (partition, critical, name, value) in enumerate(updates, 1):
        # A field has one writer.
        told_data = {f"{name}{partition}": value} | ({f"critical{number}": 1} if critical else {})
        change = one("game:1", told_data, critical=critical, writer=f"w{partition}")
        wanted += [told_data] if critical and number > stop else []
        apply(book, number, change, partition=partition)
        stops.append((topic.whole(), here(topic)))
    whole, since = stops[stop]
    missed = topic.missing(since)
    assert missed is not None
    merge = data.draw(st.booleans())
    offset, told = since.offset, []
    for frame in topic.frames(missed, since.offset, merge=merge):
        message = said(frame)
        assert (message["prev"], message["epoch"]) == (offset, since.epoch)
        offset = message["offset"]
        whole = merged(whole, message["data"])
        told.append(message["data"])
    assert offset == topic.offset
    assert whole == topic.whole()
    assert [data for data in told if any(name.startswith("critical") for name in data)] == wanted
    assert not merge or len(told) <= 2 * len(wanted) + 1
    if not merge:
        assert len(told) == len(updates) - stop


def test_another_worker_that_read_the_partitions_the_other_way_round_resumes_too() -> None:
    books = []
    for order in ((0, 1), (1, 0)):
        book = Book("nba")
        for partition in (0, 1):
            book.load(partition, Loaded(EPOCHS[partition], 0, 0, {("player:1", f"w{partition}"): {}}, []))
        for partition in order:
            apply(book, 5, one("player:1", {f"f{partition}": 1}, writer=f"w{partition}"), partition=partition)
            books.append((book, here(book.topic("player:1"))))
    (_, since), (first, _), _, (second, _) = books
    for book in (first, second):
        topic = book.topic("player:1")
        missed = topic.missing(since)
        assert missed is not None
        (frame,) = topic.frames(missed, since.offset, merge=False)
        message = said(frame)
        assert message["data"] == {"f1": 1}
        assert (message["prev"], message["offset"]) == (since.offset, topic.offset)
