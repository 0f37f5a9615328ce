"""Runs the scenarios with the Python client, and says `ok NAME` of each.

Arguments: the URLs of the server, of the proxy, and of the proxy's control.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import httpx
from parlance_client import ApiError, Client, Rest, leaf_of

SERVER, PROXY, CONTROL = sys.argv[1:4]
PATIENCE = 20
PASSWORD = "correct horse battery"


async def fault(name: str) -> None:
    async with httpx.AsyncClient() as http:
        (await http.post(f"{CONTROL}/{name}")).raise_for_status()


async def person(name: str, url: str = SERVER) -> tuple[dict[str, Any], Rest]:
    username = f"{name}_{secrets.token_hex(4)}"
    nobody = Rest(SERVER)
    signed_up = await nobody.post("/signup", json={"username": username, "password": PASSWORD})
    await nobody.close()
    return signed_up["user"], await Rest.log_in(url, username, PASSWORD)


async def refused(status: int, work: Any) -> ApiError:
    try:
        await work
    except ApiError as error:
        assert error.status == status, error
        return error
    raise AssertionError(f"not refused with {status}")


class World:
    """Ada watches through the proxy, by one client; Bob acts on the server itself."""

    async def __aenter__(self) -> World:
        (self.ada, self.rest), (self.bob, self.bobs) = await person("ada", PROXY), await person("bob")
        self.client = Client(self.rest, history=float("inf"))
        self.texts: list[str] = []
        self.deleted: list[str] = []
        self.faults: list[str] = []
        self.repaired: list[dict[str, Any]] = []
        self.unknown: list[str] = []
        self.latest: dict[str, dict[str, Any]] = {}
        self.happened = asyncio.Event()
        for event, listener in {
            "message": self.on_message,
            "deleted": self.on_deleted,
            "fault": lambda fault: self.faults.append(fault["kind"]),
            "repaired": self.repaired.append,
            "unknown": lambda frame: self.unknown.append(frame["event"]),
        }.items():
            self.client.on(event, listener)
        for event in ("message", "deleted", "fault", "repaired", "unknown", "frame", "state"):
            self.client.on(event, lambda *_: self.happened.set())
        await self.client.start()
        self.id = (await self.say("first"))["conversation_id"]
        await self.until("the first message", lambda: "first" in self.texts)
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.client.stop()
        await self.rest.close()
        await self.bobs.close()

    def on_message(self, message: dict[str, Any], via: str) -> None:
        self.texts.append(message["content"])
        self.latest[message["id"]] = message

    def on_deleted(self, gone: dict[str, Any], via: str) -> None:
        self.deleted.append(gone["id"])
        self.latest.pop(gone["id"], None)

    async def say(self, content: str) -> dict[str, Any]:
        message: dict[str, Any] = await self.bobs.post(
            "/messages", json={"receiver_id": self.ada["id"], "content": content}
        )
        return message

    async def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Returns once it holds; looks again at every event of the client."""
        end = time.monotonic() + PATIENCE
        while not holds():
            self.happened.clear()
            try:
                await asyncio.wait_for(self.happened.wait(), end - time.monotonic())
            except asyncio.TimeoutError:
                raise AssertionError(f"not within {PATIENCE} s: {what}") from None

    async def equal(self) -> None:
        """What the client has is what the server has, to the digest of all messages."""
        assert await self.client.verify(self.id), "the client finds itself equal"
        answer = await self.bobs.get("/conversations/{}/digest", self.id)
        ledger = self.client.sync.ledgers[self.id]
        assert (ledger.known, ledger.sum) == (answer["update"], int(answer["digest"], 16))
        # The texts that a program got, and not only the hashes in the ledger.
        changes = await self.bobs.get("/conversations/{}/changes", self.id, limit=200)
        live = [message for message in changes["messages"] if "deleted_at" not in message]
        assert sorted(map(leaf_of, self.latest.values())) == sorted(map(leaf_of, live))


async def faulty(name: str, kind: str, *, repaired: bool, once: bool, numbers: list[int] | None = None) -> None:
    """A fault in a frame: the client says which, repairs itself and says so."""
    async with World() as world:
        assert world.client.sync.ledgers[world.id].sum is not None
        assert world.faults == []
        await fault(name)
        for text in ("one", "two", "three"):
            await world.say(text)
        await world.until(f"the fault {kind}", lambda: kind in world.faults)
        await world.until("all messages", lambda: {"one", "two", "three"} <= set(world.texts))
        if repaired:
            await world.until("the repair", lambda: bool(world.repaired))
        await world.equal()
        assert not once or world.texts == ["first", "one", "two", "three"], world.texts
        found = [number for repair in world.repaired for number in repair["numbers"]]
        assert numbers is None or found == numbers, found


async def sign_up_and_login() -> None:
    user, rest = await person("eve", PROXY)
    assert (await rest.get("/me"))["id"] == user["id"]
    await refused(401, Rest.log_in(PROXY, user["username"], "wrong password"))
    await rest.close()


async def send_and_receive() -> None:
    async with World() as world:
        sent = await world.client.send(receiver_id=world.bob["id"], content="hello — 你好 🙂")
        assert sent["seq"] == 2
        await world.until("its own message", lambda: "hello — 你好 🙂" in world.texts)
        assert world.faults == []
        await world.equal()


