"""Walk forward over past seasons: every question is answered by a model that saw only earlier games.

Every family is trained anew on the cadence of `models.training.folds`; the newest regular-season dates before the
day calibrate. Families take their turn one after the other, so that one family's rows are in memory at a time.
"""

from __future__ import annotations

import gc
import logging
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from features.errors import InvalidInput
from features.play.plays import NO_PLAYS, Plays
from features.tables import Tables
from features.views import (
    ANNOUNCED_FEATURES,
    GAME_ANNOUNCED_FEATURES,
    Views,
    compute_views,
    game_rows,
    player_rows,
)
from features.views.entities import game_entities, played_entities
from models.answers import Answers, join_answers
from models.backtesting.context import context
from models.backtesting.predictions import PREDICTION, predictions
from models.backtesting.reporting import Reporter
from models.backtesting.spreads import with_baseline_crps
from models.bundle import LoadedModel, load_bundle
from models.errors import TrainingError
from models.families import FAMILIES, Judged, check_family, family_of, judged_of
from models.projection.data import LINE_UP
from models.report import ask
from models.training.config import TrainingParams
from models.training.fit import Identity, RunOptions, learn
from models.training.folds import (
    CADENCE,
    CALIBRATION_SHARE,
    TRAINING_SEASONS,
    Fold,
    affordable_days,
    chosen_seasons,
    folds,
    slices_before,
    together,
)
from models.training.run import Progress

#: What is hidden from the rows, for the figures beside the main one.
HIDDEN: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "projection": {
        "line_ups_only": tuple(name for name in ANNOUNCED_FEATURES if name not in LINE_UP),
        "without_announcements": ANNOUNCED_FEATURES,
    },
    "win_probability": {"without_announcements": GAME_ANNOUNCED_FEATURES},
}
#: The as-of projection that live lines are asked against, answered by the projection model of the same day.
PROJECTED: Final = "projection_draftkings"
PROJECTED_TARGET: Final = "fantasy_points_draftkings"
#: The family that published in-game winner models are compared with.
PUBLIC_FAMILY: Final = "live_win"
_KEYS: Final = ("game_id", "player_id")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """`predictions`: one row per question with the columns of PREDICTION; `report`: plain JSON values.

    The report has `targets` (`{target: {asked_at: figures}}`), `over_time`, and what was done: `seasons`,
    `retrained_on`, `cadence`, `sub_sampling`, `left_out` (family: why), `seconds`.
    """

    predictions: pl.DataFrame
    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """Everything recorded of a league: what the models learn from and are asked about."""

    tables: Tables
    views: Views
    players: pl.DataFrame
    plays: Plays

    @classmethod
    def of(cls, tables: Tables, plays: Plays = NO_PLAYS) -> History:
        """With views and player rows computed once for all families."""
        views = compute_views(tables)
        return cls(tables, views, player_rows(played_entities(tables), views), plays)

    def games(self, family: str) -> pl.DataFrame:
        """The games that `family` can be asked about: in game only those of seasons with play-by-play."""
        if family_of(family).HORIZON == "macro":
            return self.tables.games
        return self.tables.games.filter(pl.col("season").is_in(self.plays.seasons))

    def rows(self, family: str, seasons: Sequence[int]) -> pl.DataFrame:
        """Labelled rows of `family`, in game those of `seasons` only."""
        return family_of(family).labelled_rows(
            self.tables, self.views, players=self.players, plays=self.plays.only(seasons)
        )


@dataclass(frozen=True, slots=True)
class Setting:
    """How models are made: all parameters, league and device."""

    params: Mapping[str, Any]
    league: str = "nba"
    device: str = "auto"

    def train(self, family: str, rows: pl.DataFrame, fold: Fold) -> tuple[LoadedModel, pl.DataFrame, pl.DataFrame]:
        """The model for `fold`, and the rows that fitted and calibrated it."""
        chosen = TrainingParams.read(self.params, family)
        past = rows.filter(fold.learned(family))
        days = affordable_days(past, fold.start, chosen.calibration_days)
        fit, calibrate = slices_before(past, fold.start, days)
        made = datetime.combine(fold.start, datetime.min.time(), tzinfo=UTC)
        with tempfile.TemporaryDirectory(prefix="fantasy-backtest-") as folder:
            options = RunOptions(Path(folder) / "checkpoints", self.device)
            identity = Identity(f"{self.league}-{family}", self.league, made)
            bundle, _ = learn(family, fit, calibrate, chosen, identity, options, out=Path(folder) / "bundle")
            model = load_bundle(bundle.path, device=self.device, version=f"walk-forward-{fold.start}")
        return model, fit, calibrate


