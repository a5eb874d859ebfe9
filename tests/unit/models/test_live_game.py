"""A game in progress as rows: as it stood, nobody left out, and nothing that comes later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from features.errors import InvalidInput, NotMaterialized
from features.play.plays import COLUMNS, Plays
from features.play.views import PLAY_VIEW_KEYS, play_views
from features.sources.simulated import SimulatedSource
from features.tables import Tables
from features.views import Views, compute_views
from features.views.entities import game_entities, player_directory
from models.live_answers import line_answers, over_answer, over_chances, win_answer
from models.live_game import (
    Known,
    LiveGame,
    as_plays,
    entity_of,
    known_before,
    line_rows,
    live_game,
    tidy_plays,
    who_may_appear,
    win_rows,
)
from models.live_line.data import labelled_rows as line_labelled
from models.live_micro import next_possession, next_two_minutes, remainder, shot_answer, shot_row
from models.live_win.data import labelled_rows as win_labelled
from models.live_win.rows import FEATURES
from models.shot.config import FEATURES as SHOT_FEATURES
from models.shot.data import labelled_rows as shot_labelled


@dataclass(frozen=True)
class Evening:
    """A league so far and the plays of its newest game."""

    tables: Tables
    views: Views
    all_plays: pl.DataFrame
    entity: pl.DataFrame
    plays: pl.DataFrame
    recent: pl.DataFrame

    def at(self, **asked: Any) -> tuple[LiveGame, Known]:
        """The game at a moment, and what was known before it."""
        game = live_game(self.plays, self.entity, **asked)
        return game, known_before(game.entity, who_may_appear(game, self.recent), self.views, settled=game.settled)


@pytest.fixture(scope="module")
def evening() -> Evening:
    source = SimulatedSource(12, [2023], date(2023, 11, 12))
    batches = source.batches(as_of=datetime(2023, 11, 12, 12, tzinfo=UTC), seasons=None, cursors={})
    frames = {batch.table: batch.frame for batch in batches}
    tables, plays = Tables(frames["games"], frames["box"]), frames["pbp"].select(COLUMNS).sort("game_id", "seq")
    views = compute_views(tables) | play_views(Plays((2023,), lambda _: plays), tables.games)
    entity = game_entities(tables).sort("as_of").tail(1)
    tip = entity["as_of"][0]
    directory = player_directory(Tables(tables.games, tables.box.filter(pl.col("event_time") < tip)))
    own = plays.filter(pl.col("game_id") == entity["game_id"][0])
    return Evening(tables, views, plays, entity, own, directory)


def test_rows_are_those_the_models_learned_from(evening: Evening) -> None:
    plays = Plays((2023,), lambda _: evening.all_plays)
    game, known = evening.at(asked_at="half")
    same = (pl.col("game_id") == game.game_id) & (pl.col("asked_at") == "half")
    taught = win_labelled(evening.tables, evening.views, plays=plays).filter(same)
    # Who is listed is a guess in game, so inputs that tell of it may differ.
    told = [name for name in FEATURES if "listed" not in name]
    assert_frame_equal(win_rows(game, known).select(told), taught.select(told))
    learned = line_labelled(evening.tables, evening.views, plays=plays).filter(same).sort("player_id")
    rows = line_rows(game, known)
    asked = rows.join(learned.select("player_id"), on="player_id", how="semi").sort("player_id")
    learned = learned.join(rows.select("player_id"), on="player_id", how="semi").sort("player_id")
    assert asked.height == learned.height >= 20
    names = ["points_so_far", "minutes_so_far", "on_court", "margin", "dk_season", "min_q4_ewm4", "starter_ewm3"]
    assert_frame_equal(asked.select(names), learned.select(names))


def test_a_shot_is_described_as_the_model_learned_it(evening: Evening) -> None:
    plays = Plays((2023,), lambda _: evening.all_plays)
    learned = shot_labelled(evening.tables, evening.views, plays=plays, share=1)
    shot = learned.filter((pl.col("game_id") == evening.entity["game_id"][0]) & (pl.col("period") == 2)).row(
        9, named=True
    )
    game, known = evening.at(seq=shot["seq"] - 1)
    # The shot's own clock is not known a play before, so it is asked as if it were thrown at once.
    row = shot_row(
        game,
        known,
        shooter_id=shot["player_id"],
        kind=shot["subtype"],
        distance=shot["distance"],
        value=shot["value"],
    )
    moving = {
        "clock_s",
        "elapsed_s",
        "since_s",
        "last_seconds",
        "late",
        "quick_after_own",
        "type_rate",
        "type_logit",
    }
    for name in set(SHOT_FEATURES) - moving:
        assert row[name][0] == pytest.approx(shot[name], rel=1e-5), name
    assert set(SHOT_FEATURES) <= set(row.columns)


def test_later_plays_change_nothing(evening: Evening) -> None:
    seq = int(evening.plays["seq"][180])
    whole, known = evening.at(seq=seq)
    cut = live_game(evening.plays.filter(pl.col("seq") <= seq), evening.entity)
    assert_frame_equal(win_rows(cut, known), win_rows(whole, known))
    again = known_before(cut.entity, who_may_appear(cut, evening.recent), evening.views, settled=cut.settled)
    assert_frame_equal(line_rows(cut, again), line_rows(whole, known))
    assert next_possession(None, cut, again) == next_possession(None, whole, known)


def test_everybody_who_may_appear_is_asked_once(evening: Evening) -> None:
    game, known = evening.at(seq=int(evening.plays["seq"][0]))
    listed = who_may_appear(game, evening.recent)
    assert listed["player_id"].is_unique().all()
    assert listed.filter("starter").height == 10
    assert listed.filter("appeared").height == 10
    box = evening.tables.box.filter(pl.col("game_id") == game.game_id)
    assert len(set(box["player_id"]) - set(listed["player_id"])) <= 2  # who had not played for three weeks
    end, _ = evening.at()
    assert set(box.filter(pl.col("min") > 0)["player_id"]) <= set(who_may_appear(end, evening.recent)["player_id"])
    assert line_rows(game, known).height == listed.height


def test_a_game_that_is_over_is_answered_with_its_result(evening: Evening) -> None:
    games = evening.tables.games.filter(pl.col("game_id") == evening.entity["game_id"][0]).row(0, named=True)
    score = (games["home_score"], games["away_score"])
    game, known = evening.at(score=score)
    win = win_answer(None, win_rows(game, known), game)
    assert game.final and win.probability == float(score[0] > score[1])
    assert win.margin == score[0] - score[1] and set(win.quantiles) == {win.margin}
    lines = line_answers(None, line_rows(game, known), game, ("points",))
    assert lines["mean"].to_list() == lines["so_far"].to_list() == lines["q10"].to_list()
    for ask in (next_possession, next_two_minutes, remainder):
        with pytest.raises(NotMaterialized, match="is over"):
            ask(None, game, known)
    half, _ = evening.at(asked_at="half", score=score)
    assert not half.final


def test_a_clock_that_runs_backwards_is_held(evening: Evening) -> None:
    at = 120
    broken = evening.plays.with_row_index("n").with_columns(
        clock_s=pl.when(pl.col("n") == at).then(719.0).otherwise(pl.col("clock_s")).cast(pl.Float32),
        elapsed_s=pl.when(pl.col("n") == at).then(1.0).otherwise(pl.col("elapsed_s")).cast(pl.Float32),
    ).drop("n")  # fmt: skip
    game = live_game(broken, evening.entity, seq=int(broken["seq"][at]))
    assert any("runs backwards" in warning for warning in game.warnings)
    assert game.state["elapsed_s"][0] == pytest.approx(evening.plays["elapsed_s"][at - 1])
    assert game.moment["elapsed_s"][0] == game.state["elapsed_s"][0]


def test_what_is_not_there_is_named(evening: Evening) -> None:
    for asked, words in (({"seq": 9999}, "seq 9999"), ({"seq": -4}, "seq -4")):
        with pytest.raises(NotMaterialized, match=words):
            live_game(evening.plays, evening.entity, **asked)  # type: ignore[arg-type]
    first = evening.plays.filter(pl.col("period") == 1)
    with pytest.raises(NotMaterialized, match="q3"):
        live_game(first, evening.entity, asked_at="q3")
    with pytest.raises(NotMaterialized, match="no plays"):
        tidy_plays(evening.plays, "0029900001")
    game, known = evening.at(asked_at="q1")
    with pytest.raises(NotMaterialized, match="shooter_id 1"):
        shot_answer(None, game, known, shooter_id=1, kind="Jump Shot", distance=20)
    with pytest.raises(InvalidInput, match="stat 'height'"):
        over_answer(None, line_rows(game, known).head(1), game, "height", 3.5)
    twice = pl.concat([first, first.head(1)])
    with pytest.raises(InvalidInput, match="twice"):
        tidy_plays(twice, str(first["game_id"][0]))
    swapped = evening.plays.with_columns(home_team="away_team", away_team="home_team")
    with pytest.raises(InvalidInput, match="plays of that game"):
        live_game(swapped, evening.entity)


@pytest.mark.parametrize("odd", ["no_lineups", "no_clock", "no_history", "strangers", "overtime", "first_play"])
def test_odd_games_are_answered(evening: Evening, odd: str) -> None:
    plays, entity, recent, views = evening.plays, evening.entity, evening.recent, evening.views
    plays = plays.filter(pl.col("seq") <= int(plays["seq"][300]))
    warned = {"no_lineups": "five is not recorded", "no_history": "nothing is known", "strangers": "have no game"}
    if odd == "no_lineups":
        plays = plays.with_columns(home_lineup=pl.lit(None, pl.String), away_lineup=pl.lit(None, pl.String))
    if odd == "no_clock":
        plays = plays.with_columns(clock_s=pl.lit(float("nan"), pl.Float32), elapsed_s=pl.lit(None, pl.Float32))
    if odd == "no_history":
        views, recent = {name: view.clear() for name, view in views.items()}, recent.clear()
    if odd == "strangers":
        moved = [pl.col(f"p{k}_id") + 5_000_000 for k in (1, 2, 3)]
        renamed = [pl.col(f"{side}_lineup").str.replace_all("900", "905") for side in ("home", "away")]
        plays, recent = plays.with_columns(*moved, *renamed), recent.clear()
    if odd == "overtime":
        late = plays.tail(1).with_columns(
            seq=pl.col("seq") + 1, period=pl.lit(6, pl.Int8), clock_s=pl.lit(200.0, pl.Float32),
            elapsed_s=pl.lit(None, pl.Float32),
        )  # fmt: skip
        plays = pl.concat([plays, late])
    if odd == "first_play":
        plays = plays.head(1)
    game = live_game(plays, entity)
    known = known_before(entity, who_may_appear(game, recent), views)
    win = win_answer(None, win_rows(game, known), game)
    lines = line_answers(None, line_rows(game, known), game)
    assert 0 < win.probability < 1 and win.quantiles[0] < win.quantiles[2]
    assert lines.height and np.isfinite(lines.select("mean", "q10", "q50", "q90").to_numpy()).all()
    assert (lines["q10"] <= lines["q50"]).all() and (lines["q50"] <= lines["q90"]).all()
    assert sum(next_possession(None, game, known).chances) == pytest.approx(1)
    assert [side.team for side in next_two_minutes(None, game, known)] == list(game.teams)
    said = " ".join([*game.warnings, *known.warnings])
    assert warned.get(odd, "") in said
    rookies = known.players.filter(pl.col("games_career").is_null())
    if odd == "strangers":
        assert rookies.height and game.lines.height == rookies.height


def test_views_from_plays_may_be_missing(evening: Evening) -> None:
    game = live_game(evening.plays, evening.entity, asked_at="q1")
    views = {name: view for name, view in evening.views.items() if name not in PLAY_VIEW_KEYS}
    known = known_before(game.entity, who_may_appear(game, evening.recent), views)
    assert any("views made from play-by-play" in warning for warning in known.warnings)
    row = shot_row(
        game, known, shooter_id=int(known.players["player_id"][0]), kind="Jump Shot", distance=20, value=None
    )
    assert row["shooter_three"][0] is None and row["value"][0] == 2
    assert (
        shot_answer(None, game, known, shooter_id=int(known.players["player_id"][0]), kind="Dunk", distance=0).zone
        == "rim"
    )


def test_a_line_he_has_passed_is_certain(evening: Evening) -> None:
    game, known = evening.at(asked_at="q3")
    rows = line_rows(game, known)
    best = rows.sort("points_so_far", descending=True).head(1)
    so_far = float(best["points_so_far"][0])
    assert over_answer(None, best, game, "points", so_far - 0.5).probability == 1.0
    assert over_answer(None, best, game, "points", -5).probability == 1.0
    chances = [over_answer(None, best, game, "points", so_far + k).probability for k in (1, 4, 9, 30)]
    assert chances == sorted(chances, reverse=True) and chances[-1] < 0.05


def test_lines_asked_together_are_answered_as_if_asked_alone(evening: Evening) -> None:
    game, known = evening.at(asked_at="half")
    rows = line_rows(game, known)
    lines = np.linspace(2.0, 30.0, rows.height)
    lines[3] = np.nan
    for amount in ("points", "fantasy_points_fanduel"):
        together = over_chances(None, rows, game, amount, lines)
        assert np.isnan(together[3])
        for at in set(range(rows.height)) - {3}:
            alone = over_answer(None, rows[at], game, amount, float(lines[at]))
            assert together[at] == alone.probability


def test_the_rest_of_a_game_without_a_model_is_the_brownian_answer(evening: Evening) -> None:
    game, known = evening.at(asked_at="q3")
    rest = remainder(None, game, known)
    assert rest.probability == win_answer(None, win_rows(game, known), game).probability
    assert (rest.fallback, rest.futures, rest.overtime) == (True, 0, None)
    scores = game.state.select("home_score", "away_score").row(0)
    ahead = [side.mean - score for side, score in zip(rest.teams, scores, strict=True)]
    assert [side.team for side in rest.teams] == list(game.teams)
    assert ahead[0] == ahead[1] and 20 < ahead[0] < 35


def test_a_feed_alone_makes_a_game(evening: Evening) -> None:
    rows = evening.plays.drop("game_id", "season").head(150).to_dicts()
    game_id = "0049900001"
    plays = as_plays([{**row, "game_id": game_id} for row in rows])
    entity = entity_of(game_id, plays, tip=datetime(2024, 3, 3, 1, 0, tzinfo=UTC))
    assert entity.select("game_date", "season", "season_type").row(0) == (date(2024, 3, 2), 2023, "playoffs")
    assert live_game(plays, entity).game_id == game_id
    with pytest.raises(InvalidInput, match="period"):
        as_plays([{**rows[0], "game_id": game_id, "period": 400}])
