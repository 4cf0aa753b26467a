"""What the scorer counts for Prometheus: decisions, overrides, time, and what is missing.

Counts only: no applicant, no id. Theory: each app has a registry of its own, so two in one process count apart.
"""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from node.scorer.office import Answer, Office

__all__ = ["Meters"]

_BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1.0, 3.0)


class Meters:
    """Count."""

    def __init__(self) -> None:
        """Make the meters."""
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "creditmesh_decisions", "Requests for a decision, by outcome and status", ["outcome", "status"],
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "creditmesh_decision_seconds", "Time from request to answer", buckets=_BUCKETS, registry=self._registry
        )
        self._overrides = Counter(
            "creditmesh_overrides", "Overrides, by what was decided", ["to"], registry=self._registry
        )
        self._ready = Gauge("creditmesh_scorer_ready", "1 if nothing is missing", registry=self._registry)
        self._records = Gauge("creditmesh_decision_log_records", "Records in the decision log", registry=self._registry)

    def decided(self, answer: Answer, seconds: float) -> None:
        """Count one request for a decision."""
        self._decisions.labels(answer.outcome or "none", str(answer.status)).inc()
        self._seconds.observe(seconds)

    def overridden(self, to: str) -> None:
        """Count one override."""
        self._overrides.labels(to).inc()

    def page(self, office: Office) -> tuple[bytes, str]:
        """Return the page that Prometheus reads, and its content type."""
        self._ready.set(not office.faults)
        self._records.set(office.recorder.log.size)
        return generate_latest(self._registry), CONTENT_TYPE_LATEST
