"""Model cards: what MLflow, the audit and the bundle say of a registered model, as Markdown without a typed number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from features.params import read_params
from features.tables import EASTERN
from features.workspace import League, Workspace
from models.bundle import Bundle, load_bundle
from models.champion import model_name
from models.evaluation import gate_of
from models.families import FAMILIES, IN_GAME, family_of, judged_of
from models.lifecycle import open_registry
from models.registry import CHAMPION, ModelVersion, Registry
from models.settings import ModelSettings
from models.tracking import mlflow_client

_MOMENT: Final = re.compile(r"(?P<target>.+)_(?P<moment>pregame|q1|half|q3|event|possession|shot)_(?P<figure>.+)")
_SAVED: Final = re.compile(r"baselines_(?P<name>.+)_saved")
#: Figures of a card, in its order; MLflow has all of them.
_HEADLINE: Final = (
    "accuracy", "base_rate", "brier", "log_loss", "ece", "gated_accuracy", "gated_coverage", "mae", "crps",
    "interval_80_coverage",
)  # fmt: skip
_PARTS: Final = ("low", "high", "blocks")
#: Tags of a version that say where it comes from, in the order of the card.
_ORIGIN: Final = (
    "as_of", "data_hash", "git_sha", "params_hash", "excluded_seasons", "choices", "device", "tested_from",
    "tested_through",
)  # fmt: skip
Figure = tuple[float, float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class Template:
    """What the code says of a family: the same for every version."""

    family: str
    definition: str
    horizon: str
    metric: str
    made: tuple[str, ...]
    asked: str
    least_rows: tuple[int, int]

    @classmethod
    def of(cls, family: str) -> Template:
        """From the constants and docstrings of `models/{family}`."""
        kind, judged = family_of(family), judged_of(family)
        made = [_docstring(f"models.{family}.{part}") for part in ("data", "network")]
        return cls(
            family, kind.LABEL, kind.HORIZON, judged.METRIC, tuple(made), _docstring(f"models.{family}.answers"),
            kind.LEAST_ROWS,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of the audit about a version: the gate's words and, where there was a comparison, its evidence."""

    action: str
    at: str
    actor: str
    reasons: tuple[str, ...]
    evidence: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class CardFacts:
    """All that is known of one version; `params` and `metrics` are those of its run in MLflow."""

    template: Template
    version: ModelVersion
    is_champion: bool
    bundle: Bundle
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    decisions: Sequence[Decision] = field(default_factory=tuple)
    gate: float = 0.0


def card_facts(league: League, settings: ModelSettings) -> Iterator[CardFacts]:
    """The champion of every registered model of `league`, or its newest version while there is no champion.

    A bundle that cannot be loaded raises `BundleError`: a card must not speak of a model nobody can run.
    """
    workspace = Workspace(settings.home, league)
    with open_registry(settings) as registry:
        for family in FAMILIES:
            name = model_name(league, family)
            champion = registry.alias(name, CHAMPION)
            version = champion or next(iter(registry.versions(name)), None)
            if version is not None:
                yield _facts(family, version, champion is not None, registry, workspace, settings)


def card_text(facts: CardFacts, more: Sequence[str] = ()) -> str:
    """The card as Markdown; `more` are lines of the walk-forward section."""
    bundle, template = facts.bundle, facts.template
    state = "champion" if facts.is_champion else "no champion yet: this is the newest challenger"
    made = facts.version.tags.get("kind")
    born = f", {made.replace('_', '-')} from version {facts.version.tags.get('parent')}" if made else ""
    lines = [
        f"# {bundle.name}", "",
        "Written by `fantasy cards` from MLflow, the promotion audit and the bundle. Do not edit.", "",
        f"**Version {facts.version.version}** ({state}{born}), registered {_moment(facts.version)}.",
        "", "## Definition", "", f"- label: {bundle.label}", f"- horizon: {template.horizon}",
        f"- compared by: {template.metric}", f"- answers are given from a claimed probability of {facts.gate:g} on",
        "", "## How it is made, and why this model was kept", "",
    ]  # fmt: skip
    for text in template.made:
        lines += [text, ""]
    lines += [*_data(facts), *_features(bundle), *_parameters(facts), *_metrics(facts), *_promotion(facts)]
    lines += ["## Walk forward", "", *(more or ["The backtest report has no figures of this family."]), ""]
    lines += [*_limits(facts), *_reproduce(facts)]
    return "\n".join(lines).rstrip() + "\n"


