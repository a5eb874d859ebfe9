"""The only door to Great Expectations: declared expectations in, one result per declared expectation out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from features.validation.results import ExpectationResult, Status
from features.validation.rules import Fault, Frames
from features.validation.suites import Expectation, Suite

_LOG: Final = logging.getLogger(__name__)
#: Past this many bad rows the batch itself is the evidence, and naming each row only costs memory.
_MOST_KEYS: Final = 100_000
_EXAMPLES: Final = 3


class Inspector:
    """One in-memory Great Expectations context; results stay in it until `build_docs` writes them as HTML."""

    def __init__(self) -> None:
        # Nine CPU seconds of import: paid by whoever validates, never by whoever imports this package.
        import great_expectations as gx

        # Its own progress bars and per-metric warnings would drown the line's output.
        logging.getLogger("great_expectations").setLevel(logging.ERROR)
        self._gx = gx
        self._context = gx.get_context(mode="ephemeral")
        quiet: Any = {"globally": False, "metric_calculations": False}
        self._context.variables.progress_bars = quiet
        self._source = self._context.data_sources.add_pandas("offline_store")
        self._definitions: dict[str, Any] = {}

    def inspect(
        self, suite: Suite, frames: Frames, *, label: str, as_of: datetime
    ) -> tuple[ExpectationResult, ...]:
        """One result per expectation of `suite`, in declared order. `label` names the batch in Data Docs."""
        results: dict[str, ExpectationResult] = {}
        for name in dict.fromkeys(expectation.frame for expectation in suite.expectations):
            declared = [expectation for expectation in suite.expectations if expectation.frame == name]
            frame = frames.get(name, Fault(f"no frame {name!r} was built"))
            for result in self._inspect_frame(suite, name, declared, frame, label, as_of):
                results[result.name] = result
        return complete(suite.expectations, results)

    def build_docs(self, folder: Path) -> Path:
        """Write Great Expectations' Data Docs (its styles come from public CDNs) and return the index page."""
        backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
        site: Any = {"class_name": "SiteBuilder", "store_backend": backend, "show_how_to_buttons": False,
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"}}  # fmt: skip
        self._context.add_data_docs_site(site_name="local", site_config=site)
        self._context.build_data_docs(site_names=["local"])
        return folder / "index.html"

    def _inspect_frame(
        self, suite: Suite, name: str, declared: Sequence[Expectation], frame: pl.DataFrame | Fault, label: str,
        as_of: datetime,
    ) -> list[ExpectationResult]:  # fmt: skip
        if isinstance(frame, Fault):
            return [unjudged(item, "failed", f"could not be evaluated: {frame.reason}") for item in declared]
        wanted = dict.fromkeys(column for item in declared for column in item.columns)
        keys = [key for key in suite.keys.get(name, ()) if key in frame.columns]
        picked = [column for column in dict.fromkeys([*keys, *wanted]) if column in frame.columns]
        narrow = frame.select(picked) if picked else frame
        data = narrow.to_pandas(use_pyarrow_extension_array=True)
        definition = self._definition(suite, name, declared)
        found = definition.run(
            batch_parameters={"dataframe": data},
            result_format={"result_format": "BASIC", "partial_unexpected_count": _EXAMPLES},
            run_id=self._gx.RunIdentifier(run_name=label, run_time=as_of),
        )
        outcomes = {item.expectation_config.meta["expectation"]: item for item in found.results}
        results = []
        for item in declared:
            outcome = outcomes.get(item.name)
            if outcome is None:
                continue
            result = judged(item, narrow, outcome)
            if result.status == "failed" and keys and 0 < (result.unexpected or 0) <= _MOST_KEYS:
                bad = self._bad_keys(definition, data, item, keys)
                result = ExpectationResult(**{**fields_of(result), "keys": bad})
            results.append(result)
        return results

    def _definition(self, suite: Suite, frame: str, declared: Sequence[Expectation]) -> Any:
        name = f"{suite.name}.{frame}"
        if name not in self._definitions:
            asset = self._source.add_dataframe_asset(name)
            batch = asset.add_batch_definition_whole_dataframe("season")
            gx_suite = self._gx.ExpectationSuite(name=name, expectations=[self._built(item) for item in declared])
            self._definitions[name] = self._context.validation_definitions.add(
                self._gx.ValidationDefinition(name=name, data=batch, suite=self._context.suites.add(gx_suite))
            )
        return self._definitions[name]

    def _built(self, item: Expectation) -> Any:
        import great_expectations.expectations as classes

        meta = {"expectation": item.name, "why": item.why}
        return getattr(classes, item.kind)(**item.arguments, meta=meta, severity=item.severity)

    def _bad_keys(
        self, definition: Any, data: Any, item: Expectation, keys: Sequence[str]
    ) -> tuple[tuple[object, ...], ...]:
        batch = definition.batch_definition.get_batch(batch_parameters={"dataframe": data})
        outcome = batch.validate(
            self._built(item),
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": list(keys)},
        )
        return tuple(tuple(row[key] for key in keys) for row in outcome.result.get("unexpected_index_list") or ())


def judged(item: Expectation, frame: pl.DataFrame, outcome: Any) -> ExpectationResult:
    """The result of one Great Expectations outcome on `frame`.

    Great Expectations calls an empty frame or an all-null column a success; here neither proves anything and the
    expectation counts as skipped (the row count and the forbidden nulls are expectations of their own).
    """
    error = _exception(outcome.exception_info)
    if error:
        return unjudged(item, "failed", f"could not be evaluated: {error}")
    if item.columns and not frame.height:
        return unjudged(item, "skipped", "no rows")
    empty = [column for column in item.columns if frame[column].null_count() == frame.height]
    if empty:
        return unjudged(item, "skipped", f"no values in {', '.join(empty)}")
    missed: Status = "failed" if item.severity == "critical" else "warning"
    unexpected = outcome.result.get("unexpected_count")
    return ExpectationResult(
        name=item.name,
        frame=item.frame,
        kind=item.kind,
        status="passed" if outcome.success else missed,
        bound=item.bound,
        observed=_observed(item, frame, outcome.result),
        why=item.why,
        rows=frame.height,
        unexpected=unexpected,
    )


def unjudged(item: Expectation, status: Status, reason: str) -> ExpectationResult:
    """A result without a measurement: skipped, or failed because it could not be evaluated."""
    return ExpectationResult(item.name, item.frame, item.kind, status, item.bound, reason, item.why)


def complete(
    declared: Iterable[Expectation], results: Mapping[str, ExpectationResult]
) -> tuple[ExpectationResult, ...]:
    """`results` in declared order; an expectation that Great Expectations dropped is a failure of its own."""
    return tuple(
        results.get(item.name) or unjudged(item, "failed", "dropped by Great Expectations: no result came back")
        for item in declared
    )


def fields_of(result: ExpectationResult) -> dict[str, Any]:
    """Field values of a result by name."""
    return {name: getattr(result, name) for name in result.__slots__}


def _observed(item: Expectation, frame: pl.DataFrame, result: Mapping[str, Any]) -> str:
    if frame.height == 1 and item.columns:
        return ", ".join(f"{column} = {_number(frame[column][0])}" for column in item.columns)
    if "observed_value" in result:
        return str(result["observed_value"])
    bad = result.get("unexpected_count") or 0
    if not bad:
        return f"all of {frame.height:,} rows"
    examples = ", ".join(_number(value) for value in result.get("partial_unexpected_list", ())[:_EXAMPLES])
    return f"{bad:,} of {frame.height:,} rows miss it ({bad / frame.height:.2%}): {examples}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _exception(info: Mapping[str, Any] | None) -> str:
    """First line of the exception Great Expectations swallowed, or ''; it nests them by metric."""
    if not info:
        return ""
    if "raised_exception" in info:
        return str(info["exception_message"]).splitlines()[0] if info["raised_exception"] else ""
    return next((message for nested in info.values() if (message := _exception(nested))), "")
