"""A game in progress as rows for the in-game models: what its plays say up to a moment, and what was known before it.

Everything here is pure: plays and views come in, frames go out. Only plays up to the moment asked about are read, so
a finished game asked about at its half is answered as it stood then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import polars as pl

from features.errors import InvalidInput, NotMaterialized
from features.play.game_events import check_plays
from features.play.game_state import game_states
from features.play.moments import MOMENTS, OVERTIME_S, QUARTER_S, REGULATION_S, moment_at
from features.play.player_quarters import QUARTER_FEATURES, with_quarters
from features.play.player_rows import live_player_rows
from features.play.player_state import player_states
from features.play.plays import COLUMNS
from features.play.tally import SLACK_S, Tally, Untold, tally_of
from features.play.tally import Moment as Told
from features.play.views import QUARTERS
from features.tables import EASTERN, PBP
from features.views import ANNOUNCED_FEATURES, Views, game_rows, player_rows
from features.views.announced import LEAST_REGULAR_MIN
from features.views.entities import GAME_ENTITY, PLAYER_ENTITY, SEASON_STARTS_MONTH
from models.live_win.rows import live_rows

Moment = Literal["now", "q1", "half", "q3"]
#: Third digit of a game id -> kind of game, as the league numbers them; any other is taken as a regular game.
SEASON_TYPES: Final[dict[str, str]] = {"4": "playoffs"}
#: Share of his latest games that a usual starter has started, recent ones weighing most.
USUAL_STARTER: Final = 0.5
_MOMENT: Final = {
    "game_id": pl.String(), "asked_at": pl.String(), "seq": PBP["seq"], "period": PBP["period"],
    "elapsed_s": pl.Float64(), "clock_s": pl.Float64(),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LiveGame:
    """A game as it stood at one moment.

    `read` gives the plays known then (`features.play.plays.COLUMNS`), `fives` are the home and the away side's at the
    first of them; `moment` is one row of `features.play.moments`, `state` one of `game_states`, `lines` are
    `player_states`; `entity` is the GAME_ENTITY row. `final`: the score stands.
    """

    read: Callable[[], pl.DataFrame]
    fives: tuple[str | None, str | None]
    moment: pl.DataFrame
    state: pl.DataFrame
    lines: pl.DataFrame
    entity: pl.DataFrame
    final: bool
    warnings: tuple[str, ...]

    @property
    def game_id(self) -> str:
        """The league's id."""
        return str(self.entity["game_id"][0])

    @property
    def plays(self) -> pl.DataFrame:
        """The plays known."""
        return self.read()

    @property
    def settled(self) -> bool:
        """A quarter is played: regulars who are fit have been seen."""
        return float(self.moment["elapsed_s"][0]) >= QUARTER_S

    @property
    def teams(self) -> tuple[str, str]:
        """Home and away."""
        return str(self.entity["home_team"][0]), str(self.entity["away_team"][0])


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of a game's sides at tip-off: one `game_rows` row, `player_rows` with QUARTER_FEATURES of
    everybody who may appear, the views they came from, and what was missing."""

    game: pl.DataFrame
    players: pl.DataFrame
    views: Views
    warnings: tuple[str, ...]


def as_plays(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Plays from plain rows in the names of the play-by-play table; what a row leaves out is null.

    Raises `InvalidInput` naming the field that does not fit its column.
    """
    columns = {}
    for name in COLUMNS:
        try:
            columns[name] = pl.Series(name, [row.get(name) for row in rows], dtype=PBP[name], strict=True)
        except (TypeError, OverflowError, pl.exceptions.PolarsError) as error:
            raise InvalidInput(
                f"plays: {name} holds a value that is no {PBP[name]} ({error}); correct it"
            ) from error
    return pl.DataFrame(columns)