async def idempotent_retry() -> None:
    async with World() as world:
        body = {"receiver_id": world.bob["id"], "content": "once", "client_id": "the-same"}
        first, again = await world.client.send(**body), await world.client.send(**body)
        assert first["id"] == again["id"]
        await refused(409, world.client.send(**{**body, "content": "another"}))
        assert world.client.outbox.pending()[0]["failed"]["code"] == "conflict"


async def lost_answer() -> None:
    async with World() as world:
        await fault("lose")
        sends = [world.client.send(receiver_id=world.bob["id"], content=text) for text in "abc"]
        assert [message["seq"] for message in await asyncio.gather(*sends)] == [2, 3, 4]
        await world.until("its own messages", lambda: len(world.texts) == 4)
        assert world.texts == ["first", "a", "b", "c"]
        await world.equal()


async def cut_and_resumed() -> None:
    async with World() as world:
        await fault("cut")
        expected = ["first"] + [(await world.say(f"while away {i}"))["content"] for i in range(20)]
        await fault("mend")
        world.client.live.nudge()
        await world.until("what it missed", lambda: len(world.texts) >= 21)
        expected.append((await world.say("after"))["content"])
        await world.until("what came after", lambda: "after" in world.texts)
        assert world.texts == expected, world.texts
        assert world.faults == []
        await world.equal()


async def last_one_dropped() -> None:
    async with World() as world:
        await fault("drop")
        await world.say("the last one")
        assert await world.client.verify(world.id)
        assert world.texts == ["first", "the last one"]
        await world.equal()


async def unknown_event() -> None:
    async with World() as world:
        await fault("rename")
        both = {(await world.say(text))["content"] for text in ("by an event of tomorrow", "by one of today")}
        await world.until("both", lambda: both <= set(world.texts))
        assert world.unknown == ["message.sparkled"]
        await world.equal()
        assert "gap" not in world.faults


async def edit_and_delete() -> None:
    async with World() as world:
        kept, gone = await world.say("draft"), await world.say("a mistake")
        await world.bobs.put("/messages/{}", kept["id"], json={"content": "final"})
        await world.bobs.delete("/messages/{}", gone["id"])
        await world.until("both changes", lambda: gone["id"] in world.deleted and "final" in world.texts)
        assert world.latest[kept["id"]]["content"] == "final" and world.latest[kept["id"]]["edited_at"]
        assert world.faults == []
        await world.equal()


async def reactions() -> None:
    async with World() as world:
        id = (await world.say("like it?"))["id"]
        await world.until("the message", lambda: id in world.latest)
        await world.rest.put("/messages/{}/reactions/{}", id, "👍")
        await world.bobs.put("/messages/{}/reactions/{}", id, "❤️")
        await world.until("both reactions", lambda: len(world.latest[id].get("reactions", [])) == 2)
        assert [(r["emoji"], r["count"]) for r in world.latest[id]["reactions"]] == [("👍", 1), ("❤️", 1)]
        assert world.faults == []
        await world.equal()


async def token_renewal() -> None:
    async with World() as world:
        tokens = world.rest.tokens
        assert tokens
        # A token that has run out by this machine's clock: however many calls need one, it is renewed once.
        tokens.ends_at = time.time()
        renewals: list[Any] = []
        world.rest.keep = renewals.append
        answers = await asyncio.gather(*(world.rest.get("/me") for _ in range(5)))
        assert all(answer["id"] == world.ada["id"] for answer in answers)
        assert len(renewals) == 1 and renewals[0].refresh_token != tokens.refresh_token
        # A token that the server refuses, for a request and for a connection.
        for use in (lambda: world.rest.get("/me"), world.client.live.cut):
            now = world.rest.tokens
            assert now
            now.token = f"{now.token[:-4]}AAAA"
            await use()
        await world.say("after a renewal")
        await world.until("a message after it", lambda: "after a renewal" in world.texts)
        # An ended session says so.
        await world.rest.post("/logout")
        await asyncio.wait_for(world.client.ended.wait(), PATIENCE)
        await refused(401, world.rest.get("/me"))


SCENARIOS: dict[str, Callable[[], Any]] = {
    "sign-up-and-login": sign_up_and_login,
    "send-and-receive": send_and_receive,
    "idempotent-retry": idempotent_retry,
    "lost-answer": lost_answer,
    "cut-and-resumed": cut_and_resumed,
    "dropped": lambda: faulty("drop", "gap", repaired=True, once=True),
    "doubled": lambda: faulty("double", "repeat", repaired=False, once=True),
    "reordered": lambda: faulty("swap", "gap", repaired=True, once=True),
    "altered": lambda: faulty("alter", "digest", repaired=True, once=False, numbers=[2]),
    "last-one-dropped": last_one_dropped,
    "unknown-event": unknown_event,
    "edit-and-delete": edit_and_delete,
    "reactions": reactions,
    "token-renewal": token_renewal,
}


async def main() -> int:
    status = 0
    for name, run in SCENARIOS.items():
        if os.environ.get("ONLY", name) != name:
            continue
        try:
            await run()
            print(f"ok {name}", flush=True)
        except Exception:
            print(f"FAILED {name}", flush=True)
            traceback.print_exc()
            status = 1
    return status


sys.exit(asyncio.run(main()))
