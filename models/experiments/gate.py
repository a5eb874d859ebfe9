"""The promotion gate: evidence in, decision out. Pure, so that every rule is a row of a table of tests.

promote   no guardrail is broken, and the challenger is better (lower bound above 0), or not worse by more than
          the margin (lower bound above -margin) and somebody declared why an equal model is preferred
reject    the challenger is worse (upper bound below 0), or its answers are not finite numbers
hold      everything else: undecided, too few dates, or better but a guardrail is broken

Guardrails are judged with their sampling error, since a perfect model breaks any fixed limit on few games.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from models.experiments.evidence import Evidence, Scores

Action = Literal["promote", "hold", "reject"]
#: One-sided 95 % normal quantile: how far beyond a limit a small sample must lie to break it.
Z: Final = 1.6449


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """Limits of the gate. `margin` and `max_slice_loss` are in the loss's unit, the rest are shares.

    Honesty (claimed minus hit inside the gate): on enough answers, meaning that `Z` standard errors are within
    `max_gate_honesty` (about 1,150 answers at a claim of .78), the limit is the limit; on fewer, those `Z`
    standard errors come on top, so only a breach that chance does not explain counts.
    """

    margin: float
    max_slice_loss: float
    max_ece: float = 0.05
    max_gate_honesty: float = 0.02
    interval_band: tuple[float, float] = (0.78, 0.82)
    max_coverage_drop: float = 0.05
    max_nan_rate: float = 0.0
    min_blocks: int = 10


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with the challenger, and every reason for it."""

    action: Action
    reasons: tuple[str, ...]


def decide(evidence: Evidence, policy: GatePolicy) -> Decision:
    """Apply the policy to the evidence."""
    result = evidence.comparison
    shown = (
        f"{evidence.metric} {evidence.challenger.loss:.4f} against {evidence.champion.loss:.4f} of "
        f"{evidence.opponent}: better by {result.estimate:.4f} [{result.low:.4f}, {result.high:.4f}], "
        f"n={result.n}, dates={result.blocks}"
    )
    figures = (result.estimate, result.low, result.high, evidence.challenger.loss)
    if not all(map(math.isfinite, figures)) or evidence.challenger.nan_rate > policy.max_nan_rate:
        return Decision(
            "reject", (f"answers are not finite numbers (share {evidence.challenger.nan_rate:.4f})", shown)
        )
    if result.high < 0:
        return Decision("reject", (f"worse than {evidence.opponent}", shown))
    breaches = tuple(guardrail_breaches(evidence, policy))
    if result.blocks < policy.min_blocks:
        breaches = (f"only {result.blocks} dates, {policy.min_blocks} needed", *breaches)
    if breaches:
        return Decision("hold", (*breaches, shown))
    if result.low > 0:
        return Decision("promote", (f"better than {evidence.opponent}", shown))
    if result.low > -policy.margin and evidence.declared_reason:
        kept = (
            f"not worse than {evidence.opponent} by more than {policy.margin:g}, and: {evidence.declared_reason}"
        )
        return Decision("promote", (kept, shown))
    return Decision("hold", (f"undecided against {evidence.opponent}", shown))


def guardrail_breaches(evidence: Evidence, policy: GatePolicy) -> Iterator[str]:
    """Yield a sentence for every guardrail that the challenger breaks beyond its sampling error."""
    scores = evidence.challenger
    if scores.ece is not None and scores.ece > policy.max_ece + ece_noise(scores):
        yield (
            f"expected calibration error {scores.ece:.3f} above {policy.max_ece:g} "
            f"(+{ece_noise(scores):.3f} that chance gives on {scores.n} answers)"
        )
    yield from _dishonest(scores, policy)
    yield from _off_interval(scores, policy)
    before, after = evidence.champion.gate_coverage, scores.gate_coverage
    if before is not None and after is not None:
        error = Z * math.sqrt((before * (1 - before) + after * (1 - after)) / max(scores.n, 1))
        if before - after > policy.max_coverage_drop + error:
            yield f"gate coverage falls from {before:.3f} to {after:.3f}, over {policy.max_coverage_drop:g}"
    for name, part in evidence.slices.items():
        if part.high < 0 and part.estimate < -policy.max_slice_loss:
            yield f"slice {name}: worse by {-part.estimate:.4f} (n={part.n}), more than {policy.max_slice_loss:g}"


def honesty_error(scores: Scores) -> float:
    """`Z` standard errors of the hit frequency inside the gate, were the claims true."""
    claimed = scores.gate_claimed or 0.0
    return Z * math.sqrt(claimed * (1 - claimed) / max(scores.gate_n or 0, 1))


def ece_noise(scores: Scores) -> float:
    """Expected calibration error of a perfectly calibrated model on as few answers (p = 1/2, the worst case).

    A bin of n/k answers misses by sqrt(2/pi) * sqrt(p (1 - p) k / n) on average.
    """
    return math.sqrt(2 / math.pi * 0.25 * scores.ece_bins / max(scores.n, 1))


def _dishonest(scores: Scores, policy: GatePolicy) -> Iterator[str]:
    if scores.gate_claimed is None or scores.gate_hit is None or not scores.gate_n:
        return
    gap, error = scores.gate_claimed - scores.gate_hit, honesty_error(scores)
    enough = error <= policy.max_gate_honesty
    if gap > policy.max_gate_honesty + (0.0 if enough else error):
        yield (
            f"inside the gate {scores.gate_claimed:.3f} is claimed and {scores.gate_hit:.3f} hit: "
            f"more than {policy.max_gate_honesty:g} apart on {scores.gate_n} answers"
        )


def _off_interval(scores: Scores, policy: GatePolicy) -> Iterator[str]:
    if scores.interval_coverage is None:
        return
    low, high = policy.interval_band
    middle = (low + high) / 2
    own = scores.interval_coverage_se
    error = Z * (math.sqrt(middle * (1 - middle) / max(scores.n, 1)) if own is None else own)
    if not low - error <= scores.interval_coverage <= high + error:
        yield f"the 80 % interval covers {scores.interval_coverage:.3f}: not {low:g} to {high:g} (±{error:.3f})"
