"""Leak controls: experiments whose outcome is known beforehand, run on two seasons in a few minutes.

Random labels must teach nothing; features moved to the end of their own game must look too good, or the leak
detector itself is broken; 10^6 added to a game's box score must move none of its own features; answers set against
the next game of the same player or home team must be worse (the game before is in the features, so it would not be).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from features.play.plays import NO_PLAYS, Plays
from features.tables import Tables
from features.views import compute_views, player_rows
from features.views.entities import played_entities
from models.answers import Answers
from models.bundle import LoadedModel
from models.evaluation import class_losses
from models.experiments.paired import PairedResult, paired_bootstrap
from models.families import FAMILIES, family_of, judged_of
from models.metrics import absolute_errors, squared_errors
from models.report import ask
from models.training.folds import Fold, chosen_seasons
from models.training.run import Progress
from models.training.walk_forward import History, Setting

#: Most epochs of a control: enough to learn what there is.
EPOCHS: Final = 6
#: Share of the trivial answer's loss that a model of random labels may seem to save.
NOTHING: Final = 0.01
#: Share of the honest loss that features from the end of the game must save to count as too good.
TOO_GOOD: Final = 0.10
HUGE: Final = 1_000_000
SCORE: Final = 10_000
SEED: Final = 20261123
#: In-game families are controlled on one game in so many.
EVERY: Final = 4
#: Families whose answers are direct, so that random labels leave them nothing; those that add what is left of a game
#: to what has happened know the score whatever they learned.
RANDOMISED: Final = ("win_probability", "projection", "possession", "shot")
MACRO: Final = ("win_probability", "projection")
_COUNTS: Final = (
    "min", "pts", "fgm", "fga", "fg3m", "fg3a", "ftm", "fta", "oreb", "dreb", "reb", "ast", "stl", "blk", "tov",
    "pf", "plus_minus",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Control:
    """One control of one family: what it gave (`figure`), what it must give (`must`), and the numbers behind it."""

    control: str
    family: str
    figure: str
    must: str
    passed: bool
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Ground:
    """Two seasons, the fold that tests the newer one's second half, and how models are made."""

    history: History
    fold: Fold
    setting: Setting

    def rows(self, family: str) -> pl.DataFrame:
        return self.history.rows(family, self.history.plays.seasons)

    def trained(self, family: str, rows: pl.DataFrame) -> tuple[LoadedModel, pl.DataFrame, pl.DataFrame]:
        """A model, the rows before the fold and the rows in it."""
        model, fit, calibrate = self.setting.train(family, rows, self.fold)
        return model, pl.concat([fit, calibrate]), rows.filter(self.fold.tested())


def controls(
    tables: Tables,
    *,
    params: Mapping[str, Any],
    seasons: Sequence[int] | None = None,
    families: Sequence[str] = FAMILIES,
    plays: Plays = NO_PLAYS,
    on_progress: Progress | None = None,
    league: str = "nba",
) -> dict[str, Any]:
    """Run every control on the newest of `seasons` and the season before it, where there is one.

    Returns `seasons`, `sub_sampling`, `controls` (as `Control`) and `passed`, all of them. In-game families take part
    where there is play-by-play. Raises `InvalidInput` when a season is not in the tables.
    """
    tested = chosen_seasons(tables.games, seasons)[-1]
    kept = pl.col("season").is_between(tested - 1, tested)
    two = Tables(tables.games.filter(kept), tables.box.filter(kept))
    some = _every(plays.only([tested - 1, tested]))
    chosen = [name for name in families if family_of(name).HORIZON == "macro" or some.seasons]
    ground = _Ground(History.of(two, some), _second_half(two.games, tested), Setting(_short(params), league))
    steps = [(name, run) for name in chosen for run in _RUNS if name in _OF.get(run.__name__, chosen)]
    found: list[Control] = []
    for number, (family, run) in enumerate(steps):
        if on_progress is not None:
            on_progress(f"{run.__name__.strip('_').replace('_', ' ')}, {family}", number, len(steps))
        found += run(family, ground)
    return {
        "seasons": sorted(two.games["season"].unique().to_list()),
        "sub_sampling": f"second half of {tested} tested; at most {EPOCHS} epochs; in game one game in {EVERY}",
        "controls": [asdict(each) for each in found],
        "passed": all(each.passed for each in found),
    }