def tidy_plays(plays: pl.DataFrame, game_id: str) -> tuple[pl.DataFrame, list[str]]:
    """The plays of one game by `seq` with a clock that never runs backwards, and warnings where it did.

    Raises `NotMaterialized` when the game has no play, `InvalidInput` or `SchemaError` for rows that cannot be read.
    """
    rows = plays.filter(pl.col("game_id") == game_id).select(COLUMNS).sort("seq")
    if rows.is_empty():
        raise NotMaterialized(f"game_id {game_id!r} has no plays; give `plays`, or collect its play-by-play")
    for name in ("seq", "period", "event_type"):
        if rows[name].null_count():
            raise InvalidInput(
                f"plays of game {game_id!r}: {name} is null in {rows[name].null_count()} rows; fill it"
            )
    if rows["seq"].is_duplicated().any():
        repeated = rows.filter(pl.col("seq").is_duplicated())["seq"][0]
        raise InvalidInput(f"plays of game {game_id!r}: seq {repeated} is there twice; number plays 0, 1, 2, ...")
    check_plays(rows)
    first = int(rows.select(pl.col("period").min()).item())
    if first < 1:
        raise InvalidInput(f"plays of game {game_id!r}: period {first} is below 1; the first is 1")
    floats = pl.col("clock_s", "elapsed_s")
    rows = rows.with_columns(pl.when(floats.is_finite()).then(floats))
    rows = rows.with_columns(period=pl.col("period").cum_max())
    told = pl.coalesce(pl.col("elapsed_s"), _end_s() - pl.col("clock_s")).clip(_end_s() - _length_s(), _end_s())
    rows = rows.with_columns(told.cast(pl.Float64).forward_fill().fill_null(0.0).alias("told"))
    rows = rows.with_columns(pl.col("told").cum_max().alias("held"))
    back = rows.filter(pl.col("told") < pl.col("held") - SLACK_S)
    warnings = []
    if back.height:
        worst = back.select((pl.col("held") - pl.col("told")).max()).item()
        warnings.append(_runs_back(game_id, back.height, back["seq"][0], worst))
    held = rows.with_columns(
        elapsed_s=pl.col("held").cast(pl.Float32), clock_s=(_end_s() - pl.col("held")).cast(pl.Float32)
    )
    return held.select(COLUMNS), warnings


def moment_of(plays: pl.DataFrame, asked_at: Moment = "now", seq: int | None = None) -> pl.DataFrame:
    """The moment asked about, one row as `features.play.moments` has them; `seq` (a play's number) overrules the name.

    `plays` are one game's. Raises `NotMaterialized` for a play that is not there, or a quarter not yet played out.
    """
    game_id = str(plays["game_id"][0])
    if seq is not None:
        if seq not in plays["seq"]:
            numbers = f"{plays['seq'][0]} to {plays['seq'][-1]}"
            raise NotMaterialized(f"seq {seq}: game {game_id!r} has no such play; its plays are {numbers}")
        return moment_at(plays, game_id, seq)
    if asked_at == "now":
        return moment_at(plays, game_id)
    period, newest = MOMENTS[asked_at], plays.row(-1, named=True)
    ended = newest["period"] == period and newest["clock_s"] <= 0
    if newest["period"] < period or (newest["period"] == period and not ended):
        raise NotMaterialized(
            f"asked_at {asked_at!r}: game {game_id!r} is in period {newest['period']} with "
            f"{newest['clock_s']:.0f} s left; ask again once that quarter is over, or ask at now"
        )
    last = plays.filter(pl.col("period") <= period).tail(1)
    return last.select(
        "game_id", pl.lit(asked_at).alias("asked_at"), "seq", pl.lit(period, pl.Int8).alias("period"),
        pl.lit(float(period * QUARTER_S)).alias("elapsed_s"), pl.lit(0.0).alias("clock_s"),
    )  # fmt: skip


def entity_of(
    game_id: str, plays: pl.DataFrame, *, tip: datetime, season: int | None = None, season_type: str | None = None
) -> pl.DataFrame:
    """The GAME_ENTITY row of a game known by its plays alone; `tip` is aware."""
    day: date = tip.astimezone(ZoneInfo(EASTERN)).date()
    told = day.year if day.month >= SEASON_STARTS_MONTH else day.year - 1
    kind = SEASON_TYPES.get(game_id[2:3], "regular")
    first = plays.row(0, named=True)
    row = {
        "game_id": game_id, "home_team": first["home_team"], "away_team": first["away_team"], "game_date": day,
        "season": told if season is None else season, "season_type": season_type or kind, "as_of": tip,
        "close_home_spread": None,
    }  # fmt: skip
    return pl.DataFrame([row], schema=GAME_ENTITY)


