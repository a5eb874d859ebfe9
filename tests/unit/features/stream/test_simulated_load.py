"""Generated load: sound, repeatable from any number on, and made for whoever has to go on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import InvalidInput
from features.stream.directory import LocalDirectory, partition_of
from features.stream.events import Kind
from features.stream.simulated import CYCLE, Load
from features.stream.state import PartitionState

LOAD = Load(5, 12, seed=3)


@given(first=st.integers(0, 3 * 5 * CYCLE), n=st.integers(0, 3 * 5 * CYCLE))
@settings(max_examples=20, deadline=None)
def test_rows_depend_on_their_number_only(first: int, n: int) -> None:
    everything = Load(5, 12, seed=3).rows(0, 6 * 5 * CYCLE, 7)
    assert LOAD.rows(first, n, 7).tobytes() == everything[first : first + n].tobytes()


def test_another_seed_is_another_load() -> None:
    assert {info.key for info in Load(5, 12, seed=4).games}.isdisjoint(info.key for info in LOAD.games)
    assert (Load(5, 12, seed=4).pool(500)["kind"] != LOAD.pool(500)["kind"]).any()


def test_all_events_are_sound_and_in_order() -> None:
    state = PartitionState(LocalDirectory(LOAD.games))
    applied = state.apply(LOAD.rows(0, 20_000), now_ns=0)
    assert (applied.applied, applied.late) == (20_000, 0)
    assert set(applied.games) == {info.key for info in LOAD.games}


def test_a_few_players_have_most_events() -> None:
    credited = LOAD.pool(20_000)
    counts = np.sort(np.unique(credited["player"], return_counts=True)[1])[::-1]
    assert counts[:5].sum() > 0.3 * counts.sum()
    assert len(counts) == 5 * 12
    assert set(np.unique(credited["kind"]).tolist()) >= {int(Kind.made_shot), int(Kind.foul), int(Kind.timeout)}


def test_stamping_again_makes_the_next_round() -> None:
    rows = LOAD.rows(0, 1000)
    LOAD.stamp(rows, 5 * CYCLE, np.arange(1000))
    assert rows.tobytes() == LOAD.rows(5 * CYCLE, 1000, np.arange(1000)).tobytes()


@given(reached=st.lists(st.integers(0, 400), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_a_producer_goes_on_where_every_partition_stands(reached: list[int]) -> None:
    everything = LOAD.rows(0, 4000)
    partition = partition_of(everything["game"], len(reached))
    done = [everything[partition == p][:n] for p, n in enumerate(reached)]
    lacking, number = LOAD.resume([len(rows) for rows in done])
    sent = np.concatenate([*done, lacking, LOAD.rows(number, 4000 - number)])
    for p in range(len(reached)):
        mine = sent[partition_of(sent["game"], len(reached)) == p]
        assert mine.tobytes() == everything[partition == p].tobytes()


def test_a_load_that_makes_no_sense_is_refused() -> None:
    for wrong in ({"games": 0}, {"players_per_game": 3}, {"seed": -1}):
        with pytest.raises(InvalidInput, match="load:"):
            Load(**wrong)
    with pytest.raises(InvalidInput, match="no game of this load"):
        Load(1, 4).resume([1, 1])
