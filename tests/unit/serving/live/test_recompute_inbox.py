"""Newest word per key, nobody left waiting, and no key more often than it may come."""

from __future__ import annotations

import threading
import time

from serving.live.inbox import Inbox


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_newest_word_comes_and_the_longest_waiting_key_first() -> None:
    clock = Clock()
    inbox: Inbox[str, int] = Inbox(0.1, clock)
    for key, word in (("a", 1), ("b", 2), ("a", 3), ("a", 4)):
        inbox.put(key, word)
    assert inbox.superseded == 2 and len(inbox) == 2
    assert inbox.take(0) == ("a", 4)
    assert inbox.take(0) == ("b", 2)
    assert inbox.take(0) is None


def test_a_key_comes_again_only_after_its_time_and_delays_nobody() -> None:
    clock = Clock()
    inbox: Inbox[str, int] = Inbox(0.1, clock)
    inbox.put("a", 1)
    assert inbox.take(0) == ("a", 1)
    inbox.put("a", 2)
    clock.now += 0.09
    assert inbox.take(0) is None
    inbox.put("b", 3)
    assert inbox.take(0) == ("b", 3)
    clock.now += 0.02
    assert inbox.take(0) == ("a", 2)
    clock.now += 1
    inbox.put_back("a", 2)
    assert inbox.take(0) == ("a", 2)
    inbox.put("a", 3)
    inbox.put_back("a", 2)
    clock.now += 1
    assert inbox.take(0) == ("a", 3)


def test_whoever_waits_is_woken_by_a_word_and_by_the_end() -> None:
    inbox: Inbox[str, int] = Inbox(0.01, time.monotonic)
    taken: list[tuple[str, int] | None] = []
    waiting = threading.Thread(target=lambda: taken.extend(inbox.take(30) for _ in range(3)))
    waiting.start()
    inbox.put("a", 1)
    while not taken:
        time.sleep(0.001)
    inbox.put("a", 2)  # due only later: the wait must end by itself
    while len(taken) < 2:
        time.sleep(0.001)
    inbox.close()
    waiting.join(10)
    assert taken == [("a", 1), ("a", 2), None]
