"""The live connection: one WebSocket, resumed where it was cut, tried again with growing and random pauses."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from .rest import ApiError, Rest

LONGEST_PAUSE = 30.0
PATIENCE = 10.0
"""How long an answer to a ping may take."""
SIGNED_OUT = 4401

Frame = dict[str, Any]


def pause(failures: int) -> float:
    """How long to wait before the next try: doubled each time, anywhere between half of it and all of it."""
    most: float = min(LONGEST_PAUSE, 0.5 * 2.0 ** min(failures, 10))
    return most / 2 + random.random() * most / 2


class Live:
    def __init__(
        self, rest: Rest, on_frame: Callable[[Frame], None], on_state: Callable[[str], None], cursor: str | None = None
    ) -> None:
        self.rest = rest
        self.on_frame = on_frame
        self.on_state = on_state
        self.cursor = cursor
        self.socket: ClientConnection | None = None
        self._wake = asyncio.Event()
        self._replies: dict[str, asyncio.Future[Frame | None]] = {}
        self._refs = itertools.count(1)

    async def run(self) -> None:
        """Stays connected. Returns when the session has ended."""
        failures = 0
        while True:
            token, code, reason, greeted = "", 1006, "", False
            try:
                token = await self.rest.token() or ""
                code, reason, greeted = await self._connection(token)
                if code == SIGNED_OUT:
                    await self.rest.renew(token)
            except ApiError as error:
                if error.status == 401:
                    return
            failures = 0 if greeted else failures + 1
            self.on_state("connecting")
            hint = re.fullmatch(r"retry=(\d+)", reason)
            wait = 0.0 if code == SIGNED_OUT and greeted else int(hint[1]) / 1000 if hint else pause(failures)
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), wait)
            except asyncio.TimeoutError:
                pass

    def nudge(self) -> None:
        """Reconnects at once, for when the network is back."""
        self._wake.set()

    async def cut(self) -> None:
        """Cuts the connection; it comes back by itself, and resumes."""
        if self.socket:
            await self.socket.close()

    async def operate(self, op: str, data: dict[str, Any]) -> Frame | None:
        """Sends an operation: the reply, or None if there is no connection to carry one."""
        if not self.socket:
            return None
        ref = str(next(self._refs))
        reply: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
        self._replies[ref] = reply
        try:
            await self.socket.send(json.dumps({"op": op, "ref": ref, "data": data}))
            return await reply
        except ConnectionClosed:
            return None
        finally:
            self._replies.pop(ref, None)

    async def _connection(self, token: str) -> tuple[int, str, bool]:
        """One connection, to its end: the code and the reason of the close, and whether it was greeted."""
        since = f"?since={quote(self.cursor, safe='')}" if self.cursor else ""
        url = re.sub("^http", "ws", self.rest.url) + "/ws" + since
        greeted = False
        try:
            # The library pings by itself, and ends a connection that does not answer.
            async with connect(
                url,
                additional_headers={"Authorization": f"Bearer {token}"},
                subprotocols=["parlance.v1"],  # type: ignore[list-item]
                ping_interval=25,
                ping_timeout=PATIENCE,
                max_size=None,
            ) as socket:
                self.socket = socket
                async for text in socket:
                    frame: Frame = json.loads(text)
                    if frame["event"] == "hello":
                        greeted = True
                        self.on_state("online")
                    self._take(frame)
                return socket.close_code or 1006, socket.close_reason or "", greeted
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason, greeted) if closed.rcvd else (1006, "", greeted)
        except InvalidStatus as refused:
            return SIGNED_OUT if refused.response.status_code == 401 else 1006, "", False
        except (OSError, EOFError, InvalidHandshake, TimeoutError, asyncio.TimeoutError):
            return 1006, "", False
        finally:
            self.socket = None
            for reply in self._replies.values():
                if not reply.done():
                    reply.set_result(None)

    def _take(self, frame: Frame) -> None:
        if frame["event"] == "reply" and (reply := self._replies.get(str(frame.get("ref")))) and not reply.done():
            reply.set_result(frame)
        self.on_frame(frame)
        # Only after handling the frame: if a fault here loses it, the server sends it again after the next connection.
        self.cursor = frame.get("cursor", self.cursor)
