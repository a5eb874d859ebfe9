"""How a network is trained: read from `params.yaml`, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from models.errors import TrainingError

#: Keys of a family's section that size the network rather than steer the training.
SIZE_KEYS: Final = ("hidden", "layers", "dropout")


@dataclass(frozen=True, slots=True)
class Optimisation:
    """One training run. A step uses `batch_size` x `accumulate` rows; patience counts epochs without progress."""

    seed: int = 7
    batch_size: int = 2048
    accumulate: int = 1
    learning_rate: float = 0.002
    weight_decay: float = 0.01
    max_epochs: int = 12
    patience: int = 3

    def as_json(self) -> dict[str, Any]:
        """Plain values for `bundle.json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class TrainingChoices:
    """What a caller asks of one training beside `params.yaml`; None leaves the file's value.

    `precision` is one of `models.device.WANTED`, `devices` the number of processes that share every batch.
    """

    resume: bool = False
    precision: str = "auto"
    devices: int = 1
    accumulate: int | None = None
    max_epochs: int | None = None

    def applied(self, params: Mapping[str, Any], family: str) -> dict[str, Any]:
        """`params` with the family's section changed as asked."""
        asked = {"accumulate": self.accumulate, "max_epochs": self.max_epochs}
        changed = {key: value for key, value in asked.items() if value is not None}
        section = dict(params.get("train", params))
        section[family] = {**section.get(family, {}), **changed}
        return {**params, "train": section} if "train" in params else section

    def as_tag(self) -> str:
        """What makes the model another one than the file alone would, in words; empty when nothing does."""
        words = {"precision": self.precision, "accumulate": self.accumulate, "max_epochs": self.max_epochs}
        words["devices"] = self.devices
        plain = TrainingChoices()
        return ",".join(f"{key}={value}" for key, value in words.items() if value != getattr(plain, key))


@dataclass(frozen=True, slots=True)
class TrainingParams:
    """The `train` section for one family: slices in game dates (a family may set its own), size, optimisation."""

    holdout_days: int
    calibration_days: int
    size: dict[str, float]
    optimisation: Optimisation

    @classmethod
    def read(cls, params: Mapping[str, Any], family: str) -> TrainingParams:
        """From all parameters or from their `train` section. Raises `TrainingError` naming the wrong key."""
        section = params.get("train", params)
        missing = [key for key in ("seed", "holdout_days", "calibration_days", family) if key not in section]
        if missing:
            raise TrainingError(f"params.yaml: train lacks {missing}; compare with the file in the repository")
        own = dict(section[family])
        days = {key: int(own.pop(key, section[key])) for key in ("holdout_days", "calibration_days")}
        size = {key: own.pop(key) for key in SIZE_KEYS if key in own}
        known = {field.name for field in fields(Optimisation)}
        unknown = sorted(set(own) - known)
        if unknown:
            raise TrainingError(f"params.yaml: train.{family} has unknown keys {unknown}; known: {sorted(known)}")
        optimisation = Optimisation(**{"seed": int(section["seed"]), **own})
        for key in ("batch_size", "accumulate", "max_epochs"):
            if getattr(optimisation, key) < 1:
                raise TrainingError(
                    f"params.yaml: train.{family}.{key} is {getattr(optimisation, key)}; use 1 or more"
                )
        return cls(**days, size=size, optimisation=optimisation)
