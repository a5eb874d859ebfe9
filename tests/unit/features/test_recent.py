"""What was worked out last is found again, by key or by the very object it was made of."""

from __future__ import annotations

import threading

from features.recent import Recent, RecentOf


def test_the_value_unused_longest_goes_first() -> None:
    kept: Recent[str, int] = Recent(2)
    kept.put("a", 1)
    kept.put("b", 2)
    assert kept.get("a") == 1
    kept.put("c", 3)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (1, None, 3)
    kept.put("a", 4)
    assert kept.get("a") == 4 and kept.get("c") == 3


def test_the_same_object_is_worked_out_once_and_an_equal_one_again() -> None:
    asked: list[list[int]] = []

    def total(numbers: list[int], others: list[int]) -> int:
        asked.append(numbers)
        return sum(numbers) + sum(others)

    known = RecentOf(2, total)
    first, twin, more = [1, 2], [1, 2], [10]
    assert known(first, more) == known(first, more) == 13 and len(asked) == 1
    assert known(twin, more) == 13 and len(asked) == 2
    assert known(more, first) == 13 and len(asked) == 3
    # The oldest is forgotten; keywords are never remembered.
    assert known(first, more) == 13 and len(asked) == 4
    assert known(first, others=more) == known(first, others=more) == 13 and len(asked) == 6


def test_an_address_used_again_finds_nothing_of_its_former_owner() -> None:
    def first(numbers: list[int]) -> int:
        return numbers[0]

    known = RecentOf(4, first)
    assert [known([number]) for number in range(1000)] == list(range(1000))


def test_many_threads_never_see_another_keys_value() -> None:
    kept: Recent[int, int] = Recent(8)
    wrong: list[tuple[int, int]] = []

    def work(start: int) -> None:
        for at in range(3000):
            key = (start + at) % 16
            kept.put(key, key * key)
            found = kept.get(key)
            if found is not None and found != key * key:
                wrong.append((key, found))

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
