"""What happens around every request: bounds on the body, before it is parsed, and the measure of time and status."""

from __future__ import annotations

import asyncio
import time

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.metrics import REQUESTS

MAX_BODY = 8 * 1024 * 1024
"""Bytes of a request's body: a thousand events with all their ids at full length, each character escaped."""
TOO_LARGE = f"the body has more than {MAX_BODY:,} bytes; send less at a time, such as events in several requests."

LEAST_RATE = 16 * 1024
"""Bytes a second: whoever sends a body that fast has time to its end."""
TOO_SLOW = "the body did not come to its end in time; send it again."


class Guard:
    """An ASGI layer that refuses large and slow bodies and counts each request under its route's template."""

    def __init__(self, app: ASGIApp, body_seconds: float) -> None:
        """
        Args:
            body_seconds: so long a body may take, besides a second for each `LEAST_RATE` bytes that came.
        """
        self.app, self.body_seconds = app, body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500
        room, is_whole = MAX_BODY, False
        end = asyncio.get_running_loop().time() + self.body_seconds

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        async def watched_receive() -> Message:
            nonlocal room, is_whole
            if is_whole:  # what is waited for now is that the client leaves
                return await receive()
            try:
                async with asyncio.timeout_at(end + (MAX_BODY - room) / LEAST_RATE):
                    message = await receive()
            except TimeoutError:
                # The rest may still come: it must not be taken for the next request.
                raise HTTPException(408, TOO_SLOW, headers={"Connection": "close"}) from None
            if message["type"] == "http.request":
                room -= len(message.get("body", b""))
                is_whole = not message.get("more_body", False)
                if room < 0:
                    raise HTTPException(413, TOO_LARGE)
            return message

        try:
            if _announced(scope) > MAX_BODY:
                await JSONResponse({"detail": TOO_LARGE}, 413)(scope, receive, watched_send)
            else:
                await self.app(scope, watched_receive, watched_send)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            REQUESTS.labels(scope["method"] if route != "none" else "any", route, status).observe(
                time.perf_counter() - began
            )


def _announced(scope: Scope) -> int:
    """What the client says that the length is; the server has refused what is no number."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return 0
