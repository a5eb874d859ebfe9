"""The fold: the box lines of the batch code, the same bits in any order, and nothing that cannot be true."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import scoring
from features.errors import FutureVersion, MalformedBatch
from features.play.player_actions import COUNTS, lines_so_far
from features.play.plays import recorded_plays
from features.stream import fold
from features.stream.directory import GameInfo, LocalDirectory
from features.stream.events import EVENT, NO_INT16, Flag, Kind, Rows, blank
from features.stream.plays import events_of
from features.stream.simulated import Load
from features.stream.state import (
    FUTURE_NS,
    STATS,
    PartitionState,
    Reject,
    checksum_of,
    fantasy_points,
    unpack,
)
from tests.fixtures.plays import TIP, infos, simulated_plays

NOW_NS = 1_700_000_000_000_000_000
GAME = GameInfo("0022400001", 2024, "BOS", "NYK", TIP, (11, 12, 21, 22))
OPEN = GameInfo("0022400002", 2024, "LAL", "DEN", TIP)
INTEGER = st.integers


def play(of: Kind, /, **fields: Any) -> Rows:
    """One sound row of GAME, with other `fields`."""
    row = blank(1)
    for name, value in {"game": GAME.key, "kind": int(of), "period": 1, "side": 1, **fields}.items():
        row[name] = value
    return row


def fresh() -> PartitionState:
    return PartitionState(LocalDirectory([GAME, OPEN]))


def after(*rows: Rows) -> PartitionState:
    state = fresh()
    applied = state.apply(np.concatenate(rows), now_ns=NOW_NS)
    assert applied.reason_counts() == {}
    return state


def test_the_compiled_numbers_are_the_named_ones() -> None:
    named = {kind.name: int(kind) for kind in Kind}
    assert (
        named["made_shot"],
        named["missed_shot"],
        named["free_throw"],
    ) == (fold.MADE, fold.MISSED, fold.FREE)
    assert (named["rebound"], named["turnover"], named["foul"]) == (fold.REBOUND, fold.TURNOVER, fold.FOUL)
    assert (named["period_end"], max(named.values())) == (fold.END, fold.KINDS)
    assert (Flag.offensive, Flag.defensive, Flag.personal) == (fold.OFFENSIVE, fold.DEFENSIVE, fold.PERSONAL)
    assert (Flag.retract, Flag.final) == (fold.RETRACT, fold.LAST)
    codes = (fold.NO_GAME, fold.NO_PLAYER, fold.KIND, fold.SIDE, fold.PERIOD, fold.CLOCK, fold.POINTS, fold.SCORE)
    assert (*codes, fold.SEQ, fold.FUTURE, Reject.removed_game) == tuple(Reject)  # the last is not the fold's


def box_lines(state: PartitionState, directory: LocalDirectory) -> pl.DataFrame:
    """Lines of a state with something in them."""
    rows = [
        {"game_id": directory.games([game])[game].game_id, "player_id": player, **{c: line[c] for c in COUNTS}}
        for game in state.games
        for player, line in state.state(game).lines().items()
    ]
    schema = {"game_id": pl.String, "player_id": pl.Int32, **dict.fromkeys(COUNTS, pl.Int64)}
    return pl.DataFrame(rows, schema=schema).filter(pl.sum_horizontal(COUNTS) != 0).sort("game_id", "player_id")


def batch_lines(plays: pl.DataFrame) -> pl.DataFrame:
    """The same by the code that the models learn with."""
    last = lines_so_far(plays).group_by("game_id", "player_id").last()
    lines = last.select("game_id", "player_id", *(pl.col(c).cast(pl.Int64) for c in COUNTS))
    return lines.filter(pl.sum_horizontal(COUNTS) != 0).sort("game_id", "player_id")


def check_lines(plays: pl.DataFrame, *, batches: int) -> None:
    people = (
        plays.select("game_id", pl.concat_list("p1_id", "p2_id", "p3_id").alias("id")).explode("id").drop_nulls()
    )
    rosters = {
        str(game): tuple(ids) for game, ids in people.group_by("game_id").agg(pl.col("id").unique()).iter_rows()
    }
    for known in ({}, rosters):
        directory = LocalDirectory(infos(plays, known))
        rows, _ = events_of(plays, directory)
        state = PartitionState(directory)
        shuffled = np.random.default_rng(3).permutation(rows)
        for part in np.array_split(shuffled, batches):
            assert state.apply(part, now_ns=NOW_NS).reason_counts() == {}
        assert box_lines(state, directory).equals(batch_lines(plays))
        last = plays.group_by("game_id").last().sort("game_id")
        states = sorted(
            (state.state(game) for game in state.games), key=lambda g: directory.games([g.key])[g.key].game_id
        )
        assert [(g.home_score, g.away_score, g.period) for g in states] == list(
            last.select("home_score", "away_score", "period").iter_rows()
        )
        assert sum(g.events for g in states) == plays.height


def test_lines_of_simulated_games_are_those_of_the_batch_code() -> None:
    check_lines(simulated_plays(), batches=7)


@pytest.mark.real_data
@pytest.mark.parametrize("season", [2015, 2020, 2024])
def test_lines_of_recorded_games_are_those_of_the_batch_code(fantasy_data: Path, season: int) -> None:
    check_lines(recorded_plays(fantasy_data).read(season), batches=300)


@given(seed=INTEGER(0, 1000), cuts=st.lists(INTEGER(0, 400), max_size=6), share=st.floats(0, 0.3))
@settings(max_examples=40, deadline=None)
def test_any_order_and_any_batches_leave_the_same_bits(seed: int, cuts: list[int], share: float) -> None:
    rng = np.random.default_rng(seed)
    load = Load(3, 8, seed=1)
    rows = load.rows(int(rng.integers(0, 10_000)), 400)
    wild = rng.random(400) < share  # some say the impossible, some the same number twice, some take plays back
    rows["seq"][wild] = rng.integers(-2, 5, wild.sum())
    rows["points"][rng.random(400) < share] = rng.integers(-128, 127)
    rows["period"][rng.random(400) < share] = rng.integers(0, 25)
    rows["flags"][rng.random(400) < share] |= int(Flag.retract)
    rows["home_score"][rng.random(400) < share] = NO_INT16
    rows["clock_s"][rng.random(400) < share] = np.nan
    rows["side"][rng.random(400) < share] = rng.integers(0, 4)
    whole = PartitionState(LocalDirectory(load.games))
    reference = whole.apply(rows, now_ns=NOW_NS)
    parts = PartitionState(LocalDirectory(info for info in reversed(load.games)))
    counts: Counter[str] = Counter()
    for part in np.split(rng.permutation(rows), sorted(cuts)):
        counts.update(parts.apply(part, now_ns=NOW_NS).reason_counts())
    assert dict(counts) == reference.reason_counts()
    assert parts.checksum() == whole.checksum()


def slow_fold(rows: Rows) -> dict[tuple[int, int], Counter[str]]:
    """The same counts, one row and one name at a time."""
    lines: dict[tuple[int, int], Counter[str]] = {}
    for row in rows:
        kind, sign = Kind(int(row["kind"])), -1 if row["flags"] & Flag.retract else 1
        three, flags, points = row["shot_value"] == 3, int(row["flags"]), max(int(row["points"]), 0)
        made, shot = kind is Kind.made_shot, kind in (Kind.made_shot, Kind.missed_shot)
        mine = {
            "pts": points if made or kind is Kind.free_throw else 0, "fgm": made, "fga": shot,
            "fg3m": made and three, "fg3a": shot and three, "fta": kind is Kind.free_throw,
            "ftm": kind is Kind.free_throw and points > 0, "tov": kind is Kind.turnover,
            "oreb": kind is Kind.rebound and flags & Flag.offensive,
            "dreb": kind is Kind.rebound and flags & (Flag.offensive | Flag.defensive) == Flag.defensive,
            "pf": kind is Kind.foul and flags & Flag.personal,
        }  # fmt: skip
        acted = shot or kind in (Kind.free_throw, Kind.turnover) or mine["oreb"] or mine["dreb"] or mine["pf"]
        others = {
            "second": {"ast": made, "stl": kind is Kind.turnover},
            "third": {"blk": kind is Kind.missed_shot},
        }
        for field, adds in {"player": mine if acted else {}, **others}.items():
            if row["side"] and row[field] > 0 and any(v for v in adds.values()) | (field == "player" and acted):
                line = lines.setdefault((int(row["game"]), int(row[field])), Counter())
                line.update({name: sign * int(bool(v)) for name, v in adds.items() if name != "pts"})
                line.update({"pts": sign * int(adds.get("pts", 0)), "events": sign})
    return lines


def test_counts_are_those_of_a_fold_by_hand() -> None:
    load = Load(4, 10, seed=2)
    rows = load.pool(3000)
    rows["flags"][::17] |= int(Flag.retract)
    state = PartitionState(LocalDirectory(load.games))
    assert state.apply(rows, now_ns=NOW_NS).applied == 3000
    expected = slow_fold(rows)
    names = [name for name in STATS if name != "last_seq"]
    found = {
        (game, player): {name: line[name] for name in names}
        for game in state.games
        for player, line in state.state(game).lines().items()
    }
    assert found == {key: {name: line[name] for name in names} for key, line in expected.items()}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"game": 12345}, "unknown_game"),
        ({"player": 99}, "unknown_player"),
        ({"second": 99, "player": 11}, "unknown_player"),
        ({"kind": 16}, "kind"),
        ({"side": 3}, "side"),
        ({"period": 0}, "period"),
        ({"period": 21}, "period"),
        ({"clock_s": -0.5}, "clock"),
        ({"clock_s": np.inf}, "clock"),
        ({"elapsed_s": 1e9}, "clock"),
        ({"points": 1}, "points"),
        ({"points": 4}, "points"),
        ({"points": -2}, "points"),
        ({"kind": int(Kind.rebound), "points": 2}, "points"),
        ({"shot_value": 1}, "points"),
        ({"home_score": -1}, "score"),
        ({"away_score": 501}, "score"),
        ({"seq": -1}, "seq"),
        ({"created_ns": NOW_NS + FUTURE_NS + 1}, "future"),
    ],
)
def test_what_cannot_be_true_is_left_out_and_named(fields: dict[str, Any], reason: str) -> None:
    sound = play(Kind.made_shot, player=11, points=2, shot_value=2, home_score=2, away_score=0, seq=1)
    wrong = play(Kind.made_shot, **{"points": 2, "seq": 2, "home_score": 4, "away_score": 0, **fields})
    state = fresh()
    applied = state.apply(np.concatenate([sound, wrong, sound]), now_ns=NOW_NS)
    assert applied.reason_counts() == {reason: 1}
    assert (applied.rejected.tolist(), applied.applied) == ([1], 2)
    assert applied.games == (GAME.key,)
    assert state.checksum() == after(sound, sound).checksum()


def test_a_clock_that_is_only_a_little_ahead_is_taken() -> None:
    assert after(play(Kind.timeout, created_ns=NOW_NS + FUTURE_NS)).state(GAME.key).events == 1


def test_someone_unknown_without_a_line_does_no_harm() -> None:
    """A coach's technical foul, or a substitution of somebody who was added to the roster today."""
    state = after(
        play(Kind.foul, player=2399), play(Kind.substitution, player=98, second=99), play(Kind.ejection, player=99)
    )
    assert state.state(GAME.key).lines() == {}


