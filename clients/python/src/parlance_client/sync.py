"""Keeps a client in step with the server: counts the updates of each conversation, fills gaps, compares digests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from .ledger import Change, Ledger
from .live import Frame, pause
from .prove import Prover
from .rest import ApiError, Rest

NEW = 200
"""What a client that meets a conversation in the middle loads of it, at least."""
PAGE = 200
KNOWN = {
    "message.seen", "conversation.read", "group.updated", "group.deleted", "member.added", "member.updated",
    "member.removed", "typing", "presence", "pong", "conversation.settings", "conversation.draft", "conversation.unread",
    "webhook.disabled",
}  # fmt: skip

Emit = Callable[..., None]


class Sync:
    def __init__(
        self,
        rest: Rest,
        emit: Emit,
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
        history: float = 0,
        known: dict[str, int] | None = None,
    ) -> None:
        self.rest = rest
        self.emit = emit
        self.spawn = spawn
        self.history = history
        self.earlier = known or {}
        self.ledgers: dict[str, Ledger] = {}
        self.prover = Prover(rest, self.fill, lambda change: self._found(change, "repair"), emit)
        self.listed = asyncio.Event()
        self._pending: dict[str, dict[int, Frame]] = {}
        self._fillings: dict[str, asyncio.Task[None]] = {}
        # By conversation, up to which number something else than a live event told this client.
        self._told: dict[str, int] = {}
        # Conversations that reported a gap, until it is filled.
        self._gaps: dict[str, int] = {}
        # Conversations of which a resumed connection has sent nothing with a digest yet: there a jump is not a loss.
        self._replaying: set[str] = set()
        self._early: list[Frame] | None = []
        self._greeted = False

    def known(self) -> dict[str, int]:
        """By conversation, the number up to which this client has everything: the `known` of a later run."""
        return {id: ledger.known for id, ledger in self.ledgers.items()}

    def frame(self, frame: Frame) -> None:
        """Takes in one frame of the live connection."""
        event = frame["event"]
        if event == "hello":
            if self._greeted:
                self._replaying = set(self.ledgers)
            else:
                self.spawn(self.read_list())
            self._greeted = True
        elif event == "reply":
            return
        elif self._early is not None:
            self._early.append(frame)
        elif event == "resync":
            ledger = self.ledgers.get(frame.get("conversation_id", ""))
            self.spawn(self.fill(ledger) if ledger else self.read_list())
        elif "conversation_id" in frame and "update" in frame:
            self._counted(frame)
        elif event not in KNOWN:
            self.emit("unknown", frame)

    async def read_list(self) -> None:
        """Reads the list of conversations, and what is new in each."""
        failures = 0
        while True:
            try:
                conversations = [one async for one in self.rest.pages("/conversations", limit=PAGE)]
                break
            except ApiError as error:
                if not error.passing:
                    return
                await asyncio.sleep(max(error.retry_after, pause(failures)))
                failures += 1
        self.emit("listed", conversations)
        filling = [self.spawn(self._compare(conversation)) for conversation in conversations]
        # The ledgers are there before the first of the frames that waited for them.
        for conversation in conversations:
            self._begin_listed(conversation)
        early, self._early = self._early or [], None
        for frame in early:
            self.frame(frame)
        await asyncio.gather(*filling)
        self.listed.set()

    def _begin_listed(self, conversation: dict[str, Any]) -> Ledger:
        id = conversation["id"]
        floor = self.earlier.get(id, int(max(0, conversation["update"] - self.history)))
        return self.ledgers.get(id) or self._begin(id, floor)

    async def _compare(self, conversation: dict[str, Any]) -> None:
        ledger, update = self._begin_listed(conversation), conversation["update"]
        if update > ledger.known:
            await self.fill(ledger)
        elif update == ledger.known and ledger.differs(conversation["digest"]):
            await self._mend(ledger)

    def _begin(self, id: str, floor: int) -> Ledger:
        self._told[id] = floor
        self.ledgers[id] = Ledger(id, floor)
        return self.ledgers[id]

    def _counted(self, frame: Frame) -> None:
        """A frame that has a number."""
        id, update = frame["conversation_id"], frame["update"]
        met = self.ledgers.get(id)
        ledger = met or self._begin(id, int(max(0, update - 1 - max(NEW, self.history))))
        replayed = id in self._replaying
        if "digest" in frame:
            self._replaying.discard(id)
        if update <= ledger.known:
            if not replayed and update > self._told[id]:
                self._fault(id, "repeat", update)
        elif update == ledger.known + 1:
            self._apply(ledger, frame)
            self._drain(ledger)
        else:
            pending = self._pending.setdefault(id, {})
            if update in pending and not replayed:
                self._fault(id, "repeat", update)
            pending[update] = frame
            if met and not replayed:
                if id not in self._gaps:
                    self._fault(id, "gap", update)
                self._gaps[id] = max(update, self._gaps.get(id, 0))
            self.spawn(self.fill(ledger))

    def _fault(self, id: str, kind: str, update: int) -> None:
        self.emit("fault", {"conversation_id": id, "kind": kind, "update": update})

    def _drain(self, ledger: Ledger) -> None:
        """Applies the frames that waited for those before them."""
        pending = self._pending.get(ledger.id, {})
        for update in sorted(pending):
            if update > ledger.known + 1:
                break
            if update == ledger.known + 1:
                self._apply(ledger, pending[update])
            del pending[update]
        if not pending:
            self._pending.pop(ledger.id, None)

    def _apply(self, ledger: Ledger, frame: Frame) -> None:
        """The next number of a conversation."""
        update, data = frame["update"], frame["data"] if isinstance(frame.get("data"), dict) else {}
        ledger.known = update
        if frame["event"] == "message.deleted" and "id" in data:
            seq = ledger.seq_of(data["id"])
            gone = {"id": data["id"], "conversation_id": ledger.id, "seq": seq, "update": update, "deleted_at": None}
            if seq is None:
                ledger.sum = None
            else:
                ledger.put(gone)
            self.emit("deleted", gone, "live")
        elif {"id", "seq", "update", "content"} <= data.keys():
            # Also what an event that this client does not know says of a message.
            ledger.put(data)
            self.emit("message", data, "live")
        else:
            # It counts as that update; the feed tells what it did, if it did anything to a message.
            self.emit("unknown", frame)
            ledger.sum = None
            self.spawn(self._look(ledger, update))
            return
        if ledger.differs(frame.get("digest")):
            self.spawn(self._mend(ledger))
        elif ledger.sum is None:
            self.spawn(self.prover.prove(ledger))

    async def _look(self, ledger: Ledger, update: int) -> None:
        try:
            page = await self.rest.get("/conversations/{}/changes", ledger.id, after=update - 1, limit=1)
        except ApiError:
            page = {"messages": []}
        for change in page["messages"]:
            if ledger.put(change):
                self._found(change, "changes")
        await self.prover.prove(ledger)

    def _found(self, change: Change, via: str) -> None:
        self.emit("deleted" if "deleted_at" in change else "message", change, via)

    async def fill(self, ledger: Ledger) -> None:
        """Reads the feed of changes until nothing is missing."""
        running = self._fillings.get(ledger.id)
        if running is None or running.done():
            running = self._fillings[ledger.id] = self.spawn(self._read_changes(ledger))
        await asyncio.shield(running)

    async def _read_changes(self, ledger: Ledger) -> None:
        failures, more = 0, True
        while more:
            before = ledger.known
            try:
                page = await self.rest.get("/conversations/{}/changes", ledger.id, after=before, limit=PAGE)
            except ApiError as error:
                if error.status == 404:
                    self._lose(ledger)
                if not error.passing:
                    return
                await asyncio.sleep(max(error.retry_after, pause(failures)))
                failures += 1
                continue
            self._take_page(ledger, page)
            more = page["more"]
            if not more and ledger.id in self._pending and failures < 20:
                # A number that no feed has yet: another node is a moment ahead of the one that answered.
                more, failures = True, failures + 1
                if ledger.known == before:
                    await asyncio.sleep(0.1)
        gap = self._gaps.pop(ledger.id, None)
        if gap is not None:
            # Not awaited: the proof may itself want the feed.
            self.spawn(self._mended(ledger, gap))

    async def _mended(self, ledger: Ledger, update: int) -> None:
        if ledger.sum is not None or await self.prover.prove(ledger):
            self.emit("repaired", {"conversation_id": ledger.id, "update": update, "numbers": []})

    def _take_page(self, ledger: Ledger, page: dict[str, Any]) -> None:
        for change in page["messages"]:
            if change["update"] <= ledger.known:
                continue
            ledger.known = change["update"]
            if ledger.put(change):
                self._found(change, "changes")
        ledger.known = max(ledger.known, page["update"])
        self._told[ledger.id] = max(page["update"], self._told.get(ledger.id, 0))
        if page["update"] == ledger.known and ledger.differs(page.get("digest")):
            self.spawn(self._mend(ledger))
        self._drain(ledger)

    def _lose(self, ledger: Ledger) -> None:
        for kept in (self.ledgers, self._pending, self._gaps):
            kept.pop(ledger.id, None)
        self.emit("lost", ledger.id)

    async def _mend(self, ledger: Ledger) -> bool:
        self.prover.fault(ledger)
        return await self.prover.prove(ledger)

    async def verify(self, id: str) -> bool:
        """Compares a conversation with the server, and repairs it if need be: whether both are the same now."""
        ledger = self.ledgers.get(id)
        if ledger is None:
            return False
        await self.fill(ledger)
        return await self.prover.prove(ledger)

    async def load(self, id: str, first: int = 1) -> bool:
        """Loads the messages of a conversation from the number `first` on, and proves them too from then on."""
        ledger = self.ledgers.get(id) or self._begin(id, first - 1)
        if first - 1 < ledger.floor:
            ledger.restart(first - 1)
        return await self.verify(id)
