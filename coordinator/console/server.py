"""The console's process: open the database, listen, and serve until told to stop.

It runs no job. Theory: a process of its own, so that nothing a browser does can hold up a round; it reads and writes
the same database as the coordinator. Beyond loopback it speaks TLS or does not start, since a session's cookie is worth
as much as the password.
"""

import os
import socket
import ssl
import time
from contextlib import closing
from pathlib import Path

import uvicorn

from coordinator.account_store import AccountStore
from coordinator.config import ConsoleSettings, CoordinatorConfig, check_address, is_loopback
from coordinator.console.app import build
from coordinator.console.guard import allowed_hosts
from coordinator.console.live_feed import LiveFeed
from coordinator.console.pages import Pages
from coordinator.console.session_book import SessionBook
from coordinator.console.throttle import Throttle
from coordinator.console.visit import Desk
from coordinator.journal_line import say
from coordinator.keys_file import read_secret
from coordinator.log_reader import LogReader
from coordinator.store import Store
from privacy.errors import InputError

__all__ = ["make_desk", "run"]

# Open connections at once; a browser keeps a few, each live view one.
MOST_CONNECTIONS = 600
IDLE_S = 20
ENDING_S = 2


def run(config: CoordinatorConfig, listen: str | None = None) -> int:
    """Serve until SIGINT or SIGTERM. listen: "host:port" instead of the configured one.

    Raises `InputError` for an address that cannot be taken, and for one beyond loopback without a certificate.
    """
    settings = _settings(config.console, listen)
    with closing(Store(config.storage.url)) as store, closing(_listen(settings.listen)) as sock:
        port = sock.getsockname()[1]
        desk = make_desk(config, store, secure=settings.certificate is not None)
        hosts = allowed_hosts(settings.listen, settings.hosts, port)
        server = uvicorn.Server(_uvicorn(build(desk, lambda: hosts), settings))
        scheme, host = ("https" if desk.secure else "http"), settings.listen.rpartition(":")[0]
        address = f"{scheme}://{host}:{port}/"
        say("console_listening", address=address, pid=os.getpid())
        if not any(account.removed is None for account in desk.accounts.all()):
            say("console_without_accounts", reason="nobody can log in yet: creditmesh-coordinator account add NAME ...")
        server.run(sockets=[sock])
    return 0


def make_desk(config: CoordinatorConfig, store: Store, *, secure: bool) -> Desk:
    """Return what the views share, over an open database."""
    return Desk(
        config=config,
        store=store,
        accounts=AccountStore(store.engine),
        log=LogReader(config),
        pages=Pages(),
        feed=LiveFeed(store),
        sessions=SessionBook(time.monotonic),
        throttle=Throttle(time.monotonic),
        now_us=lambda: time.time_ns() // 1000,
        secure=secure,
    )


def _settings(settings: ConsoleSettings, listen: str | None) -> ConsoleSettings:
    if listen is not None:
        try:
            settings = settings.model_copy(update={"listen": check_address(listen)})
        except ValueError as error:
            raise InputError("listen-address", f"--listen {listen!r}: expected {error}") from None
    if (settings.certificate is None) != (settings.key is None):
        raise InputError("console-tls", "[console]: certificate and key belong together; give both or neither")
    if settings.certificate is None and not is_loopback(settings.listen):
        raise InputError(
            "console-tls",
            f"[console] listen {settings.listen}: beyond this machine the console needs [console] certificate and key; "
            "or listen on 127.0.0.1 and reach it through an SSH tunnel",
        )
    return settings


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))
        sock.listen(256)
    except OSError as error:
        sock.close()
        reason = (error.strerror or type(error).__name__).lower()
        text = f"[console] listen {address}: cannot be taken ({reason}); choose another with --listen HOST:PORT"
        raise InputError("listen-address", text) from error
    return sock


def _uvicorn(app: object, settings: ConsoleSettings) -> uvicorn.Config:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        date_header=True,
        lifespan="off",
        ws="none",
        http="h11",
        h11_max_incomplete_event_size=64 * 1024,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=ENDING_S,
    )
    if settings.certificate is not None and settings.key is not None:
        config.load()
        config.ssl = _tls(settings.certificate, settings.key)
    return config


def _tls(certificate: Path, key: Path) -> ssl.SSLContext:
    read_secret(key)  # refuses a key that others may read
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        tls.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        text = f"[console] {certificate}: cannot be used with {key} ({getattr(error, 'reason', None) or error})"
        raise InputError("console-tls", text) from error
    return tls
