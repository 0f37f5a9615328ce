"""The HTTP routes, and the token of a session, renewed before it ends."""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

EARLY = 60
"""So many seconds before its end, a token is renewed."""


class ApiError(Exception):
    """An error of the server, or of a server out of reach (`status` 0)."""

    def __init__(self, status: int, body: dict[str, Any] | None = None, retry_after: float = 0) -> None:
        body = body or {}
        super().__init__(
            body.get("error") or (f"the server answered {status}" if status else "the server is out of reach")
        )
        self.status = status
        self.code: str = body.get("code", "")
        self.field: str = body.get("field", "")
        self.retry_after = retry_after

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later, unchanged."""
        return self.status in (0, 429) or self.status >= 500


@dataclass
class Tokens:
    """What a program keeps to go on as the same session. Tokens for programs (`plt_…`) are not renewed."""

    token: str
    refresh_token: str | None = None
    ends_at: float | None = None
    """In seconds since 1970, by this machine's clock."""

    @staticmethod
    def of(answer: dict[str, Any]) -> Tokens:
        """The tokens of an answer of `/login` or `/token`."""
        return Tokens(answer["token"], answer["refresh_token"], time.time() + answer["expires_in"])


Keep = Callable[[Tokens], "Awaitable[None] | None"]


class Rest:
    """`await rest.get("/messages/{}", id)` and so on: any route of the server. Without tokens, those that need none."""

    def __init__(self, url: str, tokens: Tokens | str | None = None, *, keep: Keep | None = None) -> None:
        self.url = url.rstrip("/")
        self.tokens = Tokens(tokens) if isinstance(tokens, str) else tokens
        self.keep = keep
        self.http = httpx.AsyncClient(base_url=self.url, timeout=30)
        self._renewing = asyncio.Lock()

    @classmethod
    async def log_in(cls, url: str, username: str, password: str, *, keep: Keep | None = None) -> Rest:
        rest = cls(url, keep=keep)
        try:
            rest.tokens = Tokens.of(await rest.post("/login", json={"username": username, "password": password}))
        except BaseException:
            await rest.close()
            raise
        return rest

    async def close(self) -> None:
        await self.http.aclose()

    async def get(self, path: str, *parts: str, **query: Any) -> Any:
        return await self.call("GET", path, *parts, params=query)

    async def post(self, path: str, *parts: str, **options: Any) -> Any:
        return await self.call("POST", path, *parts, **options)

    async def put(self, path: str, *parts: str, **options: Any) -> Any:
        return await self.call("PUT", path, *parts, **options)

    async def patch(self, path: str, *parts: str, **options: Any) -> Any:
        return await self.call("PATCH", path, *parts, **options)

    async def delete(self, path: str, *parts: str, **options: Any) -> Any:
        return await self.call("DELETE", path, *parts, **options)

    async def call(self, method: str, path: str, *parts: str, **options: Any) -> Any:
        """One request; each `{}` of the path takes one of `parts`. Raises ApiError unless it succeeds."""
        response = await self.raw(method, path.format(*(quote(part, safe="") for part in parts)), **options)
        return response.json() if "json" in response.headers.get("content-type", "") else None

    async def pages(self, path: str, *parts: str, **query: Any) -> AsyncIterator[Any]:
        """All items of a list, page by page."""
        path = path.format(*(quote(part, safe="") for part in parts))
        response = await self.raw("GET", path, params=query)
        while True:
            for item in response.json():
                yield item
            following = re.search(r'<[^>?]*(\?[^>]*)>;\s*rel="next"', response.headers.get("link", ""))
            if not following:
                return
            response = await self.raw("GET", path + following[1])

    async def upload(self, name: str, data: bytes) -> dict[str, Any]:
        file: dict[str, Any] = await self.post("/upload", files={"file": (name, data)})
        return file

    async def raw(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Sends a request, with another token if the server refuses the first one."""
        token = await self.token()
        try:
            return await self._once(method, path, token, **options)
        except ApiError as error:
            if error.status != 401 or token is None or self.tokens is None or not self.tokens.refresh_token:
                raise
        return await self._once(method, path, await self.renew(token), **options)

    async def token(self) -> str | None:
        """A token that is good for a while yet."""
        if self.tokens is None:
            return None
        ends_at = self.tokens.ends_at
        if ends_at is not None and self.tokens.refresh_token and ends_at - time.time() < EARLY:
            return await self.renew(self.tokens.token)
        return self.tokens.token

    async def renew(self, refused: str) -> str:
        """Another token than `refused`, however many ask at once; raises a 401 if the session has none."""
        async with self._renewing:
            if self.tokens is None or (self.tokens.token == refused and not self.tokens.refresh_token):
                raise ApiError(401, {"error": "the token is not good any more", "code": "unauthenticated"})
            if self.tokens.token == refused:
                response = await self._once("POST", "/token", None, json={"refresh_token": self.tokens.refresh_token})
                tokens = Tokens.of(response.json())
                if self.keep and inspect.isawaitable(kept := self.keep(tokens)):
                    await kept
                self.tokens = tokens
            return self.tokens.token

    async def _once(self, method: str, path: str, token: str | None, **options: Any) -> httpx.Response:
        headers = {**options.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        try:
            response = await self.http.request(method, path, headers=headers, **options)
        except httpx.TransportError as error:
            raise ApiError(0) from error
        if response.is_success:
            return response
        try:
            body = response.json()
        except ValueError:
            body = None
        after = response.headers.get("retry-after", "")
        raise ApiError(
            response.status_code, body if isinstance(body, dict) else None, float(after) if after.isdigit() else 0
        )
