"""Everything a promotion was decided on, as one frozen value that turns into JSON and back unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from features.errors import InvalidInput
from models.experiments.paired import PairedResult


@dataclass(frozen=True, slots=True)
class Scores:
    """One model's figures on the gate's questions; None where a family has no such figure.

    `ece` is over `ece_bins` bins of equal mass and `n` answers. Inside the gate (claimed confidence at or above
    it): `gate_n` answers, mean `gate_claimed` and observed `gate_hit` frequency; `gate_coverage` = gate_n / n.
    `interval_coverage` is the share of labels inside the 80 % interval. `nan_rate` counts answers not finite.
    `losses` and other figures for the record go to `more`.
    """

    n: int
    loss: float
    ece: float | None = None
    ece_bins: int = 10
    gate_n: int | None = None
    gate_claimed: float | None = None
    gate_hit: float | None = None
    gate_coverage: float | None = None
    interval_coverage: float | None = None
    interval_coverage_se: float | None = None
    nan_rate: float = 0.0
    more: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A challenger against a champion on the same questions.

    `champion_version` is None when the opponent is the best baseline (`opponent` names it). `metric` names the
    loss, lower is better. `slices` holds the same comparison on parts of the questions. `declared_reason` is why
    an equal model would still be preferred, for example fresher data; empty when there is none. `references`
    names git SHA, data hash and split dates.
    """

    model_name: str
    opponent: str
    champion_version: str | None
    challenger_version: str
    metric: str
    first_date: date
    last_date: date
    comparison: PairedResult
    champion: Scores
    challenger: Scores
    slices: Mapping[str, PairedResult] = field(default_factory=dict)
    declared_reason: str = ""
    references: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = asdict(self)
        plain["first_date"] = self.first_date.isoformat()
        plain["last_date"] = self.last_date.isoformat()
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Evidence:
        """Inverse of `as_json`; ignores keys it does not know. Raises `InvalidInput` when one is missing."""
        try:
            return cls(
                model_name=plain["model_name"],
                opponent=plain["opponent"],
                champion_version=plain["champion_version"],
                challenger_version=plain["challenger_version"],
                metric=plain["metric"],
                first_date=date.fromisoformat(plain["first_date"]),
                last_date=date.fromisoformat(plain["last_date"]),
                comparison=PairedResult(**plain["comparison"]),
                champion=Scores(**plain["champion"]),
                challenger=Scores(**plain["challenger"]),
                slices={name: PairedResult(**each) for name, each in plain["slices"].items()},
                declared_reason=plain["declared_reason"],
                references=dict(plain["references"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"evidence cannot be read back: {error!r}; evaluate again") from error
