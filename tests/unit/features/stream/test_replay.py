"""Order, moments and pace of replays, without Redis: what is sent is kept in a list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidInput, SchemaError
from features.stores.offline import OfflineStore
from features.stream.directory import GameInfo, LocalDirectory, partition_of
from features.stream.events import EVENT, Flag, Rows
from features.stream.news import News
from features.stream.recordings import Recording, archived, play_times_s, stored
from features.stream.replay import (
    CHUNK_ROWS,
    NAP_S,
    Pace,
    applied_news,
    applied_plays,
    generate,
    is_critical,
    rows_of,
    send_news,
    send_plays,
    sound_plays,
    speed_of,
)
from features.stream.simulated import Load
from features.stream.state import PartitionState
from features.workspace import Workspace
from tests.fixtures import tiny_league
from tests.fixtures.plays import infos, simulated_plays

DAY = date(2024, 11, 1)


class Collected:
    """A sink that keeps what it is given, and when."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.bulk: list[Rows] = []
        self.critical: list[Any] = []
        self.news: list[News] = []
        self.at_ns: list[int] = []
        self._clock = clock

    def _note(self, n: int) -> None:
        self.at_ns += [self._clock.now_ns if self._clock else 0] * n

    def send_many(self, rows: Rows) -> None:
        self.bulk.append(rows.copy())
        self._note(len(rows))

    def send_critical(self, row: Any) -> None:
        self.critical.append(np.array([row], EVENT))
        self._note(1)

    def send_news(self, news: News) -> None:
        self.news.append(news)
        self._note(1)

    @property
    def rows(self) -> Rows:
        return np.concatenate([*self.bulk, *self.critical])


class Clock:
    """Time that passes by sleeping only, and by `cost_ns` each time somebody looks."""

    def __init__(self, cost_ns: int = 0) -> None:
        self.now_ns = 10**18
        self.slept: list[float] = []
        self._cost_ns = cost_ns

    def __call__(self) -> int:
        self.now_ns += self._cost_ns
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now_ns += max(1, round(seconds * 1e9))

    def pace(self, speed: float | None, stopped: Any = lambda: False) -> Pace:
        return Pace(speed, clock_ns=self, sleep=self.sleep, stopped=stopped)


def test_plays_of_a_minute_are_spread_by_the_game_clock() -> None:
    times = play_times_s([1200, 1200, 1200, 1201, 1201], [0, 0, 21, 39, 60], 1200)
    assert times[0] == 1200 * 60
    assert times[1] - times[0] == pytest.approx(0.5)
    assert times[2] - times[1] == pytest.approx(21)
    assert times[3] == 1201 * 60  # 18 s after the third would be before the minute
    assert times[4] - times[3] == pytest.approx(21)