def _facts(
    family: str,
    version: ModelVersion,
    is_champion: bool,
    registry: Registry,
    workspace: Workspace,
    settings: ModelSettings,
) -> CardFacts:
    folder: Path = registry.download(version, workspace.bundles / "cache")
    with mlflow_client(settings) as client:
        run = client.get_run(version.run_id).data
    return CardFacts(
        Template.of(family), version, is_champion, load_bundle(folder, version=version.version).bundle,
        dict(run.params), {name: float(value) for name, value in run.metrics.items()},
        tuple(_decisions(registry, version)), gate_of(read_params()),
    )  # fmt: skip


def _decisions(registry: Registry, version: ModelVersion) -> Iterator[Decision]:
    for row in registry.audit(version.name):
        if row.to_version == version.version:
            said = row.evidence.get("reasons") or [row.evidence.get("reason") or row.evidence.get("note") or ""]
            yield Decision(
                row.action, row.at.isoformat(timespec="minutes"), row.actor, tuple(filter(None, said)),
                row.evidence.get("evidence"),
            )  # fmt: skip


def _docstring(module: str) -> str:
    """A module's docstring without its paragraphs about array shapes."""
    parts = cleandoc(import_module(module).__doc__ or "").split("\n\n")
    return "\n\n".join(part for part in parts if not part.startswith("Shape"))


def _moment(version: ModelVersion) -> str:
    return "at an unknown time" if version.created_at is None else f"{version.created_at:%Y-%m-%d %H:%M} UTC"


def _data(facts: CardFacts) -> Iterator[str]:
    bundle, tags = facts.bundle, facts.version.tags
    yield from ("## Data and dates", "", "| what | value |", "| --- | --- |")
    yield f"| league | {bundle.league}{' (made up)' if bundle.league == 'simulated' else ''} |"
    for name in ("fit_through", "calibrated_through", "trained_through"):
        yield f"| {name} | {getattr(bundle, name)} |"
    for name in _ORIGIN:
        if tags.get(name):
            yield f"| {name} | {tags[name]} |"
    for name, value in sorted(facts.params.items()):
        if name.startswith("rows."):
            yield f"| rows to {name.removeprefix('rows.')} | {int(value):,} |"
    yield ""


def _features(bundle: Bundle) -> Iterator[str]:
    yield from ("## Features", "", f"{len(bundle.config['features'])} features, from views (name version):")
    yield ", ".join(f"{name} {version}" for name, version in sorted(bundle.view_versions.items())) + "."
    yield from ("", "`" + "`, `".join(bundle.config["features"]) + "`", "")


def _parameters(facts: CardFacts) -> Iterator[str]:
    config = {key: value for key, value in facts.bundle.config.items() if isinstance(value, int | float | str)}
    chosen = {**config, **facts.bundle.references.get("optimisation", {})}
    yield from ("## Parameters", "", "| parameter | value |", "| --- | --- |")
    yield from (f"| {name} | {value} |" for name, value in sorted(chosen.items()))
    yield ""


def _metrics(facts: CardFacts) -> Iterator[str]:
    """One row per target and moment; `saved` is a baseline's loss minus the model's on the same rows."""
    yield from ("## Metrics on games it never saw", "")
    groups = grouped(facts.metrics)
    if not groups:
        yield from ("None were logged.", "")
        return
    yield from ("| target | asked at | n | figures [95 %] | saved of each baseline's loss [95 %] |",
                "| --- | --- | --- | --- | --- |")  # fmt: skip
    for (target, moment), figures in groups.items():
        n = _number(figures["n"][0]) if "n" in figures else ""
        own = "; ".join(f"{name} {_interval(figures[name])}" for name in _HEADLINE if name in figures)
        saved = {match["name"]: each for name, each in figures.items() if (match := _SAVED.fullmatch(name))}
        rivals = "; ".join(f"{name} {_interval(each)}" for name, each in saved.items())
        yield f"| {target} | {moment} | {n} | {own} | {rivals} |"
    yield ""


