"""What a client knows of one conversation's digest: a hash a message, and their sum. It keeps no texts."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any

MODULUS = 1 << 256
NOTHING = hashlib.sha256(b"").digest()

Change = dict[str, Any]
"""A message, or a tombstone of one."""


@dataclass(frozen=True)
class Kept:
    seq: int
    update: int
    leaf: int


def leaf_of(change: Change) -> int:
    """What one message, or a tombstone, adds to the digest of its conversation."""
    deleted = "deleted_at" in change
    content = NOTHING if deleted else hashlib.sha256(change["content"].encode()).digest()
    head = uuid.UUID(change["id"]).bytes + change["seq"].to_bytes(8, "big") + change["update"].to_bytes(8, "big")
    return int.from_bytes(hashlib.sha256(head + bytes([0 if deleted else 1]) + content).digest(), "big")


class Ledger:
    """The ledger of one conversation.

    It holds every message with a `seq` above `floor`, as of the update `known`, and those below that it saw change.
    `sum` is the digest of the whole conversation, or None while the ledger cannot know it: a message below the floor
    changed whose earlier state it never saw.
    """

    def __init__(self, id: str, floor: int) -> None:
        self.id = id
        self.kept: dict[str, Kept] = {}
        self.restart(floor)

    def restart(self, update: int) -> None:
        """Forgets everything up to `update`, and begins there."""
        self.kept.clear()
        self.floor = self.known = update
        self.sum: int | None = 0 if update == 0 else None

    def put(self, change: Change) -> bool:
        """Takes in a message as it is. False if the ledger has that state, or a later one, already."""
        old = self.kept.get(change["id"])
        if old and old.update >= change["update"]:
            return False
        self.set(change)
        return True

    def set(self, change: Change) -> bool:
        """Takes in a message as it is, whatever the ledger had. False if that changes nothing."""
        old, leaf = self.kept.get(change["id"]), leaf_of(change)
        if old and old.leaf == leaf:
            return False
        if old is None and change["seq"] <= self.floor:
            self.sum = None
        if self.sum is not None:
            self.sum = (self.sum + leaf - (old.leaf if old else 0)) % MODULUS
        self.kept[change["id"]] = Kept(change["seq"], change["update"], leaf)
        return True

    def remove(self, id: str) -> None:
        old = self.kept.pop(id, None)
        if old and self.sum is not None:
            self.sum = (self.sum - old.leaf) % MODULUS

    def seq_of(self, id: str) -> int | None:
        kept = self.kept.get(id)
        return kept.seq if kept else None

    def ids_in(self, first: int, last: int) -> list[str]:
        """The ids that the ledger has in a range of numbers."""
        return [id for id, kept in self.kept.items() if first <= kept.seq <= last]

    def newest_below(self, most: int) -> list[int]:
        """The numbers below the floor whose messages changed last."""
        below = sorted((k for k in self.kept.values() if k.seq <= self.floor), key=lambda k: -k.update)
        return [kept.seq for kept in below[:most]]

    def part(self, first: int, last: int) -> int:
        """The digest of a range of numbers above the floor."""
        return sum(kept.leaf for kept in self.kept.values() if first <= kept.seq <= last) % MODULUS

    def short(self) -> str | None:
        """The first 16 digits of the sum, as the server sends them; None if the ledger cannot know them."""
        return None if self.sum is None else f"{self.sum:064x}"[:16]

    def differs(self, short: str | None) -> bool:
        """Whether the server's 16 digits differ; what the ledger cannot know does not differ."""
        own = self.short()
        return short is not None and own is not None and own != short
