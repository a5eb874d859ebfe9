"""Walk forward over past seasons: every question is answered by a model that saw only earlier games.

Each test season is answered by networks retrained twice: on the eve of its first game and in the middle of
January, each on every game before that day. The newest regular-season dates before the day calibrate.
Rows: winner = every game of the test seasons, playoffs included (of a season with none before it, the second
half); fantasy points = every regular-season player-game of somebody with an earlier game that season (before it
there is no season mean to compare with).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import polars as pl

from features.errors import InvalidInput
from features.tables import Tables
from features.views import ANNOUNCED_FEATURES, GAME_ANNOUNCED_FEATURES, compute_views, player_rows
from features.views.entities import played_entities
from models.bundle import LoadedModel, load_bundle
from models.errors import TrainingError
from models.evaluation import Bootstrap
from models.families import family_of
from models.projection.config import LEVELS
from models.report import (
    PointAnswers,
    answer_points,
    answer_winners,
    ewma_spread,
    join_answers,
    winners_report,
    with_player_baselines,
)
from models.training.config import TrainingParams
from models.training.fit import LINE_UP, Identity, RunOptions, learn
from models.training.run import Progress

#: Seasons tested when the caller names none: the newest so many.
SEASONS_TESTED: Final = 4
#: Second retraining of a season: the first game date on or after this month and day.
MID_SEASON: Final = (1, 15)
ASKED_AT: Final = "pregame"
SITE: Final = "draftkings"
FAMILIES: Final = ("win_probability", "projection")
#: Seasons a projection network is fitted on, the newest: a bound on the time, not a tuned choice.
PROJECTION_SEASONS: Final = 5
#: What is hidden from the rows for the figures beside the main one.
HIDDEN: Final[dict[str, tuple[str, ...]]] = {
    "line_ups_only": tuple(name for name in ANNOUNCED_FEATURES if name not in LINE_UP),
    "without_announcements": ANNOUNCED_FEATURES,
}
HIDDEN_FROM_WINNERS: Final[dict[str, tuple[str, ...]]] = {"without_announcements": GAME_ANNOUNCED_FEATURES}
#: TARGETS.md quotes its fantasy-point baselines on players with at least this many earlier games in the season.
SETTLED_GAMES: Final = 5
PREDICTION: Final[dict[str, Any]] = {
    "model": pl.String, "version": pl.String, "target": pl.String, "game_id": pl.String, "player_id": pl.Int32,
    "asked_at": pl.String, "event_time": pl.Datetime("us", "UTC"), "mean": pl.Float64, "probability": pl.Float64,
    "q10": pl.Float64, "q50": pl.Float64, "q90": pl.Float64, "label": pl.Float64, "baseline": pl.Float64,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """`predictions`: one row per question with the columns of PREDICTION (baseline = Elo for winners, EWMA for
    points); `report`: figures per target, plain JSON values."""

    predictions: pl.DataFrame
    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fold:
    """Test rows dated `start` <= game_date < `until`, answered by models trained on games before `start`."""

    season: int
    start: date
    until: date


def backtest(
    tables: Tables,
    *,
    params: Mapping[str, Any],
    seasons: Sequence[int] | None = None,
    on_progress: Progress | None = None,
    league: str = "nba",
    device: str = "auto",
) -> BacktestResult:
    """Answer every question of `seasons` (default: the newest four) as it stood before tip-off.

    The main figures are asked when inactives and line-ups are announced, shortly before tip-off; the report adds
    those without announcements. Raises `InvalidInput` when a season is not in the tables or none comes before it,
    `TrainingError` when too few games come before one.
    """
    began = time.perf_counter()
    plan = folds(tables, seasons)
    rows = _rows(tables)
    winners = _Winners(tables)
    points = _Points()
    for number, fold in enumerate(plan):
        for step, family in enumerate(FAMILIES):
            model = _model_of(family, rows[family], fold, params, league, device)
            asked = rows[family].filter(pl.col("game_date").is_between(fold.start, fold.until, closed="left"))
            if family == "win_probability":
                winners.ask(model, asked)
            else:
                points.ask(model, asked, rows[family].filter(pl.col("game_date") < fold.start))
            if on_progress is not None:
                on_progress("backtest", number * len(FAMILIES) + step + 1, len(plan) * len(FAMILIES))
    games, answers = pl.concat(winners.announced), join_answers(points.announced)
    report = {
        **_preamble(tables, plan),
        "home_win": _winner_figures(games, winners.hidden, params),
        "fantasy_points_draftkings": _point_figures(answers, points.hidden, params),
        "seconds": time.perf_counter() - began,
    }
    return BacktestResult(pl.concat([_winner_rows(games, league), _point_rows(answers, league)]), report)


@dataclass(slots=True)
class _Winners:
    """Answers about games gathered over the folds, with announcements and without."""

    tables: Tables
    announced: list[pl.DataFrame] = field(default_factory=list)
    hidden: dict[str, list[pl.DataFrame]] = field(
        default_factory=lambda: {name: [] for name in HIDDEN_FROM_WINNERS}
    )

    def ask(self, model: LoadedModel, asked: pl.DataFrame) -> None:
        """Let `model` answer the rows `asked` in every case."""
        version = pl.lit(model.version).alias("version")
        self.announced.append(answer_winners(model, asked, self.tables).with_columns(version))
        for case, names in HIDDEN_FROM_WINNERS.items():
            self.hidden[case].append(answer_winners(model, _without(asked, names), self.tables))


@dataclass(slots=True)
class _Points:
    """Answers about fantasy points gathered over the folds, with announcements and without."""

    announced: list[PointAnswers] = field(default_factory=list)
    hidden: dict[str, list[PointAnswers]] = field(default_factory=lambda: {name: [] for name in HIDDEN})

    def ask(self, model: LoadedModel, asked: pl.DataFrame, past: pl.DataFrame) -> None:
        """Let `model` answer the regular-season rows of `asked` in every case; `past` tells the EWMA's spread."""
        regular = asked.filter(pl.col("season_type") == "regular")
        spread = ewma_spread(past, SITE)
        version = pl.lit(model.version).alias("version")
        self.announced.append(_versioned(answer_points(model, regular, SITE, spread), version))
        for case, names in HIDDEN.items():
            self.hidden[case].append(answer_points(model, _without(regular, names), SITE, spread))


