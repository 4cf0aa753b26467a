"""What every request passes first and every answer carries: host, size, and the headers that keep a page to itself.

It knows no account. Theory: a browser that was led here under a foreign name (DNS rebinding) is refused by the `Host`
header; a page may load nothing but our own files and run nothing that stands in the page, so text that got into it
cannot become code. As plain ASGI, because wrapping a response would hold back live streams.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

__all__ = ["CSP", "Guard", "allowed_hosts"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
LARGEST_BODY = 2 * 2**20
_HEADERS: Mapping[str, str] = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def allowed_hosts(listen: str, hosts: Iterable[str], port: int) -> frozenset[str]:
    """Return the values of `Host` that are answered.

    listen: "host:port" as configured. hosts: further names, with or without a port. port: where we really listen.
    """
    host = listen.rpartition(":")[0]
    names = [host, *hosts]
    if host in _LOOPBACK or host.startswith("127."):
        names += _LOOPBACK
    return frozenset(name.lower() if _has_port(name) else f"{name.lower()}:{port}" for name in names) | frozenset(
        name.lower() for name in names if port in (80, 443) and not _has_port(name)
    )


def _has_port(name: str) -> bool:
    return name.rpartition(":")[2].isdigit() and not name.endswith("]")


class Guard:
    """Wrap an application; `hosts` is asked on every request, since the port is known only once we listen."""

    def __init__(self, app: App, hosts: Callable[[], frozenset[str]], secure: bool) -> None:
        """secure: whether we answer over TLS."""
        self._app = app
        self._hosts = hosts
        self._headers = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
        if secure:
            self._headers.append((b"strict-transport-security", b"max-age=31536000"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is not one."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        hosts = [value.decode("latin-1").lower() for name, value in headers if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self._hosts():
            await self._refuse(send, 421, b"this console does not answer to that name; see [console] hosts\n")
            return
        lengths = [value for name, value in headers if name == b"content-length"]
        chunked = any(name == b"transfer-encoding" for name, _ in headers)
        if chunked or any(not each.isdigit() or int(each[:12]) > LARGEST_BODY for each in lengths):
            await self._refuse(send, 413, b"the request is too large\n")
            return
        await self._app(scope, receive, self._with_headers(send))

    def _with_headers(self, send: Send) -> Send:
        async def passing(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message.get("headers", [])}
                fresh = [pair for pair in self._headers if pair[0] not in present]
                if b"cache-control" not in present:
                    fresh.append((b"cache-control", b"no-store"))
                message["headers"] = [*message.get("headers", []), *fresh]
            await send(message)

        return passing

    async def _refuse(self, send: Send, status: int, text: bytes) -> None:
        start = {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]}
        await self._with_headers(send)(start)
        await send({"type": "http.response.body", "body": text})