def test_a_game_without_a_roster_takes_everybody() -> None:
    rows = np.concatenate([play(Kind.turnover, game=OPEN.key, player=n + 1, seq=n) for n in range(3000)])
    state = after(rows)  # more than there is room for at first
    lines = state.state(OPEN.key).lines()
    assert len(lines) == 3000
    assert all((line["tov"], line["last_seq"]) == (1, player - 1) for player, line in lines.items())


def test_many_games_find_room() -> None:
    games = [GameInfo(f"g{n}", 2024, "A", "B", TIP, tuple(range(100 * n + 1, 100 * n + 27))) for n in range(200)]
    state = PartitionState(LocalDirectory(games))
    rows = np.concatenate([play(Kind.free_throw, game=g.key, player=g.roster[3], points=1) for g in games])
    assert state.apply(rows, now_ns=NOW_NS).applied == 200
    assert {state.state(g.key).line(g.roster[3])["ftm"] for g in games} == {1}  # type: ignore[index]


def test_a_game_and_a_player_registered_later_are_met() -> None:
    directory = LocalDirectory()
    state = PartitionState(directory)
    row = play(Kind.turnover, player=11)
    assert state.apply(row, now_ns=NOW_NS).reason_counts() == {"unknown_game": 1}
    directory.register_game(GAME)
    assert state.apply(row, now_ns=NOW_NS).applied == 1
    late = play(Kind.turnover, player=13)
    assert state.apply(late, now_ns=NOW_NS).reason_counts() == {"unknown_player": 1}
    directory.register_game(GameInfo(GAME.game_id, 2024, "BOS", "NYK", TIP, (*GAME.roster, 13)))
    applied = state.apply(np.concatenate([row, late]), now_ns=NOW_NS)
    assert (applied.applied, len(applied.rejected)) == (2, 0)
    assert state.state(GAME.key).line(13) is not None


