"""A search for better hyper-parameters: Optuna proposes, the calibration loss judges, hopeless trials end early.

The test slice is never read: a trial is fitted on the fit slice and judged on the calibration slice, exactly as
early stopping judges epochs. On CPU the same seed gives the same trials and figures.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from features.errors import InvalidInput
from models.errors import TrainingError
from models.families import family_of
from models.training.config import TrainingParams
from models.training.fit import RunOptions, arrays_of, fitted_network

State = Literal["complete", "pruned", "failed"]
#: Trials run before the median of earlier ones may end another.
STARTUP_TRIALS: Final = 4
#: Epochs a trial is granted: the learning rate is still rising in the first.
GRACE_EPOCHS: Final = 1
#: Widths tried beside a network without hidden layers.
WIDTHS_BESIDE_NONE: Final = (16, 48)


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of parameters: its calibration loss (best epoch; None when it failed), its curve, how it ended."""

    number: int
    params: Mapping[str, Any]
    loss: float | None
    state: State
    curve: tuple[dict[str, float], ...]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, without the curve."""
        return {"number": self.number, "params": dict(self.params), "loss": self.loss, "state": self.state}


@dataclass(frozen=True, slots=True)
class SweepResult:
    """Every trial; `best` has the lowest loss among the complete ones, `first` used the present parameters."""

    family: str
    trials: tuple[Trial, ...]

    @property
    def first(self) -> Trial:
        """The trial of `params.yaml` as it is."""
        return self.trials[0]

    @property
    def best(self) -> Trial:
        """The best complete trial. Raises `TrainingError` when all failed."""
        complete = [(trial.loss, trial.number) for trial in self.trials if trial.state == "complete"]
        known = [(loss, number) for loss, number in complete if loss is not None]
        if not known:
            raise TrainingError(f"no trial of {self.family} ended well; lower learning_rate in params.yaml first")
        return self.trials[min(known)[1]]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values: best, first, all trials, and the family's line for `params.yaml`."""
        return {
            "family": self.family, "objective": "calibration loss of the best epoch",
            "best": self.best.as_json(), "first": self.first.as_json(), "params_yaml": params_line(self),
            "trials": [trial.as_json() for trial in self.trials],
        }  # fmt: skip


def sweep(
    family: str,
    slices: tuple[Any, Any],
    chosen: TrainingParams,
    options: RunOptions,
    *,
    trials: int,
    on_trial: Callable[[Trial], None] | None = None,
) -> SweepResult:
    """Train `trials` networks of `family` on the frames (fit, calibrate); the first with the parameters as they are.

    `on_trial` hears of each when it ended. Raises `InvalidInput` for fewer than one trial or several devices,
    `TrainingError` when the data cannot carry a model.
    """
    if trials < 1:
        raise InvalidInput(f"sweep is {trials}; ask for 1 trial or more")
    if options.devices > 1:
        raise InvalidInput(f"devices is {options.devices}, but a sweep judges every epoch in one process; use 1")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="minimize", sampler=optuna.samplers.TPESampler(seed=chosen.optimisation.seed),
        pruner=optuna.pruners.MedianPruner(STARTUP_TRIALS, n_warmup_steps=GRACE_EPOCHS),
    )  # fmt: skip
    study.enqueue_trial(_present(chosen))
    config = family_of(family).config(chosen.size)
    found: list[Trial] = []
    with arrays_of(family, *slices, config, options.checkpoints) as arrays:
        for _ in range(trials):
            asked = study.ask(_space(chosen))
            ended = _tried(family, arrays, chosen, options, asked)
            states = {"complete": optuna.trial.TrialState.COMPLETE, "pruned": optuna.trial.TrialState.PRUNED}
            study.tell(asked, ended.loss if ended.state == "complete" else None,
                       state=states.get(ended.state, optuna.trial.TrialState.FAIL))  # fmt: skip
            found.append(ended)
            if on_trial is not None:
                on_trial(ended)
    return SweepResult(family, tuple(found))


def params_line(result: SweepResult) -> str:
    """The best parameters as the family's line of `params.yaml`."""
    words = ", ".join(f"{key}: {value:.4g}" if isinstance(value, float) else f"{key}: {value}"
                      for key, value in result.best.params.items())  # fmt: skip
    return f"{result.family}: {{{words}}}"


def _tried(family: str, arrays: tuple[Any, Any], chosen: TrainingParams, options: RunOptions, asked: Any) -> Trial:
    import optuna

    curve: list[dict[str, float]] = []

    def judged(point: dict[str, float]) -> None:
        curve.append(point)
        asked.report(point["calibration_loss"], int(point["epoch"]))
        if asked.should_prune():
            raise optuna.TrialPruned

    size, optimisation = _with(chosen, asked.params)
    folder = options.checkpoints / f"trial-{asked.number:03d}"
    state: State = "complete"
    try:
        config = family_of(family).config(size)
        fitted_network(
            family,
            config,
            arrays,
            optimisation,
            replace(options, checkpoints=folder, on_epoch=judged, resume=False),
        )
    except optuna.TrialPruned:
        state = "pruned"
    except TrainingError:
        # A loss that is not finite says that these parameters are bad, not that the search is.
        state = "failed"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    losses = [point["calibration_loss"] for point in curve]
    whole = {**size, **asdict(optimisation)}
    del whole["seed"]
    return Trial(asked.number, whole, min(losses) if losses and state != "failed" else None, state, tuple(curve))


def _present(chosen: TrainingParams) -> dict[str, Any]:
    """The parameters searched, as they are now."""
    known = {**chosen.size, **asdict(chosen.optimisation)}
    return {name: known[name] for name in _space(chosen)}


def _space(chosen: TrainingParams) -> dict[str, Any]:
    """Where to look: around the present values, which are inside."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    now = chosen.optimisation
    space: dict[str, Any] = {
        "learning_rate": FloatDistribution(now.learning_rate / 5, now.learning_rate * 5, log=True),
        "weight_decay": FloatDistribution(1e-4, max(0.2, now.weight_decay), log=True),
        "batch_size": CategoricalDistribution(_around(now.batch_size)),
    }
    if now.weight_decay < 1e-4:
        space["weight_decay"] = FloatDistribution(0.0, 0.2)
    if "hidden" in chosen.size:
        space["hidden"] = CategoricalDistribution(_around(int(chosen.size["hidden"])))
    if "layers" in chosen.size:
        space["layers"] = IntDistribution(min(1, int(chosen.size["layers"])), max(4, int(chosen.size["layers"])))
    if "dropout" in chosen.size:
        space["dropout"] = FloatDistribution(0.0, max(0.4, float(chosen.size["dropout"])))
    return space


def _around(value: int) -> list[int]:
    if value == 0:
        return [0, *WIDTHS_BESIDE_NONE]
    return sorted({max(1, value // 2), value, value * 2})


def _with(chosen: TrainingParams, asked: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    size = {key: asked.get(key, value) for key, value in chosen.size.items()}
    known: Iterable[str] = asdict(chosen.optimisation)
    return size, replace(chosen.optimisation, **{key: asked[key] for key in known if key in asked})