def grouped(metrics: Mapping[str, float]) -> dict[tuple[str, str], dict[str, Figure]]:
    """Logged numbers as (value, low, high, dates) by (target, moment) and figure."""
    found: dict[tuple[str, str], dict[str, Figure]] = {}
    for name in sorted(metrics):
        match = _MOMENT.fullmatch(name)
        base, _, part = name.rpartition("_")
        if match is None or (part in _PARTS and base in metrics):
            continue
        low, high, blocks = (metrics.get(f"{name}_{each}") for each in _PARTS)
        found.setdefault((match["target"], match["moment"]), {})[match["figure"]] = (
            metrics[name],
            low,
            high,
            blocks,
        )
    return found


def _promotion(facts: CardFacts) -> Iterator[str]:
    yield from ("## Evidence of its promotion", "")
    if not facts.decisions:
        yield from ("The audit has no decision about this version yet.", "")
    for each in facts.decisions:
        yield f"- {each.at}, {each.action} by {each.actor}: {'; '.join(each.reasons) or 'no reason was given'}"
    told = [each.evidence for each in facts.decisions if each.evidence]
    if told:
        evidence = told[-1]
        yield from (
            "",
            f"Against {evidence['opponent']}, {evidence['first_date']} to {evidence['last_date']}:",
            "",
        )
        yield from ("| slice | better by | interval | n | dates |", "| --- | --- | --- | --- | --- |")
        for name, part in {"all": evidence["comparison"], **evidence["slices"]}.items():
            ends = f"{_number(part['low'])} to {_number(part['high'])}"
            yield f"| {name} | {_number(part['estimate'])} | {ends} | {part['n']:,} | {part['blocks']:,} |"
    yield ""


def _limits(facts: CardFacts) -> Iterator[str]:
    template, bundle = facts.template, facts.bundle
    yield from ("## Limits", "", template.asked, "")
    yield f"- It has learned nothing from games after {bundle.trained_through}; its weights end {bundle.fit_through}."
    least = " and ".join(f"{n:,}" for n in template.least_rows)
    yield f"- It is not trained at all below {least} rows to fit and to calibrate."
    if template.family in IN_GAME:
        yield "- It needs play-by-play: without it nothing is answered."
    if bundle.league == "simulated":
        yield "- The league is simulated: these figures say nothing about real games."
    worse = [
        f"{name} (by {_number(-part['estimate'])}, n={part['n']:,})"
        for each in facts.decisions
        if each.evidence
        for name, part in each.evidence["slices"].items()
        if part["high"] < 0
    ]
    yield f"- Slices where its opponent was better: {', '.join(worse) if worse else 'none that the comparison shows'}."
    yield ""


def _reproduce(facts: CardFacts) -> Iterator[str]:
    tags, family = facts.version.tags, facts.template.family
    made = "learn" if tags.get("kind") else f"train {family}"
    source = "simulated" if facts.bundle.league == "simulated" else "archive"
    day = f" --through {_day(tags['as_of'])}" if tags.get("as_of") else ""
    yield from ("## How to reproduce", "", "```")
    if tags.get("git_sha"):
        yield f"git checkout {tags['git_sha'].removesuffix('-dirty')}"
    yield f"fantasy collect --source {source}{day}"
    yield f"fantasy materialize --source {source}{day}"
    yield f"fantasy {made} --source {source}{day}"
    yield from ("```", "")
    if tags.get("git_sha", "").endswith("-dirty"):
        yield "The code had changes that were not committed: the commit alone does not give this version."


def _day(as_of: str) -> str:
    return str(datetime.fromisoformat(as_of).astimezone(ZoneInfo(EASTERN)).date())


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1 else f"{value:.4f}"


def _interval(figure: Figure) -> str:
    value, low, high, _ = figure
    told = _number(value)
    return told if low is None or high is None else f"{told} [{_number(low)}, {_number(high)}]"