def test_the_newest_play_has_the_clock_and_the_newest_score_the_score() -> None:
    first = play(Kind.made_shot, player=11, points=2, seq=1, clock_s=700, elapsed_s=20, home_score=2, away_score=0)
    later = play(Kind.timeout, seq=3, clock_s=650.5, elapsed_s=69.5)
    between = play(Kind.free_throw, player=21, side=2, points=1, seq=2, clock_s=690, home_score=2, away_score=1)
    state = fresh()
    assert state.apply(np.concatenate([first, later]), now_ns=NOW_NS).late == 0
    assert state.apply(between, now_ns=NOW_NS).late == 1
    game = state.state(GAME.key)
    assert (game.seq, game.clock_s, game.elapsed_s) == (3, 650.5, 69.5)
    assert (game.home_score, game.away_score, game.final) == (2, 1, False)
    assert game.as_dict()["status"] == "live"
    assert after(play(Kind.timeout)).state(GAME.key).clock_s is None


@pytest.mark.parametrize(
    ("fields", "final"),
    [
        ({"period": 4, "home_score": 90, "away_score": 80}, True),
        ({"period": 4, "home_score": 90, "away_score": 90}, False),
        ({"period": 3, "home_score": 90, "away_score": 80}, False),
        ({"period": 4}, False),
        ({"period": 2, "flags": int(Flag.final)}, True),
    ],
)
def test_a_game_ends_with_an_uneven_last_period_or_when_its_source_says_so(
    fields: dict[str, Any], final: bool
) -> None:
    assert after(play(Kind.period_end, **fields)).state(GAME.key).final is final