def _rows(tables: Tables) -> dict[str, pl.DataFrame]:
    """Labelled rows of every family; the players who appeared are assembled once for both."""
    views = compute_views(tables)
    players = player_rows(played_entities(tables), views)
    rows = {family: family_of(family).labelled_rows(tables, views, players=players) for family in FAMILIES}
    rows["projection"] = with_player_baselines(rows["projection"], tables)
    return rows


def _without(rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    return rows.with_columns(pl.lit(None, pl.Float32).alias(name) for name in names)


def folds(tables: Tables, seasons: Sequence[int] | None) -> list[Fold]:
    """Two folds a season: from its first game to mid-January, and from there to its end.

    The oldest season has nothing before it to learn from, so only its second half is tested.
    """
    known = sorted(tables.games["season"].unique().to_list())
    chosen = sorted(set(seasons)) if seasons is not None else (known[1:] or known)[-SEASONS_TESTED:]
    wrong = [season for season in chosen if season not in known]
    if wrong or not chosen:
        raise InvalidInput(f"seasons {wrong or 'to test'} are not in the tables, which hold {known}")
    plan = []
    for season in chosen:
        dates = tables.games.filter(pl.col("season") == season)["game_date"].unique().sort().to_list()
        end = date.fromordinal(dates[-1].toordinal() + 1)
        middle = [day for day in dates if day >= date(season + 1, *MID_SEASON)][:1]
        first = dates[len(dates) // 2] if season == known[0] else dates[0]
        edges = [first, *(day for day in middle if day > first), end]
        plan += [Fold(season, start, until) for start, until in pairwise(edges)]
    return plan


def slices_before(rows: pl.DataFrame, start: date, calibration_days: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Fit and calibration rows before `start`: the newest `calibration_days` regular-season dates calibrate.

    Playoffs after the first calibration date are left out: their short rotations would bias the calibration.
    """
    past = rows.filter(pl.col("game_date") < start)
    regular = past.filter(pl.col("season_type") == "regular")
    dates = regular["game_date"].unique().sort()
    if len(dates) <= calibration_days:
        raise TrainingError(
            f"{len(dates)} regular-season dates before {start} cannot spare {calibration_days} for calibration; "
            "lower calibration_days in params.yaml or test later seasons"
        )
    first = dates[-calibration_days]
    return past.filter(pl.col("game_date") < first), regular.filter(pl.col("game_date") >= first)


def _model_of(
    family: str, rows: pl.DataFrame, fold: Fold, params: Mapping[str, Any], league: str, device: str
) -> LoadedModel:
    chosen = TrainingParams.read(params, family)
    if family == "projection":
        rows = rows.filter(pl.col("season") >= fold.season - PROJECTION_SEASONS)
    fit, calibrate = slices_before(rows, fold.start, chosen.calibration_days)
    made = datetime.combine(fold.start, datetime.min.time(), tzinfo=UTC)
    with tempfile.TemporaryDirectory(prefix="fantasy-backtest-") as folder:
        options = RunOptions(Path(folder) / "checkpoints", device)
        identity = Identity(f"{league}-{family}", league, made)
        bundle, _ = learn(family, fit, calibrate, chosen, identity, options, out=Path(folder) / "bundle")
        return load_bundle(bundle.path, device=device, version=f"walk-forward-{fold.start}")


def _versioned(answers: PointAnswers, version: pl.Expr) -> PointAnswers:
    return PointAnswers(
        answers.rows.with_columns(version), answers.mean, answers.quantiles, answers.ewma_quantiles
    )


def _preamble(tables: Tables, plan: list[Fold]) -> dict[str, Any]:
    return {
        "seasons": sorted({fold.season for fold in plan}),
        "retrained_on": [fold.start.isoformat() for fold in plan],
        "learned_from": str(tables.games["game_date"].min()),
        "rows": " ".join((__doc__ or "").split("Rows: ")[1].split()),
    }


def _winner_figures(
    games: pl.DataFrame, hidden: Mapping[str, list[pl.DataFrame]], params: Mapping[str, Any]
) -> dict[str, Any]:
    gate, bootstrap = float(params.get("evaluate", {}).get("gate", 0.70)), Bootstrap.read(params)
    seasons = {
        str(season): winners_report(games.filter(pl.col("season") == season), gate, bootstrap)
        for season in games["season"].unique().sort()
    }
    cases = {case: winners_report(pl.concat(parts), gate, bootstrap) for case, parts in hidden.items()}
    return {**winners_report(games, gate, bootstrap), **cases, "by_season": seasons}


def _point_figures(
    points: PointAnswers, hidden: Mapping[str, list[PointAnswers]], params: Mapping[str, Any]
) -> dict[str, Any]:
    bootstrap = Bootstrap.read(params)
    seasons = {
        str(season): points.where(pl.col("season") == season).report(bootstrap)
        for season in points.rows["season"].unique().sort()
    }
    settled, name = pl.col("earlier_games") >= SETTLED_GAMES, f"at_least_{SETTLED_GAMES}_earlier_games"
    cases = {case: join_answers(parts) for case, parts in hidden.items()}
    return {
        **points.report(bootstrap),
        **{case: answers.report(bootstrap) for case, answers in cases.items()},
        name: points.where(settled).report(bootstrap),
        **{f"{name}_{case}": answers.where(settled).report(bootstrap) for case, answers in cases.items()},
        "by_season": seasons,
    }


def _winner_rows(games: pl.DataFrame, league: str) -> pl.DataFrame:
    known = games.select(
        pl.lit(f"{league}-win_probability").alias("model"), "version", pl.lit("home_win").alias("target"),
        "game_id", "event_time", "probability", "label", pl.col("elo_probability").alias("baseline"),
    )  # fmt: skip
    return _complete(known)


def _point_rows(points: PointAnswers, league: str) -> pl.DataFrame:
    at = {name: LEVELS.index(level) for name, level in (("q10", 0.10), ("q50", 0.50), ("q90", 0.90))}
    known = points.rows.select(
        pl.lit(f"{league}-projection").alias("model"), "version",
        pl.lit(f"fantasy_points_{SITE}").alias("target"), "game_id", "player_id", "event_time", "label",
        pl.col("ewma").alias("baseline"), pl.Series("mean", points.mean),
        *(pl.Series(name, points.quantiles[:, column]) for name, column in at.items()),
    )  # fmt: skip
    return _complete(known)


def _complete(known: pl.DataFrame) -> pl.DataFrame:
    """All columns of PREDICTION, in order, null where they do not apply."""
    rows = known.with_columns(pl.lit(ASKED_AT).alias("asked_at"))
    empty = [pl.lit(None).alias(name) for name in PREDICTION if name not in rows.columns]
    return rows.with_columns(empty).select(pl.col(name).cast(dtype) for name, dtype in PREDICTION.items())
