"""Tokens and keys of the live hub."""

from __future__ import annotations

import threading
from pathlib import Path

import jwt
import pytest

from features.errors import StoreUnavailable
from serving import security
from serving.errors import Forbidden, Unauthorized
from serving.settings import ServingSettings

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def chosen(tmp_path: Path) -> ServingSettings:
    """Settings with a given secret."""
    return ServingSettings(home=tmp_path, live_secret=SECRET)


def test_a_token_says_what_was_issued(chosen: ServingSettings) -> None:
    token = security.issue(chosen, league="nba", topics=["game:*", "lineup:abc"], ttl_s=60, subject="me")
    claims = security.verify(security.secret(chosen), token)
    assert (claims.subject, claims.league) == ("me", "nba")
    assert claims.allows("game:1") and claims.allows("lineup:abc")
    assert not claims.allows("lineup:abcd") and not claims.allows("player:1")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"exp": 1}, "expired"),
        ({"league": 5}, "league"),
        ({"topics": "game:*"}, "topics"),
        ({"topics": [1]}, "topics"),
    ],
)
def test_wrong_claims_are_refused(chosen: ServingSettings, change: dict[str, object], why: str) -> None:
    payload = {"sub": "a", "exp": 9e9, "league": "nba", "topics": ["game:*"], **change}
    with pytest.raises(Unauthorized, match=why):
        security.verify(security.secret(chosen), jwt.encode(payload, SECRET))


@pytest.mark.parametrize("absent", ["sub", "exp", "league", "topics"])
def test_every_claim_is_needed(chosen: ServingSettings, absent: str) -> None:
    payload = {"sub": "a", "exp": 9e9, "league": "nba", "topics": ["game:*"]}
    del payload[absent]
    with pytest.raises(Unauthorized, match=absent):
        security.verify(security.secret(chosen), jwt.encode(payload, SECRET))


def test_forged_tokens_are_refused(chosen: ServingSettings) -> None:
    payload = {"sub": "a", "exp": 9e9, "league": "nba", "topics": ["*"]}
    for token in (jwt.encode(payload, SECRET + "x"), jwt.encode(payload, "", algorithm="none"), "a.b.c", ""):
        with pytest.raises(Unauthorized):
            security.verify(security.secret(chosen), token)


def test_the_secret_is_made_once_by_many_and_is_its_owners_only(tmp_path: Path) -> None:
    chosen = ServingSettings(home=tmp_path / "home", live_secret=None)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(security.secret(chosen))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and len(found) == 16
    (file,) = (tmp_path / "home").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(found[0]) >= 32


def test_a_home_that_is_a_file_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="FANTASY_LIVE_SECRET"):
        security.secret(ServingSettings(home=tmp_path / "file", live_secret=None))


def test_only_the_key_of_a_lineup_opens_it(chosen: ServingSettings) -> None:
    key = security.lineup_key(chosen, "abc")
    assert security.lineup_topic(chosen, "abc", key) == "lineup:abc"
    for lineup, given in (
        ("abd", key),
        ("abc", key[:-1]),
        ("abc", ""),
        ("abc", "ключ"),
        ("*", security.lineup_key(chosen, "*")),
    ):
        with pytest.raises(Forbidden):
            security.lineup_topic(chosen, lineup, given)
