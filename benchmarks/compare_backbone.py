"""A sequence backbone against the plain models, on the same questions: does it earn its place?

    python -m benchmarks.compare_backbone [--data DIR]

Trains on 2018-19 to 2020-21 (their last 60 regular-season dates stop and calibrate), asks every game of 2021-22: the
winner and the margin at the ends of the first three quarters and at 16 drawn plays of a game, and the points of one
possession in four (drawn by a hash). Seed 7, CPU, one thread: about ten minutes, 2.3 GB. Writes results/backbone.json,
from which `python -m flows.results` writes the section of docs/results.md. The rule of what is kept:
`benchmarks.backbone.verdict.RULE`.

Rivals of the backbone: for the winner a Brownian margin, a logistic on strength, lead and clock, the network that
ships, boosted trees on its inputs; for possessions the base rate, the rate by how the possession began, a multinomial
logistic and boosted trees on the inputs of the network that ships, and that network. The backbone runs twice: alone
(tokens, and clock, lead and strength at the question) and on top of the networks that ship, as a correction of their
raw answers with all their inputs at hand. Baselines (Brownian, the winner's logistic, rates) learn from the fit and the
stop slice both; trees have one setting, which was not tuned.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.backbone.encoder import EncoderConfig
from benchmarks.backbone.learn import Learned, Steps, answers, learn
from benchmarks.backbone.lessons import Court, Told, alone, court, lesson, on_top
from benchmarks.backbone.plain import (
    NAMED,
    TREES,
    Array,
    baselines,
    calibrated_points,
    calibrated_winner,
    class_logistic,
    shipped,
    tree_logits,
)
from benchmarks.backbone.questions import (
    FIT_SEASONS,
    STOP_DAYS,
    TEST_SEASON,
    Slices,
    questions,
    recorded,
    starts,
    starts_only,
)
from benchmarks.backbone.tokens import Vocabulary
from benchmarks.backbone.verdict import RULE, verdict
from benchmarks.measure import machine, parser, write
from features.params import read_params
from features.tables import Tables
from flows.backtest import peak_memory_mb
from models.evaluation import class_losses
from models.live_win.rows import FEATURES as WIN_FEATURES
from models.metrics import squared_errors
from models.possession.config import FEATURES as POSSESSION_FEATURES

SEED = 7
#: Chosen on the stop slice (2020-21); the test was not looked at.
SIZE: dict[str, Any] = {"hidden": 48, "embedding": 12, "dropout": 0.3, "forgotten": 0.3}
STEPS = {
    "backbone alone": Steps(SEED, games=64, epochs=10, patience=4, learning_rate=0.002, weight_decay=0.1),
    "backbone on top": Steps(SEED, games=64, epochs=10, patience=4, learning_rate=0.001, weight_decay=0.1),
}


@dataclass(frozen=True, slots=True)
class Rows:
    """Questions per family, starts of possessions only; `every` also has the possession family's moments."""

    win: Slices
    possession: Slices
    every: Slices


@dataclass(frozen=True, slots=True)
class Answered:
    """Answers to the test by model, in order of simplicity: P(home wins), expected margin, chances of points."""

    win: dict[str, Array]
    margin: dict[str, Array]
    points: dict[str, Array]
    runs: dict[str, dict[str, Any]]


def compared(data: Path) -> dict[str, Any]:
    """The report: every model's losses on the same questions and what the rule keeps."""
    began = time.perf_counter()
    tables, plays = recorded(data)
    found, strength = questions(tables, plays)
    every = found["possession"]
    rows = Rows(found["live_win"], starts_only(every), every)
    seen = court(plays, strength)
    prepared = time.perf_counter() - began
    params = read_params()
    told = answered(rows, seen, tables, params)
    return {
        **machine(("torch", "numpy", "polars", "scikit-learn")), "rule": RULE, "seed": SEED,
        "fit_seasons": list(FIT_SEASONS), "stop_days": STOP_DAYS, "test_season": TEST_SEASON,
        "rows": {
            name: {part: getattr(slices, part).height for part in ("fit", "stop", "test")}
            for name, slices in (("winner", rows.win), ("possession", rows.possession))
        },
        "games": {part: getattr(rows.win, part)["game_id"].n_unique() for part in ("fit", "stop", "test")},
        "trees": TREES, "plain": {name: params["train"][name] for name in ("live_win", "possession")},
        "backbones": told.runs, "targets": judged(rows, told),
        "seconds": {"rows and tokens": round(prepared), "all": round(time.perf_counter() - began)},
        "peak_memory_mb": peak_memory_mb(),
    }  # fmt: skip


