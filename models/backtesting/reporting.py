"""Turns answers into the report: per target and moment the figures, slices, seasons and curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from features.play.moments import EVENT
from models.answers import Answers
from models.backtesting.context import Context
from models.backtesting.curves import curves, over_time
from models.backtesting.slices import SETTLED, SETTLED_REGULAR, slices
from models.evaluation import Bootstrap, figures, finite, gate_of, headline, span
from models.metrics import squared_errors
from models.report import by_moment

Progress = Callable[[str, int, int], None]
#: Significant digits of the figures in the report.
DIGITS: Final = 6
#: Parts of a game that published models are compared on.
PARTS: Final[dict[str, pl.Expr]] = {
    "all states": pl.lit(True),
    **{f"period {k}": pl.col("period") == k for k in range(1, 5)},
    "overtime": pl.col("period") > 4,
}
#: Slices that are also told of answers with something hidden.
CASE_SLICES: Final = frozenset({"regular season", SETTLED, SETTLED_REGULAR})


@dataclass(slots=True)
class Reporter:
    """Gathers the report family by family; `settings` are gate and bootstrap."""

    context: Context
    gate: float
    bootstrap: Bootstrap
    on_progress: Progress | None = None
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    times: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, params: Mapping[str, Any], context: Context, on_progress: Progress | None) -> Reporter:
        """With the gate and the bootstrap of all parameters."""
        return cls(context, gate_of(params), Bootstrap.read(params), on_progress)

    def add(
        self,
        family: str,
        main: Sequence[Answers],
        hidden: Mapping[str, Sequence[Answers]],
    ) -> None:
        """Report one family's answers; `hidden` are the same questions with something hidden, by case."""
        for number, answers in enumerate(main):
            if self.on_progress is not None:
                self.on_progress(f"figures of {answers.target}", number, len(main))
            described = self.context.describe(answers)
            for moment, part in by_moment(described).items():
                if moment != EVENT:
                    told = {"family": family, "kind": answers.kind, **self._moment(part)}
                    told["cases"] = self._cases(answers.target, moment, hidden)
                    self.targets.setdefault(answers.target, {})[moment] = told
            if "elapsed_s" in described.rows.columns:
                self._over_time(family, described)

    def report(self) -> dict[str, Any]:
        """`targets` and `over_time`."""
        return {"gate": self.gate, "targets": self.targets, "over_time": self.times}

    def published(self, states: Mapping[str, Sequence[pl.DataFrame]]) -> dict[str, Any]:
        """Brier score beside published models on their own states, per model and part of the game.

        `states` (game_date, period, probability, public, label) by model, fold by fold. Every state counts once, as
        in the published figure; intervals resample game dates.
        """
        told = {}
        for name, parts in states.items():
            rows = pl.concat(parts)
            for part, condition in PARTS.items():
                cut = rows.filter(condition)
                if cut.height:
                    told[f"{name}, {part}"] = rounded(self._against(cut))
        return told

    def _against(self, rows: pl.DataFrame) -> dict[str, Any]:
        label = rows["label"].to_numpy()
        own, theirs = (squared_errors(rows[name].to_numpy(), label) for name in ("probability", "public"))
        blocks = self.bootstrap.blocks(rows["game_date"])
        return {
            "target": "home_win", "n": rows.height, "games": rows["game_id"].n_unique(),
            **span(rows["game_date"]), "own": blocks.mean(own).as_json(), "theirs": blocks.mean(theirs).as_json(),
            "saved": blocks.mean(theirs - own).as_json(),
        }  # fmt: skip

    def _moment(self, answers: Answers) -> dict[str, Any]:
        told: dict[str, Any] = {**figures(answers, gate=self.gate, bootstrap=self.bootstrap), "slices": {}}
        for dimension, name, part in slices(answers):
            told["slices"].setdefault(dimension, {})[name] = self._headline(part)
        seasons = answers.rows["season"].unique().sort().to_list()
        told["by_season"] = {
            str(season): self._headline(answers.where(pl.col("season") == season)) for season in seasons
        }
        plain: dict[str, Any] = rounded({**told, "curves": finite(curves(answers))})
        return plain

    def _cases(self, target: str, moment: str, hidden: Mapping[str, Sequence[Answers]]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for case, parts in hidden.items():
            for answers in parts:
                if answers.target != target:
                    continue
                part = by_moment(self.context.describe(answers)).get(moment)
                if part is not None:
                    told[case] = rounded(self._headline(part))
                    told[case]["slices"] = {
                        name: rounded(self._headline(cut))
                        for dimension, name, cut in slices(part)
                        if name in CASE_SLICES
                    }
        return told

    def _headline(self, answers: Answers) -> dict[str, Any]:
        return headline(answers, gate=self.gate, bootstrap=self.bootstrap)

    def _over_time(self, family: str, answers: Answers) -> None:
        random = answers.where(pl.col("asked_at") == EVENT)
        if random.rows.height:
            self.times[answers.target] = {"family": family, **rounded(over_time(random))}


def rounded(value: Any) -> Any:
    """The same figures with DIGITS significant digits: a report that people keep and compare."""
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