def test_more_game_clock_than_fits_in_a_minute_is_squeezed() -> None:
    times = play_times_s([100, 100, 100, 101], [0, 50, 100, 110], 100)
    assert times[0] == 6000
    assert times[1] - times[0] == pytest.approx(times[2] - times[1])
    assert times[2] < 6060 <= times[3]


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ([1078, 1132, 1078, 1079], [1078, 1078, 1078, 1079]),  # a slip upwards
        ([1244, 1245, 404, 1245], [1244, 1245, 1245, 1245]),  # a slip downwards
        ([1200, 1202, 1201, 1203], [1200, 1200, 1201, 1203]),  # told late
        ([None, 1200, None, 1201], [1200, 1200, 1200, 1201]),
        ([1200, 1265, 1266, 1266, 1206, 1207, 1208, 1209], [1200, 1200, 1200, 1200, 1206, 1207, 1208, 1209]),
    ],
)
def test_mistakes_of_the_wall_clock_are_replaced(minutes: list[int | None], expected: list[int]) -> None:
    times = play_times_s(minutes, [30.0 * i for i in range(len(minutes))], 1200)
    assert [int(t // 60) for t in times] == expected


def test_without_a_wall_clock_tip_and_game_clock_decide() -> None:
    times = play_times_s([None, None, None], [0, 600, 2880], 1170)
    assert times == [1170 * 60, pytest.approx(1198 * 60, abs=60), pytest.approx(1304 * 60, abs=60)]


@given(
    st.lists(st.tuples(st.none() | st.integers(700, 1600), st.floats(0, 3000, width=32)), min_size=1, max_size=80)
)
def test_times_always_ascend(plays: list[tuple[int | None, float]]) -> None:
    times = play_times_s([minute for minute, _ in plays], [elapsed for _, elapsed in plays], 1170)
    assert len(times) == len(plays)
    assert all(later > earlier for earlier, later in pairwise(times))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A season of four days with a game each, two of them moved to the first day, the second an hour later."""
    data = tiny_league.write(tmp_path / "data", 2024)
    games = pl.read_parquet(data / "nba" / "games.parquet")
    late = pl.when(pl.col("game_id") == "0022400002").then(1230).otherwise(pl.col("tip_et_min"))
    first = pl.when(pl.col("game_id") == "0022400002").then(DAY).otherwise(pl.col("game_date"))
    games.with_columns(game_date=first, tip_et_min=late.cast(pl.Int16)).write_parquet(
        data / "nba" / "games.parquet"
    )
    return data


def test_games_of_a_day_come_interleaved_as_they_were(data: Path) -> None:
    pbp = pl.read_parquet(data / "nba" / "pbp" / "season=2024.parquet")
    wall = 1230 + pl.col("seq") + pl.when(pl.col("game_id") == "0022400001").then(1).otherwise(0) * 2
    pbp.with_columns(wall_et_min=wall.cast(pl.Int16)).write_parquet(data / "nba" / "pbp" / "season=2024.parquet")
    recording = archived(data, DAY)
    assert [game.game_id for game in recording.games] == ["0022400001", "0022400002"]
    order = recording.plays.select("game_id", "seq").rows()
    assert order[:6] == [
        ("0022400002", 0), ("0022400002", 1), ("0022400001", 0), ("0022400002", 2), ("0022400001", 1), ("0022400002", 3)
    ]  # fmt: skip
    assert (np.diff(recording.at_ns) >= 0).all()
    first = datetime.fromtimestamp(recording.at_ns[0] / 1e9, UTC)
    assert first == datetime(2024, 11, 2, 0, 30, tzinfo=UTC)  # 20:30 Eastern daylight time
    assert recording.games[0].tip == datetime(2024, 11, 1, 23, 30, tzinfo=UTC)


def test_the_day_on_which_clocks_change_starts_at_the_right_hour(data: Path) -> None:
    games = pl.read_parquet(data / "nba" / "games.parquet")
    changed = games.with_columns(game_date=pl.lit(date(2024, 11, 3)))
    changed.write_parquet(data / "nba" / "games.parquet")
    recording = archived(data, date(2024, 11, 3), "0022400001")
    assert (
        datetime.fromtimestamp(recording.at_ns[0] / 1e9, UTC).hour == 0
    )  # 19:30 Eastern standard time, and a minute
    assert recording.games[0].tip == datetime(2024, 11, 4, 0, 30, tzinfo=UTC)


def test_rosters_come_from_the_box_and_the_plays(data: Path) -> None:
    recording = archived(data, DAY, "0022400001")
    assert recording.games[0].roster == (0, 1, 100, 101)
    (data / "nba" / "box" / "season=2024.parquet").unlink()
    assert archived(data, DAY, "0022400001").games[0].roster == ()


def test_plays_that_a_recording_repeats_are_left_out(data: Path) -> None:
    whole, path = archived(data, DAY), data / "nba" / "pbp" / "season=2024.parquet"
    pbp = pl.read_parquet(path)
    pl.concat([pbp, pbp]).write_parquet(path)
    twice = archived(data, DAY)
    assert (whole.repeated, twice.repeated) == (0, whole.plays.height)
    assert twice.plays.equals(whole.plays) and (twice.at_ns == whole.at_ns).all()


def test_what_cannot_be_replayed_is_told(data: Path) -> None:
    with pytest.raises(InvalidInput, match="2024-07-01 has no games recorded in"):
        archived(data, date(2024, 7, 1))
    with pytest.raises(InvalidInput, match=r"'0022499999' is not among the games of 2024-11-01.*0022400001"):
        archived(data, DAY, "0022499999")
    pbp = data / "nba" / "pbp" / "season=2024.parquet"
    pl.read_parquet(pbp).clear().write_parquet(pbp)
    with pytest.raises(InvalidInput, match="no play-by-play"):
        archived(data, DAY)


def test_collected_games_are_replayed_like_recorded_ones(data: Path, tmp_path: Path) -> None:
    from features.sources.archive import ArchiveSource

    store = OfflineStore(Workspace(tmp_path / "home", "nba"))
    for batch in ArchiveSource(data).batches(as_of=tiny_league.AFTER_EVERYTHING, seasons=None, cursors={}):
        store.upsert(batch.table, batch.season, batch.frame)
    one, other = archived(data, DAY), stored(store, DAY)
    assert one.games == other.games
    assert one.plays.equals(other.plays)
    assert (one.at_ns == other.at_ns).all()


@cache
def night() -> Recording:
    """A simulated night as a recording, a play every half second."""
    plays = simulated_plays(1)
    return Recording(infos(plays), plays, np.arange(plays.height) * 500_000_000)


@cache
def night_rows() -> Rows:
    return rows_of(night().plays, night().games, LocalDirectory())


def folded(games: Sequence[GameInfo], rows: Rows) -> PartitionState:
    state = PartitionState(LocalDirectory(games))
    applied = state.apply(rows, now_ns=2 * 10**18)
    assert not len(applied.rejected), applied.reason_counts()
    return state


def test_every_play_travels_once_and_scores_on_the_critical_lane() -> None:
    sink, clock = Collected(), Clock()
    sent = send_plays(night_rows(), night().at_ns, sink, clock.pace(None))
    assert (sent.events, sent.finished) == (len(night_rows()), True)
    critical = np.concatenate(sink.critical)
    assert (critical["points"] > 0).all()
    assert not is_critical(np.concatenate(sink.bulk)).any()
    score = night().plays.select(pl.col("home_score", "away_score").diff().over("game_id").fill_null(0) != 0)
    assert len(critical) == score.select(pl.any_horizontal(pl.all())).to_series().sum()
    assert folded(night().games, sink.rows).checksum() == folded(night().games, night_rows()).checksum()


def test_rows_are_kept_and_the_last_of_a_game_ends_it() -> None:
    assert (night_rows()["flags"] & Flag.keep != 0).all()
    final = night_rows()[night_rows()["flags"] & Flag.final != 0]
    last = night().plays.group_by("game_id").agg(pl.col("seq").max())
    assert sorted(final["seq"].tolist()) == sorted(last["seq"].to_list())
    state = folded(night().games, night_rows())
    assert all(state.state(game.key).final for game in night().games)


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_plays_are_sent_at_their_moments(speed: float) -> None:
    clock = Clock()
    sink, started = Collected(clock), clock.now_ns
    sent = send_plays(night_rows()[:200], night().at_ns[:200], sink, clock.pace(speed))
    due = started + (night().at_ns[:200] / speed).astype(np.int64)
    assert (np.array(sink.at_ns) >= due).all()
    assert (np.array(sink.at_ns) - due).max() <= 2
    assert (np.sort(sink.rows["created_ns"]) == due).all()
    assert sent.seconds == pytest.approx(199 * 0.5 / speed, rel=1e-6)
    assert max(clock.slept) <= NAP_S
    assert sent.as_json()["lag_p99_ms"] == pytest.approx(0, abs=1e-3)


def test_lag_is_what_the_sending_takes_too_long() -> None:
    clock = Clock(cost_ns=1_000_000_000)  # half as fast as the plays come
    sent = send_plays(night_rows()[:100], night().at_ns[:100], Collected(), clock.pace(1.0))
    assert sent.as_json()["lag_p99_ms"] > 500


def test_a_stop_ends_between_chunks_and_says_so() -> None:
    sink = Collected()
    rows, at_ns = np.concatenate([night_rows()] * 3), np.arange(3 * len(night_rows()))
    sent = send_plays(rows, at_ns, sink, Clock().pace(None, stopped=lambda: bool(sink.bulk)))
    assert (sent.events, sent.finished) == (CHUNK_ROWS, False)


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_run_that_goes_on_waits_only_for_what_is_left(partitions: int) -> None:
    clock = Clock()
    lane = 2 * partition_of(night_rows()["game"].astype(np.int64), partitions) + is_critical(night_rows())
    first_run = {number: int((lane[:300] == number).sum()) for number in range(2 * partitions)}

    def resume_from(partition: int, *, critical: bool = False) -> int:
        return first_run[2 * partition + critical]

    applied = applied_plays(night_rows(), partitions, resume_from)
    assert applied[:300].all()
    assert not applied[300:].any()
    sink = Collected(clock)
    sent = send_plays(night_rows()[:320], night().at_ns[:320], sink, clock.pace(1.0), applied=applied[:320])
    assert sent.events == 20
    assert sent.seconds == pytest.approx(9.5)
    # The producer is given everything in the same order, and leaves out what is applied.
    assert folded(night().games, sink.rows).checksum() == folded(night().games, night_rows()[:320]).checksum()


def test_news_go_on_too() -> None:
    news = [News(id=str(n), at="t", subject=f"player:{n % 5}", kind="salary", field="salary") for n in range(40)]
    subjects = [partition_of(LocalDirectory().register([each.subject])[each.subject], 2) for each in news]

    def resume_from(partition: int, *, critical: bool = False) -> int:
        return subjects[:25].count(partition) if critical else 99

    applied = applied_news(news, 2, resume_from)
    assert (applied == (np.arange(40) < 25)).all()
    sink, clock = Collected(), Clock()
    sent = send_news(news, np.arange(40) * 10**9, sink, clock.pace(1.0), applied=applied)
    assert (sent.events, sink.news) == (15, news)
    assert sent.seconds == pytest.approx(14)


def test_generated_load_keeps_its_rate_and_is_due_when_it_says() -> None:
    clock, load = Clock(cost_ns=1_000), Load(games=4)
    sink = Collected(clock)
    sent = generate(load, sink, clock.pace(None), rate=10_000, seconds=0.5)
    assert (sent.events, sent.finished) == (5000, True)
    rows = np.concatenate(sink.bulk)
    assert not sink.critical
    plain = load.rows(0, 5000)
    plain["created_ns"] = rows["created_ns"]
    assert rows.tobytes() == plain.tobytes()
    assert np.diff(rows["created_ns"]) == pytest.approx(100_000, abs=300)  # 10^18 ns has no finer float64 steps
    assert (np.array(sink.at_ns) >= rows["created_ns"]).all()
    assert sent.as_json()["lag_p99_ms"] < 3


@pytest.mark.parametrize(("rate", "seconds"), [(0, 1), (1, 0), (-5, 1), (float("nan"), 1), (1e9, 1e9)])
def test_impossible_loads_are_refused(rate: float, seconds: float) -> None:
    with pytest.raises(InvalidInput, match="must be above 0"):
        generate(Load(games=1), Collected(), Clock().pace(None), rate=rate, seconds=seconds)


def test_speeds() -> None:
    assert speed_of("max") is None
    assert speed_of("2.5") == 2.5
    for wrong in ("0", "-1", "fast", "nan", "inf"):
        with pytest.raises(InvalidInput, match="write 1, 60 or max"):
            speed_of(wrong)


def test_plays_that_are_no_events_are_found_among_those_that_are() -> None:
    plays = night().plays.head(5).to_dicts()
    plays[1] = {**plays[1], "event_type": "dance"}
    plays[3] = {**plays[3], "period": 1000}
    frame, wrong = sound_plays(plays)
    assert frame.equals(night().plays.head(5)[[0, 2, 4]])
    assert [index for index, _ in wrong] == [1, 3]
    assert "dance" in wrong[0][1]
    assert sound_plays([])[0].is_empty()


def test_plays_of_an_unknown_kind_are_never_replayed() -> None:
    with pytest.raises(SchemaError, match="dance"):
        rows_of(night().plays.with_columns(event_type=pl.lit("dance")), night().games, LocalDirectory())
