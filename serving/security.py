"""Tokens of the live hub: who may hear of which topics, until when.

A token is a JWT (HS256) with `sub`, `exp`, `league` and `topics`, a list of topic names or prefixes ending in `*`.
Everyone gets the public topics; a lineup is told of to whoever has its key, which is an HMAC of its id, so that
nothing has to be stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jwt

from features.errors import StoreUnavailable
from serving.errors import Forbidden, Unauthorized
from serving.settings import ServingSettings

PUBLIC: Final = ("game:*", "player:*", "slate:*", "job:*", "model")
TOKEN_TTL_S: Final = 3600
LINEUP_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_ALGORITHM: Final = "HS256"
_FILE: Final = "live_secret"
_LONGEST_TOPICS: Final = 600


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. `expires_s`: UNIX seconds."""

    subject: str
    league: str
    topics: tuple[str, ...]
    expires_s: float

    def allows(self, topic: str) -> bool:
        """True when the token covers `topic`."""
        return any(topic == name or (name.endswith("*") and topic.startswith(name[:-1])) for name in self.topics)


def secret(settings: ServingSettings) -> bytes:
    """What tokens are signed with: `live_secret`, or one made once and kept under `home` for its owner only.

    Raises `StoreUnavailable` when it can be neither read nor written.
    """
    if settings.live_secret is not None:
        return settings.live_secret.encode()
    path = settings.home.resolve() / _FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        return path.read_bytes()
    except OSError as error:
        raise StoreUnavailable(
            f"{path}: {error.strerror}; make the folder writable, or set FANTASY_LIVE_SECRET"
        ) from error


def issue(
    settings: ServingSettings,
    *,
    league: str,
    topics: Sequence[str] = PUBLIC,
    ttl_s: float = TOKEN_TTL_S,
    subject: str | None = None,
    now_s: float | None = None,
) -> str:
    """A token for `topics` of `league`, valid for `ttl_s` seconds from `now_s` (UNIX; now if absent)."""
    now = time.time() if now_s is None else now_s
    payload = {
        "sub": subject or secrets.token_hex(8), "exp": now + ttl_s, "league": league, "topics": list(topics)
    }  # fmt: skip
    return jwt.encode(payload, secret(settings), algorithm=_ALGORITHM)


def verify(key: bytes, token: str) -> Claims:
    """What `token` says; `key` as `secret` gives it. Raises `Unauthorized` when it is forged, expired or no token."""
    try:
        payload = jwt.decode(
            token, key, algorithms=[_ALGORITHM], options={"require": ["exp", "sub", "league", "topics"]}
        )
    except jwt.ExpiredSignatureError as error:
        raise Unauthorized("token: it has expired; get a new one from POST /v1/live/token") from error
    except jwt.InvalidTokenError as error:
        raise Unauthorized(f"token: {error}; get one from POST /v1/live/token") from error
    topics, league = payload["topics"], payload["league"]
    if (
        not isinstance(league, str)
        or not isinstance(topics, list)
        or len(topics) > _LONGEST_TOPICS
        or not all(isinstance(name, str) for name in topics)
    ):
        raise Unauthorized(
            "token: league must be a text and topics a list of texts; get one from POST /v1/live/token"
        )
    return Claims(str(payload["sub"]), league, tuple(topics), float(payload["exp"]))


def lineup_key(settings: ServingSettings, lineup_id: str) -> str:
    """The key that lets its holder hear of `lineup:{lineup_id}`."""
    digest = hmac.new(secret(settings), b"lineup:" + lineup_id.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:18]).decode()


def lineup_topic(settings: ServingSettings, lineup_id: str, key: str) -> str:
    """The topic of a lineup, for who has its key. Raises `Forbidden` when `key` is not it."""
    right = LINEUP_ID.match(lineup_id) is not None and hmac.compare_digest(
        lineup_key(settings, lineup_id).encode(), key.encode()
    )
    if not right:
        raise Forbidden(
            f"lineups: the key given for {lineup_id[:64]!r} is not its key; POST /v1/live/lineups hands it out"
        )
    return f"lineup:{lineup_id}"


def _make(path: Path) -> None:
    """Write a new secret; when several processes do so at once, the first one's stands."""
    beside = path.with_name(f"{_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_hex(32).encode())
    try:
        os.link(beside, path)
    except FileExistsError:
        return  # another process was first
    finally:
        beside.unlink()
