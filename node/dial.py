"""Open a connection to the coordinator's side, through the proxy if there is one, or say in one line why it fails.

It speaks no protocol. Theory: name, route, port and proxy fail in different ways and each has its own remedy, while a
library reports them all as one; so they are tried one after the other and told apart here. The proxy is the one that
`https_proxy` names, as for every other program; loopback addresses and those under `no_proxy` are dialled directly.
"""

import os
import socket
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

from node.reach import is_loopback, split_endpoint
from privacy.errors import InputError

__all__ = ["dial", "proxy_for"]

_LONGEST_REPLY = 8192


def proxy_for(host: str) -> str:
    """Return "host:port" of the proxy that leads to a host, empty for none."""
    url = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY") or ""
    if not url or is_loopback(host) or proxy_bypass(host):
        return ""
    parts = urlsplit(url if "//" in url else f"//{url}")
    return f"{parts.hostname or ''}:{parts.port or 3128}"


def dial(endpoint: str, timeout_s: float) -> socket.socket:
    """Return a connected socket to "host:port".

    Raises:
        InputError: `name-unresolved`, `port-closed`, `no-answer`, `proxy-refused` or `unreachable`.
    """
    host, port = split_endpoint(endpoint)
    proxy = proxy_for(host)
    if not proxy:
        return _connect(host, port, endpoint, timeout_s)
    line = _connect(*split_endpoint(proxy), f"the proxy {proxy} (https_proxy)", timeout_s)
    try:
        _tunnel(line, endpoint, proxy)
    except (OSError, InputError) as error:
        line.close()
        if isinstance(error, InputError):
            raise
        raise InputError("proxy-refused", f"the proxy {proxy} (https_proxy) broke off; check it") from error
    return line


def _connect(host: str, port: int, what: str, timeout_s: float) -> socket.socket:
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(
            "name-unresolved", f"the name {host!r} cannot be resolved; check its spelling and DNS"
        ) from error
    try:
        return socket.create_connection((host, port), timeout=timeout_s)
    except ConnectionRefusedError as error:
        message = f"nothing listens at {what}; is the coordinator running, and is the port right?"
        raise InputError("port-closed", message) from error
    except TimeoutError as error:
        message = f"{what} does not answer within {timeout_s:g} s; a firewall may drop the connection: ask for the port"
        raise InputError("no-answer", message) from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("unreachable", f"{what} cannot be reached ({reason}); check route and firewall") from error


def _tunnel(line: socket.socket, endpoint: str, proxy: str) -> None:
    """Ask an HTTP proxy for a tunnel (CONNECT, RFC 9110, section 9.3.6)."""
    line.sendall(f"CONNECT {endpoint} HTTP/1.1\r\nHost: {endpoint}\r\n\r\n".encode("ascii"))
    reply = b""
    while b"\r\n\r\n" not in reply and len(reply) < _LONGEST_REPLY:
        piece = line.recv(1)  # not one byte of what comes after the reply may be taken
        if not piece:
            break
        reply += piece
    status = reply.split(b" ", 2)[1:2]
    if status != [b"200"]:
        said = status[0].decode("ascii", "replace") if status and status[0].isdigit() else "nothing"
        raise InputError(
            "proxy-refused", f"the proxy {proxy} (https_proxy) refuses {endpoint} ({said}); have it opened"
        )
