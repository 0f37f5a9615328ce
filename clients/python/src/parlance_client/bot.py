"""A bot: what it does with each message, and nothing else."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

from .client import Client
from .outbox import Message, Storage
from .rest import Rest

log = logging.getLogger("parlance_client")

Handler = Callable[..., "Awaitable[str | None] | str | None"]


class Bot:
    """Answers messages: what a handler returns is the reply.

    It never hears itself, and handles one message after the other. It answers each message under a `client_id` made of
    its id, so that a message which it sees twice has one answer.
    """

    def __init__(self, url: str, token: str, *, storage: Storage | None = None) -> None:
        self.url = url
        self.token = token
        self.storage = storage
        self.client: Client | None = None
        self.me: dict[str, Any] = {}
        self._handlers: list[tuple[re.Pattern[str], Handler]] = []

    def hears(self, pattern: str) -> Callable[[Handler], Handler]:
        """Gives messages that match to a function of the message and the match; the first one that matches has it."""

        def add(handler: Handler) -> Handler:
            self._handlers.append((re.compile(pattern, re.IGNORECASE | re.DOTALL), handler))
            return handler

        return add

    async def run(self) -> None:
        """Listens until the token is not good any more."""
        rest = Rest(self.url, self.token)
        messages: asyncio.Queue[Message] = asyncio.Queue()
        try:
            self.me = await rest.get("/me")
            self.client = client = Client(rest, storage=self.storage)
            client.on("message", lambda message, via: messages.put_nowait(message))
            async with client:
                working = asyncio.create_task(self._work(client, messages))
                await client.ended.wait()
                working.cancel()
        finally:
            await rest.close()

    def start(self) -> None:
        """`run`, for a program that does nothing else."""
        try:
            asyncio.run(self.run())
        except KeyboardInterrupt:
            pass

    async def _work(self, client: Client, messages: asyncio.Queue[Message]) -> None:
        while True:
            message = await messages.get()
            # Changes of messages come as messages too: only what was just sent asks for an answer.
            if message["sender_id"] != self.me["id"] and message["seq"] == message["update"]:
                await self._answer(client, message)

    async def _answer(self, client: Client, message: Message) -> None:
        for pattern, handler in self._handlers:
            if not (match := pattern.search(message["content"])):
                continue
            try:
                reply = handler(message, match)
                if inspect.isawaitable(reply):
                    reply = await reply
                if reply:
                    await client.send(**_where(message), content=reply, client_id=f"reply-{message['id']}")
            except Exception:
                log.exception("no answer to %s", message["id"])
            return


def _where(message: Message) -> dict[str, Any]:
    """Where an answer to a message goes."""
    if message["kind"] == "group":
        return {"group_id": message["group_id"], "reply_to": message["id"]}
    return {"receiver_id": message["sender_id"]}
