"""May the arms of an experiment be compared? The split must be as promised, and nobody may have met two arms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from features.stores.exposures import ExposedArms
from models.experiments.srm import SampleRatio, sample_ratio

#: Share of units that met several arms above which the experiment is not believed (GrowthBook's value).
MAX_SEVERAL: Final = 0.01


@dataclass(frozen=True, slots=True)
class ExperimentHealth:
    """`healthy` is None while too few units were seen to say."""

    arms: ExposedArms
    ratio: SampleRatio
    several_share: float

    @property
    def healthy(self) -> bool | None:
        """Whether a comparison may be believed."""
        return False if self.several_share > MAX_SEVERAL else self.ratio.healthy

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        arms = self.arms
        return {
            "experiment": arms.experiment, "bucket_version": arms.bucket_version, "units": arms.units,
            "shares": arms.shares, "first_exposure": arms.first.isoformat(), "last_exposure": arms.last.isoformat(),
            "sample_ratio_p": self.ratio.p_value, "several_arms_share": self.several_share, "healthy": self.healthy,
        }  # fmt: skip


def health_of(arms: ExposedArms) -> ExperimentHealth:
    """Judge what was exposed. Raises `InvalidInput` when an arm that was never promised was served."""
    met = sum(arms.units.values()) - arms.seen_in_several
    return ExperimentHealth(arms, sample_ratio(arms.units, arms.shares), arms.seen_in_several / max(met, 1))