def backtest(
    tables: Tables,
    *,
    params: Mapping[str, Any],
    seasons: Sequence[int] | None = None,
    families: Sequence[str] | None = None,
    plays: Plays = NO_PLAYS,
    public: Mapping[str, pl.DataFrame] | None = None,
    on_progress: Progress | None = None,
    league: str = "nba",
    device: str = "auto",
) -> BacktestResult:
    """Answer every question of `seasons` (default: the newest four) as it stood when asked.

    Pre-game figures are asked when inactives and line-ups are announced; the report adds those without. A family
    that cannot be tested, for want of play-by-play or of games before, is left out with the reason, unless
    `families` names it. `public` are the states of published in-game winner models (`models.live_win.public`), by
    name: what falls into the tested seasons is asked of our model too.
    Raises `InvalidInput` when a season is not in the tables or no family can be tested, `TrainingError` when a
    named family has too few games before a season.
    """
    began = time.perf_counter()
    tested = chosen_seasons(tables.games, seasons)
    history = History.of(tables, plays)
    reporter = Reporter.read(params, context(tables), on_progress)
    walk = _Walk(history, Setting(params, league, device), tested, on_progress, public or {})
    written: list[pl.DataFrame] = []
    left_out: dict[str, str] = {}
    # In the order of FAMILIES, whatever order they were named in: live lines need the day's projections.
    for family in sorted({check_family(name) for name in families or FAMILIES}, key=FAMILIES.index):
        try:
            answered = walk.of(family)
        except (TrainingError, InvalidInput) as error:
            if families is not None:
                raise
            left_out[family] = str(error)
            log.warning("%s is left out: %s", family, error)
            continue
        for answers in answered.main:
            written.append(predictions(answers, f"{league}-{family}"))
        reporter.add(family, answered.main, answered.hidden)
        del answered
        gc.collect()
    if not written:
        raise InvalidInput(f"no model can be tested on seasons {tested}: {left_out}")
    report = {
        **_preamble(history, walk, tested), "left_out": left_out, **reporter.report(),
        "published": reporter.published(walk.published), "seconds": time.perf_counter() - began,
    }  # fmt: skip
    return BacktestResult(pl.concat(written).sort("target", "event_time", maintain_order=True), report)


@dataclass(slots=True)
class Answered:
    """One family's answers over all folds: to every target, and the same with something hidden."""

    main: list[Answers]
    hidden: dict[str, list[Answers]]


@dataclass(slots=True)
class _Walk:
    """Takes families through their folds; `projected` gathers the as-of projections that live lines need."""

    history: History
    setting: Setting
    seasons: list[int]
    on_progress: Progress | None
    public: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    published: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    trained: dict[str, list[str]] = field(default_factory=dict)
    projected: pl.DataFrame | None = None

    def of(self, family: str) -> Answered:
        """Answers of one family. Raises `InvalidInput` when no tested season has what it needs."""
        games = self.history.games(family)
        tested = [season for season in self.seasons if season in set(games["season"].unique())]
        if not tested:
            raise InvalidInput(
                f"there is no play-by-play of seasons {self.seasons}, which {family} is asked about"
            )
        learned = TRAINING_SEASONS[family]
        plan, parts = folds(games, tested, learned), _Parts()
        macro = family_of(family).HORIZON == "macro"
        self._say(family, 0, len(plan))
        for group in [tested] if macro else together(tested, learned):
            self._ask_group(family, [fold for fold in plan if fold.season in group], len(plan), parts)
        if not parts.main:
            raise InvalidInput(f"{family} has no question in seasons {tested}")
        main = [join_answers(each) for each in parts.main.values()]
        if family == "projection":
            self.projected = _projected(main)
        return Answered(
            main, {case: [join_answers(p) for p in own.values()] for case, own in parts.hidden.items()}
        )

    def _ask_group(self, family: str, group: Sequence[Fold], of: int, parts: _Parts) -> None:
        """Folds of seasons whose rows are in memory together."""
        seasons = [fold.season for fold in group]
        first = min(seasons) - TRAINING_SEASONS[family]
        rows = self.history.rows(family, range(first, max(seasons) + 1)).filter(pl.col("season") >= first)
        for fold in group:
            self._ask(family, judged_of(family), rows, fold, parts)
            self.trained.setdefault(family, []).append(fold.start.isoformat())
            self._say(family, len(self.trained[family]), of)

    def _ask(self, family: str, judged: Judged, rows: pl.DataFrame, fold: Fold, parts: _Parts) -> None:
        asked = rows.filter(fold.tested())
        if asked.is_empty():
            return
        model, fit, calibrate = self.setting.train(family, rows, fold)
        tables = self.history.tables
        past = pl.concat([fit, calibrate])
        if self.projected is not None and set(_KEYS) <= set(asked.columns):
            asked = asked.drop(PROJECTED, strict=False).join(
                self.projected, on=_KEYS, how="left", maintain_order="left"
            )
        known = judged.with_baselines(asked, past, tables)
        # The model sees the rows without the baselines: what they add is known of the market or only to them.
        found = judged.answers(known, model.outputs(asked), model.config)
        answers = with_baseline_crps(found, lambda: ask(model, calibrate, fit, tables))
        parts.add([_versioned(each, model.version) for each in answers])
        if family == PUBLIC_FAMILY:
            self._compare(model, fold)
        for case, names in HIDDEN.get(family, {}).items():
            unseen = [pl.lit(None, pl.Float32).alias(name) for name in names if name in asked.columns]
            before = judged.answers(known, model.outputs(asked.with_columns(unseen)), model.config)
            parts.add(with_baseline_crps(before, None), case)

    def _compare(self, model: LoadedModel, fold: Fold) -> None:
        """Ask `model` about the states that published models answered in the fold's games."""
        from models.live_win.public import same_states

        history = self.history
        games = history.tables.games.filter(fold.tested())
        for name, states in self.public.items():
            shared = games.join(states.select("game_id").unique(), on="game_id", how="semi")
            if shared.is_empty():
                continue
            entities = game_entities(Tables(shared, history.tables.box))
            plays = history.plays.read(fold.season)
            same = same_states(model, states, plays, game_rows(entities, history.views, history.players))
            self.published.setdefault(name, []).append(same)

    def _say(self, family: str, done: int, of: int) -> None:
        if self.on_progress is not None:
            self.on_progress(f"{family}, trained {done} of {of} times", done, of)


