"""Every error leaves as one shape: what went wrong, what to do about it, and whether asking again can help."""

from __future__ import annotations

import json
import logging
import math
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from features.errors import FantasyError

log = logging.getLogger(__name__)
RETRY_AFTER_S: Final = 2
_SHOWN: Final = 80
_NAMES: Final[dict[int, str]] = {400: "BadRequest", 404: "NotFound", 405: "MethodNotAllowed"}


class Problem(BaseModel):
    """The body of every answer that is not 2xx; `message` names field, value and fix."""

    error: str = Field(examples=["SalaryFileError"])
    message: str
    retryable: bool = Field(description="whether the same request may succeed later; then see Retry-After")
    rules: list[str] | None = Field(default=None, description="lineups only: the rules that clash")


#: What a route may answer besides its own, for the OpenAPI document.
READS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Problem, "description": "nothing is known of what was asked"},
    422: {"model": Problem, "description": "a field is wrong"},
    503: {"model": Problem, "description": "a store or the registry does not answer; see Retry-After"},
}
WRITES: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Problem, "description": "the body cannot be read"},
    413: {"model": Problem, "description": "the body is too long"},
    **READS,
}


def install(app: FastAPI) -> None:
    """Make `app` answer every error as a `Problem`."""
    app.add_exception_handler(FantasyError, _typed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _typed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, FantasyError)  # noqa: S101 - registered for this type only
    if error.http_status >= 500:
        log.warning("answer status=%s error=%s: %s", error.http_status, type(error).__name__, error)
    wait_s = math.ceil(getattr(error, "retry_after_s", RETRY_AFTER_S))
    headers = {"Retry-After": str(max(1, wait_s))} if error.retryable else {}
    rules = list(getattr(error, "rules", ()))
    name = type(error).__name__
    return _answer(error.http_status, name, str(error), retryable=error.retryable, rules=rules, headers=headers)


def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
    said = []
    for wrong in error.errors():
        field = ".".join(str(part) for part in wrong["loc"][1:]) or str(wrong["loc"][0])
        value = "" if wrong["type"] == "missing" else f" is {_shown(wrong.get('input'))}"
        said.append(f"{field}{value}: {wrong['msg']}")
    return _answer(422, "InvalidInput", f"{'; '.join(said)}. Correct the field; GET /docs lists them")


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    if isinstance(error.__cause__, FantasyError):
        # FastAPI wraps whatever is raised while a body is read.
        return _typed(request, error.__cause__)
    name = _NAMES.get(error.status_code, "HttpError")
    message = f"{request.method} {request.url.path}: {error.detail}. GET /docs lists what can be asked"
    return _answer(error.status_code, name, message, headers=dict(error.headers or {}))


def _unexpected(_request: Request, error: Exception) -> Response:
    # Starlette logs the traceback and raises it again after this answer is sent.
    return _answer(500, "InternalError", f"{type(error).__name__}; this is a defect: see the server's log")


def _answer(
    status: int,
    error: str,
    message: str,
    *,
    retryable: bool = False,
    rules: list[str] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    body: dict[str, Any] = {"error": error, "message": message, "retryable": retryable}
    if rules:
        body["rules"] = rules
    # ASCII: a message may quote half a surrogate pair, which UTF-8 cannot carry.
    return Response(json.dumps(body), status, headers, "application/json")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