def inflated(tables: Tables, game_id: str) -> Tables:
    """The same league with HUGE added to every figure of one game's box score, and as much as a score can hold to
    its final score."""
    here = pl.col("game_id") == game_id

    def more(name: str, kind: type[pl.DataType], by: int) -> pl.Expr:
        value = pl.col(name).cast(kind)
        return pl.when(here).then(value + by).otherwise(value).alias(name)

    box = tables.box.with_columns(more(name, pl.Float64 if name == "min" else pl.Int64, HUGE) for name in _COUNTS)
    # The home side is moved further: with both moved alike the margin would not move at all.
    return Tables(
        tables.games.with_columns(more("home_score", pl.Int16, 2 * SCORE), more("away_score", pl.Int16, SCORE)),
        box,
    )


def _random_labels(family: str, ground: _Ground) -> Iterator[Control]:
    rows = ground.rows(family)
    targets = [name for name in family_of(family).TARGETS if name in rows.columns]
    before = rows.filter(pl.col("game_date") < ground.fold.start)
    # Within a moment: labels of another one would be missing as often as random.
    groups = before.partition_by("asked_at") if "asked_at" in before.columns else [before]
    shuffled = pl.concat(
        each.with_columns(each.select(targets).sample(fraction=1.0, shuffle=True, seed=SEED)) for each in groups
    ).sort("game_date", maintain_order=True)
    model, past, _ = ground.trained(family, shuffled)
    asked = rows.filter(ground.fold.tested())
    for answers in ask(model, asked, past, ground.history.tables)[:1]:
        own, trivial = _against_trivial(answers)
        saved = float(1 - own.mean() / trivial.mean())
        yield Control(
            "random labels", family, f"saves {saved:+.2%} of the base rate's loss, {answers.target}, n = {own.size:,}",
            f"at most {NOTHING:.0%}", saved <= NOTHING, {"saved": saved, "n": own.size},
        )  # fmt: skip


def _future_shift(family: str, ground: _Ground) -> Iterator[Control]:
    honest = _test_losses(family, ground, ground.rows(family))
    late = History(_after_the_game(ground.history.tables), ground.history.views, pl.DataFrame(), NO_PLAYS)
    rows = family_of(family).labelled_rows(late.tables, late.views)
    leaking = _test_losses(family, ground, rows)
    result = _paired(honest, leaking)
    saved = result.estimate / result.champion
    yield Control(
        "features shifted one game ahead", family, f"saves {saved:+.1%} of the honest loss, n = {result.n:,}",
        f"more than {TOO_GOOD:.0%}: the detector works", saved > TOO_GOOD and result.low > 0,
        {"saved": saved, "low": result.low, "high": result.high, "n": result.n},
    )  # fmt: skip


