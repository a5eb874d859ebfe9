"""Refuses bodies that are too long while they arrive, before anything is parsed or spooled."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import UploadTooLarge

#: A client that is still sending cannot read the answer, so this many limits' worth is read and dropped first.
DRAINED: Final = 10


class BodyLimit:
    """ASGI middleware; `read` beyond `limit_bytes` raises `UploadTooLarge` inside the application."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received <= self._limit:
                return message
            while message.get("more_body") and received <= DRAINED * self._limit:
                message = await receive()
                received += len(message.get("body", b""))
            raise UploadTooLarge(
                f"the request's body is longer than {self._limit:,} bytes; a salary file is under 1 MB: "
                "send the file as the site gave it (FANTASY_UPLOAD_LIMIT_BYTES)"
            )

        await self._app(scope, counted, send)