def live_game(
    plays: pl.DataFrame,
    entity: pl.DataFrame,
    *,
    asked_at: Moment = "now",
    seq: int | None = None,
    score: tuple[int, int] | None = None,
) -> LiveGame:
    """The game at the moment asked about.

    `score` (home, away) is the final one, once published: a question about the newest play is then about a finished
    game. Raises as `tidy_plays` and `moment_of`.
    """
    tidy, warnings = tidy_plays(plays, str(entity["game_id"][0]))
    first = tidy.row(0, named=True)
    _same_game((first["home_team"], first["away_team"]), entity)
    moment = moment_of(tidy, asked_at, seq)
    newest = moment["seq"][0] == tidy["seq"].max()
    known = tidy.filter(pl.col("seq") <= moment["seq"][0])
    state, lines = _states(known, moment)
    final = bool(state["final"][0])
    if newest and score is not None and score[0] != score[1]:
        final = True
        state = _at_the_end(state, score)
    warnings += _no_five(known["home_lineup"].null_count(), known["away_lineup"].null_count(), known.height)
    fives = (first["home_lineup"], first["away_lineup"])
    return LiveGame(lambda: known, fives, moment, state, lines, entity, final, tuple(warnings))


def told_game(tally: Tally, entity: pl.DataFrame, read: Callable[[], pl.DataFrame]) -> LiveGame:
    """The game after the newest play of `tally`, as `live_game` of the same plays, which `read` gives, finds it.

    Raises `InvalidInput` when these are plays of another game.
    """
    _same_game(tally.teams, entity)
    assert tally.first is not None  # noqa: S101 - there is a play
    game_id, told = str(entity["game_id"][0]), tally.now()
    moment = pl.DataFrame([(game_id, *told)], schema=_MOMENT, orient="row")
    state = tally.state(game_id, told)
    count, first, most = tally.back
    warnings = [_runs_back(game_id, count, first, most)] if count else []
    warnings += _no_five(tally.no_five[0], tally.no_five[1], tally.plays)
    fives = (tally.first.home_lineup, tally.first.away_lineup)
    final = bool(state["final"][0])
    return LiveGame(read, fives, moment, state, tally.lines(game_id, told), entity, final, tuple(warnings))


def who_may_appear(game: LiveGame, recent: pl.DataFrame) -> pl.DataFrame:
    """PLAYER_ENTITY rows of everybody who has appeared and of each side's bench, with `appeared` and `likely`.

    `recent` (player_id, team, last_played) are who lately played for the two sides. `likely`: he has appeared, or he
    played his side's newest game. Starters are those of the first play's fives; null where that is not recorded.
    """
    fives = dict(zip((True, False), game.fives, strict=True))
    seen = game.lines.select("player_id", "is_home", appeared=pl.lit(True), likely=pl.lit(True))
    home, away = game.teams
    newest = pl.col("last_played") == pl.col("last_played").max().over("team")
    bench = recent.filter(pl.col("team").is_in([home, away])).select(
        "player_id", is_home=pl.col("team") == home, appeared=pl.lit(False), likely=newest
    )
    rows = pl.concat([seen, bench.join(seen, on="player_id", how="anti")]).unique(
        "player_id", keep="first", maintain_order=True
    )
    started = [
        pl.when(pl.col("is_home") == is_home).then(pl.col("player_id").is_in(_ids(five)))
        for is_home, five in fives.items() if five
    ]  # fmt: skip
    entity = game.entity.drop("home_team", "away_team", "close_home_spread")
    at_home = pl.col("is_home")
    return rows.join(entity, how="cross").with_columns(
        team=pl.when(at_home).then(pl.lit(home)).otherwise(pl.lit(away)),
        opp=pl.when(at_home).then(pl.lit(away)).otherwise(pl.lit(home)),
        starter=pl.coalesce(*started) if started else pl.lit(None, pl.Boolean),
    ).select(
        *(pl.col(name).cast(dtype) for name, dtype in PLAYER_ENTITY.items()), "appeared", "likely"
    ).sort("is_home", "player_id", descending=[True, False])  # fmt: skip


