"""Messages on their way to the server.

Each has a `client_id`, under which the server stores it once however often the client sends it. So the outbox sends
every entry again until it gets an answer; those of one conversation one after the other.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from .live import pause
from .rest import ApiError

Entry = dict[str, Any]
Message = dict[str, Any]


class Storage(Protocol):
    def load(self) -> list[Entry]: ...
    def put(self, entry: Entry) -> None: ...
    def remove(self, id: str) -> None: ...


class MemoryStorage:
    """Entries that end with the program."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def load(self) -> list[Entry]:
        return list(self.entries.values())

    def put(self, entry: Entry) -> None:
        self.entries[entry["id"]] = entry

    def remove(self, id: str) -> None:
        self.entries.pop(id, None)


class DirectoryStorage:
    """Entries in a directory, one file each, for one program at a time."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)

    def _file(self, id: str) -> Path:
        # A `client_id` may be any text.
        return self.path / f"{uuid.uuid5(uuid.NAMESPACE_OID, id)}.json"

    def load(self) -> list[Entry]:
        return [json.loads(file.read_text("utf-8")) for file in self.path.glob("*.json")]

    def put(self, entry: Entry) -> None:
        file = self._file(entry["id"])
        fresh = file.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as out:
            json.dump(entry, out)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)

    def remove(self, id: str) -> None:
        self._file(id).unlink(missing_ok=True)


class Outbox:
    def __init__(self, deliver: Callable[[Entry], Awaitable[Message]], storage: Storage | None = None) -> None:
        self.deliver = deliver
        self.storage = storage or MemoryStorage()
        self.entries: dict[str, Entry] = {}
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._last = 0

    def start(self) -> None:
        """Sends what an earlier run left."""
        for entry in self.storage.load():
            self.entries[entry["id"]] = entry
        for lane in {entry["lane"] for entry in self.entries.values()}:
            self._next(lane)

    async def stop(self) -> None:
        for task in list(self._lanes.values()):
            task.cancel()
        await asyncio.gather(*self._lanes.values(), return_exceptions=True)

    def add(self, body: dict[str, Any]) -> asyncio.Future[Message]:
        """Takes in a message; it is kept when this returns. The future has what the server stored."""
        id = body.get("client_id") or str(uuid.uuid4())
        lane = body.get("group_id") or body.get("receiver_id") or "broadcast"
        self._last = max(self._last + 1, time.time_ns())
        entry = {"id": id, "order": self._last, "lane": lane, "body": {**body, "client_id": id}}
        self.storage.put(entry)
        self.entries[id] = entry
        sent: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        sent.add_done_callback(lambda done: done.cancelled() or done.exception())  # Not everybody waits for it.
        self._waiting[id] = sent
        self._next(lane)
        return sent

    def pending(self) -> list[Entry]:
        """What is on its way, in order."""
        return sorted(self.entries.values(), key=lambda entry: entry["order"])

    def again(self, id: str) -> None:
        """Tries a refused entry again."""
        entry = self.entries.get(id)
        if entry and entry.pop("failed", None):
            self.storage.put(entry)
            self._next(entry["lane"])

    def discard(self, id: str) -> None:
        """Drops a refused entry."""
        if "failed" in self.entries.get(id, {}):
            self._drop(id)

    def nudge(self) -> None:
        """Sends at once what waits for a retry, for when the connection is back."""
        for wake in self._wakes.values():
            wake.set()

    def _drop(self, id: str) -> None:
        self.entries.pop(id, None)
        self.storage.remove(id)

    def _next(self, lane: str) -> None:
        if lane not in self._lanes:
            self._lanes[lane] = asyncio.create_task(self._run(lane))

    async def _run(self, lane: str) -> None:
        try:
            while entry := next((e for e in self.pending() if e["lane"] == lane and "failed" not in e), None):
                await self._send(entry)
        finally:
            del self._lanes[lane]

    async def _send(self, entry: Entry) -> None:
        failures = 0
        while True:
            try:
                message = await self.deliver(entry)
            except ApiError as error:
                if not error.passing and error.status != 401:
                    entry["failed"] = {"error": str(error), "code": error.code}
                    self.storage.put(entry)
                    if (sent := self._waiting.pop(entry["id"], None)) and not sent.done():
                        sent.set_exception(error)
                    return
                await self._rest(entry["lane"], max(error.retry_after, pause(failures)))
                failures += 1
                continue
            self._drop(entry["id"])
            if (sent := self._waiting.pop(entry["id"], None)) and not sent.done():
                sent.set_result(message)
            return

    async def _rest(self, lane: str, seconds: float) -> None:
        wake = self._wakes[lane] = asyncio.Event()
        try:
            await asyncio.wait_for(wake.wait(), seconds)
        except asyncio.TimeoutError:
            pass
        finally:
            self._wakes.pop(lane, None)
