"""Run the decision API: open the files, then serve until told to stop.

It needs no coordinator and no trainer, and imports neither torch nor Polars. Theory: the socket is bound by this
module, so its port can be told in `scoring.json` before the first request, and loopback stays loopback; whatever is
wrong with the settings is told before anything listens.
"""

import gc
import hashlib
import json
import os
import signal
import socket
import ssl
import sys
from pathlib import Path

import uvicorn

from node.config import NodeConfig
from node.decision_store import DecisionStore
from node.disk_space import DiskRule
from node.journal_line import say
from node.page.bank_routes import add_bank_pages
from node.page.routes import add_page
from node.scorer.app import create_app
from node.scorer.engine import DeskFiles, Engine
from node.scorer.office import Office
from node.scorer.recorder import LogSettings, Recorder, load_ref_key, open_decision_log
from node.tokens import TokenFile
from privacy.errors import InputError

__all__ = ["open_office", "serve"]

SWITCH_S = 0.0005
SHUTDOWN_S = 10
MOST_CONNECTIONS = 1000
_BACKLOG = 256
_TOLD = "scoring.json"


def open_office(config: NodeConfig) -> Office:
    """Open log, table, tokens and desk; raises what they raise, but without a desk every answer is `refer`."""
    state = config.state.dir
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    config_sha256 = hashlib.sha256(config.model_dump_json().encode()).hexdigest()
    disk = DiskRule(config.state.alarm_free_percent, config.state.stop_free_percent)
    tokens = TokenFile(state)
    log = open_decision_log(LogSettings(config.member.id, state, config_sha256, disk))
    files = DeskFiles(state, config.source.schema_file, config.scoring.policy, config.scoring.reference)
    return Office(Engine(files), Recorder(log, DecisionStore(state)), tokens, load_ref_key(state))


def serve(config: NodeConfig, source: Path) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code. source: the file of the settings."""
    # The thread that syncs the log should not wait five milliseconds for its turn.
    sys.setswitchinterval(SWITCH_S)
    office = open_office(config)
    # What is loaded stays: the collector need not walk through the model while somebody waits for an answer.
    gc.collect()
    gc.freeze()
    try:
        bound = _bind(*config.scoring.address)
        with bound:
            host, port = bound.getsockname()[:2]
            _tell(config.state.dir, f"{host}:{port}")
            say("scoring", state=f"{host}:{port}", reason="; ".join(office.engine.faults.values()) or "ready")
            # The server ends in order at a signal and then raises it once more, which must not end us before the log.
            before = {number: signal.signal(number, _ignore) for number in (signal.SIGTERM, signal.SIGINT)}
            uvicorn.Server(_settings(config, source, office)).run(sockets=[bound])
            for number, handler in before.items():
                signal.signal(number, handler)
    finally:
        (config.state.dir / _TOLD).unlink(missing_ok=True)
        office.close()
    return 0


def _ignore(_number: int, _frame: object) -> None:
    """Let a signal pass that was dealt with."""


def _settings(config: NodeConfig, source: Path, office: Office) -> uvicorn.Config:
    scoring = config.scoring
    app = create_app(office)
    add_page(app, config.member.id, is_secure=scoring.certificate is not None)
    add_bank_pages(app, config, source)
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_S,
        ssl_certfile=None if scoring.certificate is None else str(scoring.certificate),
        ssl_keyfile=None if scoring.key is None else str(scoring.key),
        ssl_ca_certs=None if scoring.client_ca is None else str(scoring.client_ca),
        ssl_cert_reqs=ssl.CERT_NONE if scoring.client_ca is None else ssl.CERT_REQUIRED,
    )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("listen", f"scoring.listen: cannot listen on {host}:{port} ({reason})") from error
    return bound


def _tell(state: Path, address: str) -> None:
    draft = state / "scoring.draft"
    draft.write_text(json.dumps({"http": address, "pid": os.getpid()}), "utf-8")
    draft.replace(state / _TOLD)