def test_taking_a_play_back_takes_off_what_it_added() -> None:
    basket = play(Kind.made_shot, player=11, second=12, points=3, shot_value=3, seq=4)
    block = play(Kind.missed_shot, player=11, third=21, shot_value=2, seq=5)
    back = basket.copy()
    back["flags"] |= int(Flag.retract)
    state = after(block, basket, back)
    assert state.state(GAME.key).events == 1
    line = state.state(GAME.key).line(11)
    assert line is not None
    assert (line["pts"], line["fga"], line["fgm"], line["events"]) == (0, 1, 0, 1)


def test_steals_and_blocks_are_of_the_other_side() -> None:
    state = after(
        play(Kind.turnover, player=11, second=21, seq=1),
        play(Kind.missed_shot, player=22, third=12, side=2, shot_value=2, seq=2),
    )
    game = state.state(GAME.key)
    assert dict(zip(game.players.tolist(), game.sides.tolist(), strict=True)) == {11: 1, 12: 1, 21: -1, 22: -1}
    lines = game.lines()
    assert (lines[21]["stl"], lines[12]["blk"], lines[11]["tov"], lines[22]["fga"]) == (1, 1, 1, 1)


def test_changed_players_are_told_once() -> None:
    state = fresh()
    rows = np.concatenate([play(Kind.made_shot, player=11, second=12, points=2), play(Kind.timeout, player=21)])
    state.apply(rows, now_ns=NOW_NS)
    games, players = state.changed_players()
    assert sorted(zip(games.tolist(), players.tolist(), strict=True)) == [(GAME.key, 11), (GAME.key, 12)]
    assert len(state.changed_players()[0]) == 0


