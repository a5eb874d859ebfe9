"""Errors of the models layer; all are `features.errors.FantasyError`s.

FantasyError
├── BundleError            a model bundle is corrupt, incomplete or fails its golden batch
├── RegistryUnavailable    MLflow does not answer (retry may help)
├── NoChampion             no version carries the alias asked for
├── PromotionConflict      the alias moved between reading and writing: look again, then retry
├── Infeasible             no legal lineup satisfies every rule; names the rules that clash
├── SearchUnfinished       the solver ran into its time limit before it could prove an answer (retry may help)
├── Cancelled              whoever asked no longer wants the answer
└── TrainingError          training cannot start or diverged
"""

from __future__ import annotations

from features.errors import FantasyError


class BundleError(FantasyError):
    """A model bundle is corrupt, incomplete or does not reproduce its golden batch."""


class RegistryUnavailable(FantasyError):
    """The model registry does not answer."""

    http_status = 503
    retryable = True


class NoChampion(FantasyError):
    """No model version carries the alias asked for."""

    http_status = 503


class PromotionConflict(FantasyError):
    """The alias is not where the caller believed it to be."""

    http_status = 409
    retryable = True


class Infeasible(FantasyError):
    """No legal lineup satisfies every rule; `rules` names those that clash."""

    http_status = 422

    def __init__(self, message: str, rules: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.rules = rules


class TrainingError(FantasyError):
    """Training cannot start on this data, or its loss is not finite."""


class SearchUnfinished(FantasyError):
    """HiGHS ran into its time limit before it found a lineup or proved that there is none."""

    http_status = 503
    retryable = True


class Cancelled(FantasyError):
    """Whoever asked went away or cancelled; the work stopped and nothing of it was kept."""

    # nginx's "client closed request"; no standard status says it.
    http_status = 499
