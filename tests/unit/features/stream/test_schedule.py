"""Short time slices: asked for where the kernel has them, and harmless elsewhere."""

from __future__ import annotations

import platform
import threading

import pytest

from features.stream import schedule


def test_a_thread_gets_short_slices_and_others_keep_theirs() -> None:
    before, found = schedule.slice_of_thread_ns(), []
    thread = threading.Thread(
        target=lambda: found.extend([schedule.short_slices(), schedule.slice_of_thread_ns()])
    )
    thread.start()
    thread.join()
    assert found[0] == (found[1] == schedule.SLICE_NS)
    assert schedule.slice_of_thread_ns() == before


def test_an_unknown_machine_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "pdp11")
    assert schedule.short_slices() is False and schedule.slice_of_thread_ns() is None
