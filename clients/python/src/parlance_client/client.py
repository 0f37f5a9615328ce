"""A client: the routes, the live connection, the outbox and the proof that nothing is missing, put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

from .live import Frame, Live
from .outbox import Entry, Message, Outbox, Storage
from .rest import ApiError, Rest
from .sync import Sync

log = logging.getLogger("parlance_client")


class Client:
    """Use it as `async with Client(rest) as client`.

    `client.on(event, listener)` calls the listener at each: `message` (message, via), `deleted` (tombstone, via), `gone`,
    `listed`, `lost`, `reset`, `fault`, `repaired`, `unknown` (frame), `state`, `frame`, and `signed_out` at the end.
    """

    def __init__(
        self,
        rest: Rest,
        *,
        history: float = 0,
        known: dict[str, int] | None = None,
        cursor: str | None = None,
        storage: Storage | None = None,
    ) -> None:
        self.rest = rest
        self.sync = Sync(rest, self.emit, self._spawn, history, known)
        self.live = Live(rest, self._frame, self._state, cursor)
        self.outbox = Outbox(self._deliver, storage)
        self.ended = asyncio.Event()
        """Set when the session has ended: only a new login helps."""
        self._listeners: dict[str, list[Callable[..., None]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def on(self, event: str, listener: Callable[..., None]) -> None:
        self._listeners.setdefault(event, []).append(listener)

    def emit(self, event: str, *values: Any) -> None:
        for listener in self._listeners.get(event, []):
            try:
                listener(*values)
            except Exception:
                log.exception("a listener of %s failed", event)

    async def start(self) -> None:
        """Connects. Returns once the client has the list of conversations, and what is new in each."""
        self.outbox.start()
        self._spawn(self._run())
        ways = [asyncio.create_task(self.sync.listed.wait()), asyncio.create_task(self.ended.wait())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        if self.ended.is_set():
            raise ApiError(401, {"error": "the session has ended", "code": "unauthenticated"})

    async def stop(self) -> None:
        await self.outbox.stop()
        self.sync.prover.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Client:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def send(self, **body: Any) -> Message:
        """Sends a message, however long it takes, once: `receiver_id`, `group_id` or `broadcast=True`, and `content`."""
        return await asyncio.shield(self.outbox.add(body))

    async def verify(self, conversation: str) -> bool:
        """Compares a conversation with the server, and repairs it if need be: whether both are the same now.

        The server's operator learns of a difference.
        """
        ledger = self.sync.ledgers.get(conversation)
        if ledger and (digest := ledger.short()):
            data = {"conversation_id": conversation, "update": ledger.known, "digest": digest}
            await self.live.operate("verify", data)
        return await self.sync.verify(conversation)

    async def _run(self) -> None:
        await self.live.run()
        self.ended.set()
        self.emit("signed_out")

    def _frame(self, frame: Frame) -> None:
        self.emit("frame", frame)
        self.sync.frame(frame)

    def _state(self, state: str) -> None:
        if state == "online":
            self.outbox.nudge()
        self.emit("state", state)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a task of the client failed", exc_info=error)

    async def _deliver(self, entry: Entry) -> Message:
        body = dict(entry["body"])
        if body.pop("broadcast", False):
            headers = {"Idempotency-Key": entry["id"]}
            sent = await self.rest.post("/broadcast/send", json={"content": body.get("content", "")}, headers=headers)
            message: Message = await self.rest.get("/messages/{}", sent["id"])
        else:
            message = await self.rest.post("/messages", json=body)
        return message
