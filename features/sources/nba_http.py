"""Requests to NBA.com through the library nba_api: paced, retried, and answered or refused with a typed error.

nba_api names the endpoints, their parameters and headers, and takes their answers apart; this module gives it a
session of its own, so base addresses, time limits, pacing and retries are ours (and a test can replay answers).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests
from tenacity import RetryCallState, Retrying, before_sleep_log, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from features.errors import SourceUnavailable

log = logging.getLogger(__name__)

STATS_URL: Final = "https://stats.nba.com/stats"
LIVE_URL: Final = "https://cdn.nba.com/static/json/liveData"
#: stats.nba.com stops answering addresses that ask faster than about this.
INTERVAL_S: Final = 0.6
TIMEOUT_S: Final = 30.0
ATTEMPTS: Final = 5
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
_NOT_MODIFIED: Final = 304
_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class NotPublished(SourceUnavailable):
    """The vendor answers, but has nothing (yet) under this address."""


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """A live document with its ETag; `payload` is None when the vendor says that it did not change."""

    payload: Mapping[str, Any] | None
    etag: str | None


class _Transient(Exception):
    """A failure that asking again may cure."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class NbaClient:
    """Client of stats.nba.com and of the live feed on cdn.nba.com.

    `session` is any `requests.Session`; `sleep` and `monotonic` are the clock of pacing and retries. Refusals are
    `NotPublished` (no such document) or `SourceUnavailable` (everything else, once `attempts` are used up).
    """

    def __init__(
        self,
        *,
        stats_url: str = STATS_URL,
        live_url: str = LIVE_URL,
        session: requests.Session | None = None,
        timeout_s: float = TIMEOUT_S,
        interval_s: float = INTERVAL_S,
        attempts: int = ATTEMPTS,
        first_wait_s: float = FIRST_WAIT_S,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stats_url = stats_url.rstrip("/")
        self._live_url = live_url.rstrip("/")
        self._session = session or requests.Session()
        self._timeout_s = timeout_s
        self._interval_s = interval_s
        self._attempts = attempts
        self._backoff = wait_exponential_jitter(multiplier=first_wait_s, max=LONGEST_WAIT_S, jitter=first_wait_s)
        self._sleep = sleep
        self._monotonic = monotonic
        self._free_at = 0.0

    def stats(self, endpoint: Any, data_set: str) -> list[dict[str, Any]]:
        """Rows of one data set of an nba_api stats endpoint built with `get_request=False`."""
        from nba_api.stats.library.http import NBAStatsHTTP

        answer = self._send(
            NBAStatsHTTP, f"{self._stats_url}/{{endpoint}}", endpoint.endpoint, endpoint.parameters
        )
        what = f"{answer.get_url()} ({endpoint.endpoint})"
        try:
            endpoint.nba_response = answer
            endpoint.load_response()
            table = getattr(endpoint, data_set).get_dict()
            return [dict(zip(table["headers"], row, strict=True)) for row in table["data"]]
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise SourceUnavailable(f"{what} answered in an unknown shape ({error!r}); try again later") from error

    def live(self, path: str, etag: str | None = None) -> LiveAnswer:
        """A JSON document of the live feed, e.g. `playbyplay/playbyplay_0022400061.json`."""
        from nba_api.live.nba.library.http import NBALiveHTTP

        headers = {} if etag is None else {"If-None-Match": etag}
        answer = self._send(NBALiveHTTP, f"{self._live_url}/{{endpoint}}", path, {}, headers)
        if self._last.status_code == _NOT_MODIFIED:
            return LiveAnswer(None, etag)
        try:
            payload = json.loads(answer.get_response())
        except ValueError as error:
            raise SourceUnavailable(f"{answer.get_url()} is not JSON ({error}); try again later") from error
        if not isinstance(payload, dict):
            raise SourceUnavailable(f"{answer.get_url()} is not a JSON object; try again later")
        return LiveAnswer(payload, self._last.headers.get("ETag"))

    def get(self, url: str, **options: Any) -> requests.Response:
        """What nba_api calls on its session: one paced GET, asked again after transient failures."""
        retrying = Retrying(
            retry=retry_if_exception_type(_Transient),
            stop=stop_after_attempt(self._attempts),
            wait=self._wait,
            sleep=self._sleep,
            before_sleep=before_sleep_log(log, logging.WARNING),
            reraise=True,
        )
        try:
            self._last: requests.Response = retrying(self._get_once, url, options)
        except _Transient as error:
            raise SourceUnavailable(
                f"{url} did not answer in {self._attempts} attempts ({error}); check the network and try again"
            ) from error
        return self._last

    def _send(
        self,
        http: Any,
        base_url: str,
        endpoint: str,
        parameters: Mapping[str, Any],
        extra_headers: Mapping[str, str] | None = None,
    ) -> Any:
        # A subclass per call: nba_api keeps address and session on the class, and ours must not leak into it.
        bound = type(http.__name__, (http,), {"base_url": base_url, "_session": self})
        headers = {**http.headers, "Accept-Encoding": "gzip, deflate", **(extra_headers or {})}
        return bound().send_api_request(
            endpoint=endpoint, parameters=parameters, headers=headers, timeout=self._timeout_s
        )

    def _get_once(self, url: str, options: Mapping[str, Any]) -> requests.Response:
        wait_s = self._free_at - self._monotonic()
        if wait_s > 0:
            self._sleep(wait_s)
        self._free_at = self._monotonic() + self._interval_s
        try:
            response = self._session.get(url, **options)
        except requests.RequestException as error:
            raise _Transient(str(error)) from error
        if response.status_code in _TRANSIENT:
            raise _Transient(f"HTTP {response.status_code}", _retry_after_s(response))
        missing = (404,) if url.startswith(self._stats_url) else (403, 404)  # the CDN says 403 for "no such file"
        if response.status_code in missing:
            raise NotPublished(
                f"HTTP {response.status_code} from {response.url}: nothing is published there (yet)"
            )
        if response.status_code not in (200, _NOT_MODIFIED):
            raise SourceUnavailable(
                f"HTTP {response.status_code} from {response.url}: the vendor refuses; try later"
            )
        return response

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked_s = error.retry_after_s if isinstance(error, _Transient) else 0.0
        return max(self._backoff(state), min(asked_s, LONGEST_WAIT_S))


def _retry_after_s(response: requests.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0
