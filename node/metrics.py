"""Figures of the running node for Prometheus, on a port of this machine alone.

It measures nothing itself: everything is read when somebody asks. What is scored has figures of its own
(`node.scorer.meters`). Theory: a registry of our own, so that nothing of a library slips in; no label is a borrower, a
field or free text. Without `[metrics]` nothing listens. The port has no log-in, therefore it binds loopback only and
answers only to a name of loopback, so that no browser is led here under another name.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from cryptography import x509
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from node.account import read_account
from node.config import NodeConfig
from node.disk_space import free_percent
from privacy.errors import InputError, PrivacyError

__all__ = ["MetricsPort", "Reading"]

_HERE = ("127.0.0.1", "localhost", "[::1]")
_PATIENCE_S = 5


@dataclass(slots=True)
class Reading:
    """Where the figures are read when somebody asks.

    connected: says whether the link stands. log: returns the number of records and the time of the newest, UTC
    microseconds. now_us: UTC microseconds.
    """

    config: NodeConfig
    connected: Callable[[], bool]
    log: Callable[[], tuple[int, int | None]]
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    _epsilon: tuple[tuple[int, int], float] | None = field(default=None, init=False)

    def epsilon(self) -> float:
        """Return what jobs with noise cost in the permit's period; added up anew when ledger or day changed."""
        ledger: Path = self.config.state.dir / "ledger"
        key = (ledger.stat().st_size if ledger.exists() else 0, self.now_us() // 86_400_000_000)
        if self._epsilon is None or self._epsilon[0] != key:
            self._epsilon = (key, float(read_account(self.config).epsilon))
        return self._epsilon[1]


class _Looked(Collector):
    """What is read when somebody asks."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterable[Metric]:
        """Return every figure; one whose source fails is left out, and `creditmesh_up` says so."""
        found: list[Metric] = []
        up = 1.0
        for part in (self._link, self._privacy, self._log):
            try:
                found += list(part())
            except (PrivacyError, OSError, ValueError):
                up = 0.0
        found.append(_gauge("up", "1 if every figure could be read", up))
        return found

    def _link(self) -> Iterator[Metric]:
        reading = self._reading
        yield _gauge("link_up", "1 while the coordinator is connected", float(reading.connected()))
        certificate = x509.load_pem_x509_certificate(reading.config.tls.certificate.read_bytes())
        left = certificate.not_valid_after_utc.timestamp() - reading.now_us() / 1e6
        yield _gauge("cert_expiry_seconds", "Seconds until this node's certificate ends", left)

    def _privacy(self) -> Iterator[Metric]:
        spent, permit = self._reading.epsilon(), self._reading.config.permit
        yield _gauge("privacy_epsilon_spent", "Epsilon of all jobs with noise in the permit's period", spent)
        yield _gauge("privacy_epsilon_cap", "Most epsilon that the permit allows", float(permit.epsilon_cap))

    def _log(self) -> Iterator[Metric]:
        size, newest_us = self._reading.log()
        yield CounterMetricFamily("creditmesh_audit_entries", "Records in the privacy log", value=size)
        if newest_us is not None:
            age = max(0.0, (self._reading.now_us() - newest_us) / 1e6)
            yield _gauge("audit_checkpoint_age_seconds", "Seconds since the newest checkpoint", age)
        yield _gauge("disk_free_percent", "Free share of the log's disk", free_percent(self._reading.config.state.dir))


class MetricsPort:
    """A small server for Prometheus in a thread of its own."""

    def __init__(self, listen: str, reading: Reading) -> None:
        """Listen at "host:port"; raises `InputError` if the port cannot be taken."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Looked(reading))
        host, _, port = listen.rpartition(":")
        answer = make_wsgi_app(registry)

        def guarded(environ: dict[str, Any], start: Any) -> Any:
            name = environ.get("HTTP_HOST", "").rpartition(":")[0] or environ.get("HTTP_HOST", "")
            if environ["REQUEST_METHOD"] != "GET" or environ["PATH_INFO"] != "/metrics" or name not in (*_HERE, host):
                start("404 Not Found", [("Content-Type", "text/plain")])
                return [b"GET /metrics\n"]
            return answer(environ, start)

        try:
            self._server = make_server(host.strip("[]"), int(port), guarded, _Server, _Quiet)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise InputError("listen-address", f"[metrics] listen {listen}: cannot be taken ({reason})") from error
        self.address = f"{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(WSGIServer):
    request_queue_size = 8
    timeout = _PATIENCE_S


class _Quiet(WSGIRequestHandler):
    timeout = _PATIENCE_S

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: who asks is Prometheus, every few seconds."""


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"creditmesh_{name}", text, value=value)