def _box_edit(family: str, ground: _Ground) -> Iterator[Control]:
    """Rows of the edited game itself must stay; rows of the same teams' later games must move."""
    tables, plays = ground.history.tables, ground.history.plays
    played = tables.games.sort("event_time", "game_id")
    if family_of(family).HORIZON != "macro":
        recorded = pl.concat([rows.select("game_id") for _, rows in plays.each()]).unique()
        played = played.join(recorded, on="game_id", how="semi", maintain_order="left")
    chosen = played.row(played.height * 2 // 3, named=True)
    both = [chosen["home_team"], chosen["away_team"]]
    after = pl.col("event_time") >= chosen["event_time"]
    theirs = pl.col("home_team").is_in(both) | pl.col("away_team").is_in(both)
    asked = played.filter(after & theirs).head(8)["game_id"].implode()
    few = Plays(plays.seasons, lambda season: plays.read(season).filter(pl.col("game_id").is_in(asked)))
    clean, moved = (_features(family, each, asked, few) for each in (tables, inflated(tables, chosen["game_id"])))
    own = pl.col("game_id") == chosen["game_id"]
    names = [name for name in clean.columns if name != "game_id"]
    same = [clean.filter(own)[name].equals(moved.filter(own)[name], null_equal=True) for name in names]
    later = [not clean.filter(~own)[name].equals(moved.filter(~own)[name], null_equal=True) for name in names]
    count = clean.filter(own).height
    yield Control(
        "10^6 added to a box score", family,
        f"{same.count(False)} of {len(names)} own features move, {sum(later)} of later games; {count} rows",
        "none of its own, some of later games", all(same) and any(later) and count > 0,
        {"own": same.count(False), "later": sum(later), "rows": count},
    )  # fmt: skip


def _permuted_dates(family: str, ground: _Ground) -> Iterator[Control]:
    rows = ground.rows(family)
    model, past, asked = ground.trained(family, rows)
    known = judged_of(family).with_baselines(asked, past, ground.history.tables)
    whose = "player_id" if "player_id" in known.columns else "home_team"
    targets = [name for name in family_of(family).TARGETS if name in known.columns]
    moved = known.with_columns(pl.col(name).shift(-1).over(whose) for name in targets)
    both = moved.select(pl.all_horizontal(pl.col(targets).is_not_null())).to_series()
    output = {name: values[both.to_numpy()] for name, values in model.outputs(asked).items()}
    true, other = (judged_of(family).losses(each.filter(both), output, model.config) for each in (known, moved))
    result = paired_bootstrap(other, true, known.filter(both)["game_date"].to_numpy(), n_boot=500)
    lost, entity = result.estimate / result.challenger, whose.split("_", maxsplit=1)[0]
    yield Control(
        "permuted dates", family, f"costs {lost:+.1%} against the same {entity}'s next game, "
        f"n = {result.n:,}", "worse, whole interval above 0", result.low > 0,
        {"lost": lost, "low": result.low, "high": result.high, "n": result.n},
    )  # fmt: skip


_RUNS: Final = (_random_labels, _future_shift, _box_edit, _permuted_dates)
_OF: Final = {"_random_labels": RANDOMISED, "_future_shift": MACRO, "_permuted_dates": MACRO}


def _short(params: Mapping[str, Any]) -> dict[str, Any]:
    """The same parameters with at most EPOCHS epochs, and calibration days that half a season affords."""
    shorter = copy.deepcopy(dict(params))
    for section in shorter["train"].values():
        if isinstance(section, dict) and "max_epochs" in section:
            section["max_epochs"] = min(section["max_epochs"], EPOCHS)
    return shorter


def _every(plays: Plays) -> Plays:
    def read(season: int) -> pl.DataFrame:
        rows = plays.read(season)
        return rows.filter(pl.col("game_id").hash(SEED) % EVERY == 0)

    return Plays(plays.seasons, read)


def _second_half(games: pl.DataFrame, season: int) -> Fold:
    dates: list[date] = games.filter(pl.col("season") == season)["game_date"].unique().sort().to_list()
    return Fold(season, dates[len(dates) // 2], dates[-1] + timedelta(days=1))


def _after_the_game(tables: Tables) -> Tables:
    """Every question asked just after its own game became known."""
    late = (pl.col("known_time") + timedelta(seconds=1)).alias("event_time")
    return Tables(tables.games.with_columns(late), tables.box.with_columns(late))


def _test_losses(family: str, ground: _Ground, rows: pl.DataFrame) -> pl.DataFrame:
    """Key, date and loss of every test row, by a model trained on the rows before."""
    model, past, asked = ground.trained(family, rows)
    known = judged_of(family).with_baselines(asked, past, ground.history.tables)
    losses = judged_of(family).losses(known, model.outputs(asked), model.config)
    keys = [name for name in ("game_id", "player_id") if name in known.columns]
    return known.select(*keys, "game_date").with_columns(pl.Series("loss", losses))


def _paired(honest: pl.DataFrame, leaking: pl.DataFrame) -> PairedResult:
    keys = [name for name in honest.columns if name != "loss"]
    both = honest.join(leaking, on=keys, suffix="_leaking", maintain_order="left")
    return paired_bootstrap(both["loss"].to_numpy(), both["loss_leaking"].to_numpy(), both["game_date"].to_numpy(),
                            n_boot=500)  # fmt: skip


def _features(family: str, tables: Tables, asked: pl.Series, plays: Plays) -> pl.DataFrame:
    """Every feature of the rows of the games `asked`, with their game, in the order of the rows."""
    views = compute_views(tables)
    entities = played_entities(tables).filter(pl.col("game_id").is_in(asked))
    rows = family_of(family).labelled_rows(tables, views, players=player_rows(entities, views), plays=plays)
    features = family_of(family).config({}).features
    return rows.filter(pl.col("game_id").is_in(asked)).select("game_id", *features)


def _against_trivial(answers: Answers) -> tuple[np.ndarray, np.ndarray]:
    """Loss per row of the model, and of the base rate or mean of these very labels: the best a guess can do."""
    label = answers.rows["label"].cast(pl.Float64).to_numpy()
    if answers.probability is not None:
        return squared_errors(answers.probability, label), squared_errors(np.full(label.size, label.mean()), label)
    if answers.classes is not None:
        shares = np.bincount(label.astype(np.intp), minlength=answers.classes.shape[1]) / label.size
        return class_losses(answers.classes, label), class_losses(np.tile(shares, (label.size, 1)), label)
    mean = np.asarray(answers.mean, dtype=np.float64)
    return absolute_errors(mean, label), absolute_errors(np.full(label.size, np.median(label)), label)