@dataclass(slots=True)
class _Parts:
    """Answers per target, fold by fold."""

    main: dict[str, list[Answers]] = field(default_factory=dict)
    hidden: dict[str, dict[str, list[Answers]]] = field(default_factory=dict)

    def add(self, answers: Sequence[Answers], case: str | None = None) -> None:
        """File the answers of one fold; those without rows are dropped."""
        kept = self.main if case is None else self.hidden.setdefault(case, {})
        for each in _by_target(answers):
            if each.rows.height:
                kept.setdefault(each.target, []).append(each)


def _by_target(answers: Sequence[Answers]) -> Iterator[Answers]:
    """One `Answers` per target, also where a family gives one per moment."""
    grouped: dict[str, list[Answers]] = {}
    for each in answers:
        grouped.setdefault(each.target, []).append(each)
    for parts in grouped.values():
        yield parts[0] if len(parts) == 1 else join_answers(parts)


def _versioned(answers: Answers, version: str) -> Answers:
    rows = answers.rows.with_columns(pl.lit(version).alias("version"))
    arrays = (answers.probability, answers.mean, answers.quantiles, answers.classes)
    return Answers(answers.target, answers.kind, rows, answers.primary, *arrays)


def _projected(answers: Sequence[Answers]) -> pl.DataFrame | None:
    for each in answers:
        if each.target == PROJECTED_TARGET and each.mean is not None:
            mean = pl.Series(PROJECTED, np.asarray(each.mean), dtype=pl.Float64)
            return each.rows.select(*_KEYS).with_columns(mean)
    return None


def _preamble(history: History, walk: _Walk, tested: list[int]) -> dict[str, Any]:
    newest = {family: seasons for family, seasons in TRAINING_SEASONS.items() if family in walk.trained}
    return {
        "seasons": tested,
        "cadence": CADENCE,
        "retrained_on": walk.trained,
        "learned_from": str(history.tables.games["game_date"].min()),
        "play_by_play": list(history.plays.seasons),
        "training_seasons": newest,
        "sub_sampling": (
            "each model learns from the tested season so far and the seasons before it, the newest of training_seasons "
            "at most; calibration_days of params.yaml calibrate, at most "
            f"{CALIBRATION_SHARE:.0%} of the dates before; " + _shares(walk.trained)
        ),
    }


def _shares(families: Iterable[str]) -> str:
    """Which families ask a fixed share of their questions only."""
    some = {name: getattr(family_of(name), "SHARE", 1) for name in families}
    told = [f"{name} one in {share}, drawn by a hash" for name, share in some.items() if share > 1]
    return "every question is asked" + (f", but of {', of '.join(told)}" if told else "")


__all__ = ["PREDICTION", "BacktestResult", "History", "Setting", "backtest", "folds", "slices_before"]
