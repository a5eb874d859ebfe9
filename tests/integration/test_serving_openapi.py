"""Schemathesis asks what nobody would: whatever the document allows or forbids, nothing may end in a 5xx."""

from __future__ import annotations

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES = 12
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_nothing_the_document_describes_breaks_the_server(api: httpx.Client, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{api.base_url}/openapi.json")
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: schemathesis.Case) -> None:
            nonlocal asked
            reply = case.call(base_url=str(api.base_url))
            asked += 1
            # Nothing is deployed here, so heavy work is refused, which is right and documented.
            refused = (
                case.operation.path == "/v1/ask"
                and reply.status_code == 503
                and reply.json()["error"] == "NotDeployed"
            )
            case.validate_response(reply, checks=CHECKS[1:] if refused else CHECKS)

        if mode is GenerationMode.POSITIVE or operation.body or operation.query or operation.path_parameters:
            ask()
    assert asked > 20