def known_before(entity: pl.DataFrame, listed: pl.DataFrame, views: Views, *, settled: bool = False) -> Known:
    """Rows of the game and its players as of tip-off. `listed` are `who_may_appear`.

    The lists of who is out are not in the plays, so who is announced is guessed: the `likely`, but for usual starters
    who neither start nor have appeared and, once it has `settled` (a quarter is played), regulars who have not
    appeared. Of those taken as out only what they did before is known.
    """
    entities = listed.select(*PLAYER_ENTITY)
    everybody = player_rows(entities, views)
    benched = ((pl.col("starter_ewm3") > USUAL_STARTER) & ~pl.col("starter")).fill_null(False)
    regular = (pl.col("min_ewm5") >= LEAST_REGULAR_MIN).fill_null(False) & settled
    out = everybody.select((benched | regular) & ~listed["appeared"]).to_series()
    expected = listed["likely"] & ~out
    likely = player_rows(entities.filter(expected), views)
    others = everybody.filter(~expected).with_columns(
        pl.lit(None, pl.Float32).alias(name) for name in ANNOUNCED_FEATURES
    )
    players = pl.concat([likely, others])
    warnings = []
    if QUARTERS in views:
        players = with_quarters(players, views[QUARTERS])
    else:
        players = players.with_columns(pl.lit(None, pl.Float32).alias(name) for name in QUARTER_FEATURES)
        warnings.append(
            "the views made from play-by-play are missing: run `fantasy materialize` once it is collected"
        )
    strangers = sorted({*entity["home_team"], *entity["away_team"]} - set(views["team_strength"]["team"]))
    if strangers:
        warnings.append(f"nothing is known of teams {', '.join(strangers)}: they count as even")
    rookies = players.filter(pl.col("games_career").is_null())["player_id"].to_list()
    if rookies:
        shown = ", ".join(str(each) for each in rookies[:5])
        warnings.append(
            f"{len(rookies)} players have no game before this one ({shown}): their lines rest on tonight alone"
        )
    return Known(game_rows(entity, views, likely), players, views, tuple(warnings))


def win_rows(game: LiveGame, known: Known) -> pl.DataFrame:
    """The one row of `models.live_win.rows`."""
    return live_rows(known.game, game.state)


def line_rows(game: LiveGame, known: Known) -> pl.DataFrame:
    """One row of `features.play.player_rows` per player who may appear, by side and player id."""
    return live_player_rows(game.lines, known.players)


def names_of(recent: pl.DataFrame) -> Mapping[int, str]:
    """Player id -> name, of those with a `player_name`."""
    return dict(recent.select("player_id", "player_name").iter_rows())


def _states(known: pl.DataFrame, moment: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`game_states` and `player_states` of one moment, the last of the plays known; told play by play where that can
    be, which is quicker."""
    try:
        tally = tally_of(known)
    except Untold:
        return game_states(known, moment), player_states(known, moment)
    at, game_id = Told(*moment.select(*_MOMENT).row(0)[1:]), str(moment["game_id"][0])
    return tally.state(game_id, at), tally.lines(game_id, at)


def _same_game(told: tuple[str, str], entity: pl.DataFrame) -> None:
    named = entity.row(0, named=True)
    if told != (named["home_team"], named["away_team"]):
        raise InvalidInput(
            f"plays of game {named['game_id']!r} are of {told[1]} at {told[0]}, the game is "
            f"{named['away_team']} at {named['home_team']}; send the plays of that game"
        )


def _runs_back(game_id: str, count: int, first: int, most_s: float) -> str:
    return (
        f"the clock of game {game_id} runs backwards at {count} plays, first at seq {first}, by up to {most_s:.0f} s: "
        "held at the latest time"
    )


def _no_five(home: int, away: int, plays: int) -> list[str]:
    return [
        f"the {side} five is not recorded at {count} of {plays} plays: minutes and who is on court are unknown from "
        "there on, and intervals are wider than they look"
        for side, count in (("home", home), ("away", away))
        if count
    ]


def _at_the_end(state: pl.DataFrame, score: tuple[int, int]) -> pl.DataFrame:
    """The state with the published final score."""
    home, away = score
    return state.with_columns(
        home_score=pl.lit(home, state.schema["home_score"]), away_score=pl.lit(away, state.schema["away_score"]),
        margin=pl.lit(home - away, state.schema["margin"]), total=pl.lit(home + away, state.schema["total"]),
        final=pl.lit(True),
    )  # fmt: skip


def _ids(five: str) -> list[int]:
    return [int(each) for each in five.split("|") if each.strip().isdigit()]


def _end_s() -> pl.Expr:
    """Seconds since tip-off at which a row's period ends."""
    period = pl.col("period").cast(pl.Float64)
    return pl.when(period <= 4).then(period * QUARTER_S).otherwise(REGULATION_S + (period - 4) * OVERTIME_S)


def _length_s() -> pl.Expr:
    return pl.when(pl.col("period") <= 4).then(float(QUARTER_S)).otherwise(float(OVERTIME_S))
