"""What one client may use."""

from __future__ import annotations

from serving.live.limits import Bucket, Limits, Tally


def test_a_bucket_allows_a_burst_then_the_rate() -> None:
    limits = Limits(messages_per_s=2, messages_burst=3)
    bucket = Bucket(limits, 100.0)
    assert [bucket.take(limits, 100.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(limits, 100.4)
    assert not bucket.flooded(limits)
    assert bucket.take(limits, 102.0)
    for _ in range(20):
        bucket.take(limits, 102.0)
    assert bucket.flooded(limits)


def test_a_tally_counts_each_and_forgets_those_who_left() -> None:
    tally = Tally()
    assert [tally.enter("a"), tally.enter("a"), tally.enter("b")] == [1, 2, 1]
    for who in ("a", "a", "b"):
        tally.leave(who)
    assert tally.enter("a") == 1