def test_a_packed_game_goes_on_where_it_was() -> None:
    load = Load(3, 8, seed=5)
    rows = load.pool(2000)
    rows["side"][::7] = 3 - rows["side"][::7]  # players whose rows disagree about their side
    whole, first = (PartitionState(LocalDirectory(load.games)) for _ in range(2))
    whole.apply(rows, now_ns=NOW_NS)
    first.apply(rows[:1000], now_ns=NOW_NS)
    stored = {game: first.pack(game) for game in first.games}
    for known in (load.games, ()):  # also where the directory was lost
        second = PartitionState(LocalDirectory(known))
        for game, packed in stored.items():
            second.load(game, packed)
        assert second.checksum() == first.checksum() == checksum_of(stored)
        second.apply(rows[1000:], now_ns=NOW_NS)
        assert second.checksum() == whole.checksum()
    first.apply(rows[1000:], now_ns=NOW_NS)
    for game, packed in stored.items():  # a load replaces what was there
        first.load(game, packed)
    assert first.checksum() == checksum_of(stored)
    first.clear()
    assert first.games == ()
    assert first.checksum() == checksum_of({})


def test_counts_beyond_32_bits_are_kept() -> None:
    state = after(play(Kind.turnover, player=11))
    packed = bytearray(state.pack(GAME.key))
    head = struct.calcsize("<BBHIqiiiiiiii")
    wide = np.frombuffer(packed, "<i4", 16, head + 8).astype("<i8")
    wide[0] = 2**40
    packed[1] = 8
    state.load(GAME.key, bytes(packed[: head + 8]) + wide.tobytes())
    line = state.state(GAME.key).line(11)
    assert line is not None
    assert line["pts"] == 2**40


def test_what_is_no_packed_game_is_refused() -> None:
    packed = after(play(Kind.turnover, player=11)).pack(GAME.key)
    for broken in (b"", packed[:-1], packed + b"\0", packed[:1] + b"\5" + packed[2:]):
        with pytest.raises(MalformedBatch, match="packed game"):
            unpack(broken)
    with pytest.raises(FutureVersion, match="version 2"):
        unpack(b"\2" + packed[1:])


def test_fantasy_points_are_those_of_the_rules() -> None:
    rng = np.random.default_rng(1)
    stats = rng.integers(0, 15, (200, len(STATS)))
    frame = pl.DataFrame(stats, schema=list(STATS)).with_columns(reb=pl.col("oreb") + pl.col("dreb"))
    for site, points in fantasy_points(stats).items():
        expected = frame.select(scoring.fantasy_points(site)).to_series().to_numpy()
        assert np.allclose(points, expected, rtol=0, atol=1e-9)


def test_rows_may_be_read_only_or_strided() -> None:
    load = Load(2, 6, seed=1)
    rows = load.pool(100)
    locked = np.frombuffer(rows.tobytes(), EVENT)
    a, b, c = (PartitionState(LocalDirectory(load.games)) for _ in range(3))
    a.apply(rows[::2], now_ns=NOW_NS)
    b.apply(locked[::2].copy(), now_ns=NOW_NS)
    c.apply(locked[::2], now_ns=NOW_NS)
    assert a.checksum() == b.checksum() == c.checksum()
    assert a.apply(rows[:0], now_ns=NOW_NS).applied == 0