def answered(rows: Rows, seen: Court, tables: Tables, params: Mapping[str, Any]) -> Answered:
    """Every model's answers to the test."""
    ours, theirs = shipped("live_win", rows.win, params), shipped("possession", rows.every, params)
    plain_win = baselines("live_win", rows.win, tables)
    plain_points = baselines("possession", rows.every, tables)
    begun = starts(rows.every.test)
    stop, test = tree_logits(rows.win, WIN_FEATURES, "home_win")
    win = {
        "Brownian": plain_win["brownian"], "logistic": plain_win["logistic"],
        "live_win (ships)": ours.answers["home_win_probability"], "trees": calibrated_winner(stop, test, rows.win),
    }  # fmt: skip
    margin = {"Brownian": plain_win["margin_brownian"], "live_win (ships)": ours.answers["margin_mean"]}
    points = {
        "base rate": plain_points["base_rate"][begun], "by beginning": plain_points["began"][begun],
        "logistic": calibrated_points(*class_logistic(rows.possession, POSSESSION_FEATURES, "points"), rows.possession),
        "possession (ships)": theirs.answers["points"][begun],
        "trees": calibrated_points(*tree_logits(rows.possession, POSSESSION_FEATURES, "points"), rows.possession),
    }  # fmt: skip
    fitted = rows.win.fit.select("game_id").unique()
    vocabulary = Vocabulary.of(seen.tokens.join(fitted, on="game_id", how="semi"))
    raw = {part: theirs.raw[part][starts(getattr(rows.every, part))] for part in ("fit", "stop", "test")}
    runs = {}
    for name, told in (
        ("backbone alone", alone(rows.win, rows.possession)), ("backbone on top", on_top(ours.raw, raw)),
    ):  # fmt: skip
        run, answers_ = backbone(rows, told, seen, vocabulary, STEPS[name])
        runs[name] = run
        win[name], margin[name], points[name] = answers_
    return Answered(win, margin, points, runs)


def backbone(
    rows: Rows, told: Told, seen: Court, vocabulary: Vocabulary, steps: Steps
) -> tuple[dict[str, Any], tuple[Array, Array, Array]]:
    """One backbone: how it was trained, and its calibrated answers to the test."""
    config = EncoderConfig(vocabulary.size, **SIZE)
    fit, stop, test = (
        lesson(part, rows.win, rows.possession, told, seen, vocabulary) for part in ("fit", "stop", "test")
    )
    learned: Learned = learn(fit, stop, config, steps)
    before, after = answers(learned.network, stop), answers(learned.network, test)
    run = {
        "config": asdict(config), "steps": steps.as_json(), "curve": learned.curve, "best_epoch": learned.best_epoch,
        "parameters": sum(weight.numel() for weight in learned.network.parameters()),
        "seconds": round(learned.seconds),
    }  # fmt: skip
    win = calibrated_winner(before[0][:, 0], after[0][:, 0], rows.win)
    return run, (win, after[0][:, 1], calibrated_points(before[1], after[1], rows.possession))


def judged(rows: Rows, told: Answered) -> dict[str, Any]:
    """Per target the verdict, and beside it the loss at each moment."""
    test, started = rows.win.test, rows.possession.test
    won = test["home_win"].cast(pl.Float64).to_numpy()
    final = test["home_margin"].cast(pl.Float64).to_numpy()
    brier = {name: squared_errors(chance, won) for name, chance in told.win.items()}
    off = {name: np.abs(mean - final) for name, mean in told.margin.items()}
    label = started["points"].cast(pl.Float64).to_numpy()
    nats = {name: class_losses(chances, label) for name, chances in told.points.items()}
    return {
        "home_win": {"metric": "Brier"} | at_moments(brier, test, "live_win (ships)"),
        "home_margin": {"metric": "MAE, points"} | at_moments(off, test, "live_win (ships)"),
        "next_possession_points": {"metric": "log loss, nats"}
        | verdict(nats, started["game_date"].to_numpy(), shipped="possession (ships)", seed=SEED),
    }


def at_moments(losses: Mapping[str, Array], test: pl.DataFrame, ships: str) -> dict[str, Any]:
    """The verdict over the named moments together, with `by_moment` the mean loss at each and at drawn plays."""
    asked = test["asked_at"].to_numpy()
    named: NDArray[np.bool_] = np.isin(asked, NAMED)
    dates = test["game_date"].to_numpy()
    found = verdict({name: loss[named] for name, loss in losses.items()}, dates[named], shipped=ships, seed=SEED)
    for name, loss in losses.items():
        found["models"][name]["by_moment"] = {
            moment: float(loss[asked == moment].mean()) for moment in (*NAMED, "event")
        }
    return found


def main() -> None:
    """Compare and write the report."""
    options = parser(__doc__, "backbone.json").parse_args()
    report = compared(options.data)
    write(report, options.out)
    for target, told in report["targets"].items():
        print(target, told["metric"], f"n={told['n']:,}", "best:", told["best"], "kept:", told["kept"])
        for name, entry in told["models"].items():
            print(f"  {name:20s} {entry['loss']:.5f}", entry.get("by_moment", ""), entry.get("saved", ""))
    print(report["seconds"], report["peak_memory_mb"], "MB")


if __name__ == "__main__":
    main()
