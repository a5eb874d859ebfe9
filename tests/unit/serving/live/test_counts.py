"""What workers say of themselves."""

from __future__ import annotations

from serving.live import protocol
from serving.live.counts import WorkerState, decode_states, prometheus_text, total


def test_states_are_summed_and_stale_ones_left_out() -> None:
    a = WorkerState("1-0", 1, 1, 0.0, at_s=100.0, connections=3, frames=5, lag_ms=2.0, closed={"4008": 1})
    b = WorkerState(
        "1-1", 2, 1, 0.0, at_s=99.0, connections=4, frames=7, lag_ms=1.0, closed={"4008": 2, "1000": 1}
    )
    gone = WorkerState("1-2", 3, 1, 0.0, at_s=80.0, connections=9)
    posted = {s.worker.encode(): protocol.encode(s) for s in (b, a, gone)}
    states = decode_states(posted, now_s=101.0)
    assert [s.worker for s in states] == ["1-0", "1-1"]
    sums = total(states)
    assert (sums["connections"], sums["frames"], sums["lag_ms"]) == (7, 12, 2.0)
    assert sums["closed"] == {"4008": 3, "1000": 1}
    text = prometheus_text(states).decode()
    assert 'fantasy_live_frames_total{worker="1-1"} 7.0' in text
    assert 'fantasy_live_closed_total{code="4008",worker="1-1"} 2.0' in text
    assert 'fantasy_live_connections{worker="1-0"} 3.0' in text
