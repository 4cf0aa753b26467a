"""Figures of the running coordinator for Prometheus, on a port of this machine alone.

It measures nothing itself: the process tells it what arrived and how long a phase took, and everything else is read
when somebody asks. Theory: a registry of our own, so that nothing of a library slips in; labels are members, jobs,
phases and states, never a field, a customer or free text. Without `[metrics]` nothing listens. The port has no log-in,
therefore it binds loopback only and answers only to a name of loopback, so that no browser is led here under another
name.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Histogram, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from coordinator import tables
from coordinator.certificate_store import CertificateStore
from coordinator.config import MetricsSettings
from coordinator.model_view import outcome_of
from coordinator.store import Store
from privacy.errors import InputError, PrivacyError

__all__ = ["Meters", "MetricsPort", "Reading"]

_PHASE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_HERE = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Reading:
    """Where the figures are read when somebody asks.

    store: the database, with `state` the folder beside it. last_seen: returns the seconds since each member was heard.
    log: returns the number of records and the time of the newest, UTC microseconds. now_us: UTC microseconds.
    """

    store: Store
    state: Any
    last_seen: Callable[[], Mapping[str, float]]
    log: Callable[[], tuple[int, int | None]]
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000


class Meters:
    """All figures of one process."""

    def __init__(self, reading: Reading) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._uploads = Counter(
            "creditmesh_upload_bytes", "Bytes of messages received", ["member"], registry=self.registry
        )
        self._phases = Histogram(
            "creditmesh_round_phase_seconds", "How long a phase of a round took", ["phase"], buckets=_PHASE_BUCKETS,
            registry=self.registry,
        )  # fmt: skip
        self.registry.register(_Looked(reading))

    def received(self, member: str, size: int) -> None:
        """Count a member's message of so many bytes."""
        self._uploads.labels(member).inc(size)

    def timed(self, phase: str, seconds: float) -> None:
        """Count a phase that took so long."""
        self._phases.labels(phase).observe(seconds)


class _Looked(Collector):
    """What is read when somebody asks."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterable[Metric]:
        """Return every figure; one whose source fails is left out, and `creditmesh_up` says so."""
        found: list[Metric] = []
        up = 1.0
        for part in (self._members, self._rounds, self._privacy, self._log):
            try:
                found += list(part())
            except PrivacyError:
                up = 0.0
        found.append(_gauge("up", "1 if every figure could be read", [((), up)]))
        return found

    def _members(self) -> Iterator[Metric]:
        members = self._reading.store.members()
        statuses: dict[str, int] = dict.fromkeys(("active", "suspended", "revoked", "left"), 0)
        for member in members:
            statuses[member.status] += 1
        yield _gauge(
            "members", "Members by status", [((name,), count) for name, count in statuses.items()], ("status",)
        )
        seen = [((name,), seconds) for name, seconds in self._reading.last_seen().items()]
        yield _gauge("member_last_seen_seconds", "Seconds since a member was heard", seen, ("member",))
        ends, now = CertificateStore(self._reading.store.engine).ends(), self._reading.now_us()
        left = [((name,), (end - now) / 1e6) for name, end in ends.items()]
        yield _gauge("member_cert_expiry_seconds", "Seconds until a member's certificate ends", left, ("member",))

    def _rounds(self) -> Iterator[Metric]:
        dropouts = 0
        with self._reading.store.engine.connect() as connection:
            query = select(tables.rounds.c.state, func.count()).group_by(tables.rounds.c.state)
            results = {str(state): int(count) for state, count in connection.execute(query)}
        jobs = self._reading.store.jobs()
        for job in jobs:
            dropouts += int(outcome_of(self._reading.state, job.id).get("dropouts") or 0)
        rounds = CounterMetricFamily("creditmesh_rounds", "Rounds by result", labels=["result"])
        for result in ("opened", "closed"):
            rounds.add_metric([result], results.get(result, 0))
        yield rounds
        yield CounterMetricFamily("creditmesh_round_dropouts", "Members lost in jobs that have ended", value=dropouts)
        states: dict[str, int] = {}
        for job in jobs:
            states[job.state] = states.get(job.state, 0) + 1
        yield _gauge("jobs", "Jobs by state", [((name,), count) for name, count in sorted(states.items())], ("state",))

    def _privacy(self) -> Iterator[Metric]:
        spent = []
        for job in self._reading.store.jobs():
            promise = outcome_of(self._reading.state, job.id).get("dp")
            if promise:
                spent.append(((job.id,), float(promise["epsilon"])))
        yield _gauge("privacy_epsilon_spent", "Epsilon that a job promised at most", spent, ("job",))

    def _log(self) -> Iterator[Metric]:
        size, newest_us = self._reading.log()
        yield CounterMetricFamily("creditmesh_audit_entries", "Records in the privacy log", value=size)
        if newest_us is not None:
            age = max(0.0, (self._reading.now_us() - newest_us) / 1e6)
            yield _gauge("audit_checkpoint_age_seconds", "Seconds since the newest checkpoint", [((), age)])


class MetricsPort:
    """A small server for Prometheus in a thread of its own."""

    def __init__(self, settings: MetricsSettings, meters: Meters) -> None:
        """Listen; raises `InputError` if the port cannot be taken."""
        host, _, port = settings.listen.rpartition(":")
        answer = make_wsgi_app(meters.registry)

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
            text = f"[metrics] listen {settings.listen}: cannot be taken ({reason})"
            raise InputError("listen-address", text) from error
        self.port = int(self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(WSGIServer):
    request_queue_size = 8
    timeout = 5


class _Quiet(WSGIRequestHandler):
    timeout = 5

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: who asks is Prometheus, every few seconds."""


def _gauge(
    name: str, text: str, samples: Sequence[tuple[tuple[str, ...], float]], labels: tuple[str, ...] = ()
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"creditmesh_{name}", text, labels=list(labels))
    for values, value in samples:
        family.add_metric(list(values), value)
    return family
