"""Proves that a ledger has what the server has, and repairs it where it has not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from .ledger import MODULUS, Change, Ledger
from .rest import ApiError, Rest

LONGEST = 100_000
"""The longest part whose digest the server computes."""
MANY = 32
"""If more parts than this differ, the client reads them again instead of halving them further."""
ROUNDS = 12
BELOW = 50
"""How many messages below the floor, those that changed last, a repair looks at."""


class Part(NamedTuple):
    first: int
    last: int
    digest: int


class Prover:
    def __init__(
        self,
        rest: Rest,
        fill: Callable[[Ledger], Awaitable[None]],
        found: Callable[[Change], None],
        emit: Callable[..., None],
    ) -> None:
        self.rest = rest
        self.fill = fill
        self.found = found
        self.emit = emit
        self._faults: set[str] = set()
        self._running: dict[str, asyncio.Task[bool]] = {}

    def fault(self, ledger: Ledger) -> None:
        """Says that a conversation's digest differs, once until it is repaired."""
        if ledger.id not in self._faults:
            self._faults.add(ledger.id)
            self.emit("fault", {"conversation_id": ledger.id, "kind": "digest", "update": ledger.known})

    async def prove(self, ledger: Ledger) -> bool:
        """Whether the ledger has what the server has, after repairing it if need be."""
        running = self._running.get(ledger.id)
        if running is None or running.done():
            running = self._running[ledger.id] = asyncio.create_task(self._rounds(ledger))
        try:
            return await asyncio.shield(running)
        except ApiError:
            return False  # Out of reach, or not to be read any more: the next event asks again.

    def stop(self) -> None:
        for task in self._running.values():
            task.cancel()

    async def _rounds(self, ledger: Ledger) -> bool:
        numbers: set[int] = set()
        tried = False
        for _ in range(ROUNDS):
            before = ledger.known
            whole = await self._digest(ledger)
            if whole["update"] > ledger.known:
                await self.fill(ledger)
            elif whole["update"] < ledger.known:
                if ledger.known == before:
                    # The server has less than the client saw: somebody restored an earlier state.
                    ledger.restart(whole["update"])
                    self.emit("reset", ledger.id)
            elif await self._same(ledger, whole):
                ledger.sum = int(whole["digest"], 16)
                if ledger.id in self._faults or numbers:
                    self._faults.discard(ledger.id)
                    self._repaired(ledger, numbers)
                return True
            elif ledger.known == whole["update"]:
                tried = True
                self.fault(ledger)
                numbers |= await self._repair(ledger)
        if tried:
            self.emit("fault", {"conversation_id": ledger.id, "kind": "unproven", "update": ledger.known})
        # Without a try there were only changes faster than answers: the next event asks again.
        return False

    def _repaired(self, ledger: Ledger, numbers: set[int]) -> None:
        self.emit("repaired", {"conversation_id": ledger.id, "update": ledger.known, "numbers": sorted(numbers)})

    async def _same(self, ledger: Ledger, whole: dict[str, Any]) -> bool:
        """Whether what the ledger has is the server's, at the update of `whole`."""
        if ledger.floor == 0:
            return ledger.part(1, ledger.known) == int(whole["digest"], 16)
        for part in await self._slices(ledger):
            if differs(ledger, part):
                return False
        if ledger.known != whole["update"]:
            return False
        # Of what lies below the floor the ledger knows the sum alone, and those messages that it saw change.
        below = ledger.sum is None or ledger.sum == int(whole["digest"], 16)
        if not below:
            ledger.sum = None
        return below

    async def _slices(self, ledger: Ledger) -> list[Part]:
        """All that lies above the floor, in parts whose digest the server computes."""
        starts = range(ledger.floor + 1, ledger.known + 1, LONGEST)
        return [await self._part(ledger, first, min(ledger.known, first + LONGEST - 1)) for first in starts]

    async def _digest(self, ledger: Ledger, **query: int) -> dict[str, Any]:
        answer: dict[str, Any] = await self.rest.get("/conversations/{}/digest", ledger.id, **query)
        return answer

    async def _part(self, ledger: Ledger, first: int, last: int) -> Part:
        answer = await self._digest(ledger, **{"from": first, "to": last})
        return Part(first, last, int(answer["digest"], 16))

    async def _repair(self, ledger: Ledger) -> set[int]:
        """Finds what differs, and reads it again.

        Changes that happen meanwhile can at worst make it read a message too many, or leave one to the next round.
        """
        parts = await self._slices(ledger)
        parts += [await self._part(ledger, number, number) for number in ledger.newest_below(BELOW)]
        differing = [part for part in parts if differs(ledger, part)]
        while len(differing) <= MANY and any(part.first < part.last for part in differing):
            differing = [
                half for part in differing for half in await self._halves(ledger, part) if differs(ledger, half)
            ]
        return {number for part in differing for number in await self._reread(ledger, part.first, part.last)}

    async def _halves(self, ledger: Ledger, part: Part) -> list[Part]:
        if part.first == part.last:
            return [part]
        middle = (part.first + part.last) // 2
        left = await self._part(ledger, part.first, middle)
        return [left, Part(middle + 1, part.last, (part.digest - left.digest) % MODULUS)]

    async def _reread(self, ledger: Ledger, first: int, last: int) -> set[int]:
        """Takes a part as the server has it. The numbers that changed."""
        answer = await self._digest(ledger, **{"from": first, "to": last})
        digest, before, changed = int(answer["digest"], 16), set(ledger.ids_in(first, last)), set[int]()

        def take(change: Change) -> None:
            before.discard(change["id"])
            if ledger.set(change):
                changed.add(change["seq"])
                self.found(change)

        if first == last and answer["messages"] == 1:
            await self._read_one(ledger, first, take)
        left = 0 if ledger.part(first, last) == digest else answer["messages"]
        after, more = first - 1, True
        while more and left > 0:
            page = await self.rest.get("/conversations/{}/changes", ledger.id, after=after, limit=200)
            for change in page["messages"]:
                if first <= change["seq"] <= last:
                    left -= 1
                    take(change)
            after, more = page["update"], page["more"]
        if ledger.part(first, last) != digest:
            for id in before:
                changed.add(ledger.seq_of(id) or 0)
                ledger.remove(id)
                self.emit("gone", {"conversation_id": ledger.id, "id": id})
        return changed

    async def _read_one(self, ledger: Ledger, number: int, take: Callable[[Change], None]) -> None:
        """Reads a message that is here, in a wrong state: the feed may have it far from its number."""
        for id in ledger.ids_in(number, number)[:1]:
            try:
                message = await self.rest.get("/messages/{}", id)
            except ApiError as error:
                if error.status != 404:
                    raise
            else:
                if message["seq"] == number:
                    take(message)


def differs(ledger: Ledger, part: Part) -> bool:
    return ledger.part(part.first, part.last) != part.digest
