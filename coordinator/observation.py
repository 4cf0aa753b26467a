"""Show others how the coordinator stands: who is here in a file for the console, figures on a port for Prometheus.

It decides nothing. Theory: observing must not stop what it observes: a figure that cannot be written is said once in
the operating log, and the job goes on.
"""

import asyncio
import time
from collections.abc import Iterable

from coordinator.config import CoordinatorConfig
from coordinator.journal_line import say
from coordinator.log_store import LogStore
from coordinator.presence import Presence
from coordinator.sightings import Lookout
from coordinator.store import Store
from privacy.errors import InputError
from privacy.log.checkpoint import parse_checkpoint

__all__ = ["Observation"]


class Observation:
    """All calls are made on the coordinator's event loop, except that figures are read in a thread of their port."""

    def __init__(self, config: CoordinatorConfig, store: Store, presence: Presence, log: LogStore) -> None:
        """Listen if `[metrics]` says so; raises `InputError` if the port or the library is missing."""
        self._presence = presence
        self._log = log
        self._lookout = Lookout(config.state.dir, presence)
        self._last_seen: dict[str, float] = {}
        self._written = True
        if config.metrics is None:
            self._meters = self._port = None
            return
        try:
            from coordinator.metrics import Meters, MetricsPort, Reading
        except ImportError as error:
            text = f"[metrics] needs a library that is not here ({error}); install creditmesh[console]"
            raise InputError("driver-missing", text) from error
        reading = Reading(store, config.state.dir, lambda: dict(self._last_seen), self._log_head)
        self._meters = Meters(reading)
        self._port = MetricsPort(config.metrics, self._meters)
        say("metrics_listening", address=f"{config.metrics.listen.rpartition(':')[0]}:{self._port.port}")

    def received(self, member: str, size: int) -> None:
        """Count a member's message of so many bytes."""
        if self._meters:
            self._meters.received(member, size)

    def timed(self, phase: str, seconds: float) -> None:
        """Count a phase of a round that took so long."""
        if self._meters:
            self._meters.timed(phase, seconds)

    async def settle(self, members: Iterable[str]) -> None:
        """Write down who is here, unless that was done a moment ago."""
        now, names = asyncio.get_running_loop().time(), list(members)
        heard = {name: self._presence.last_heard(name) for name in names}
        self._last_seen = {name: now - at for name, at in heard.items() if at is not None}
        content = self._lookout.look(names, now, time.time_ns() // 1000)
        if content is None:
            return
        try:
            await asyncio.to_thread(self._lookout.write, content)
        except OSError as error:
            if self._written:
                say("seen_unwritten", reason=error.strerror or type(error).__name__)
            self._written = False
        else:
            self._written = True

    def close(self) -> None:
        """Stop listening and say that nobody is connected any more."""
        if self._port:
            self._port.close()
        try:
            self._lookout.end()
        except OSError as error:
            say("seen_unwritten", reason=error.strerror or type(error).__name__)

    def _log_head(self) -> tuple[int, int | None]:
        head, _ = parse_checkpoint(self._log.checkpoint())
        newest = self._log.events(head.size - 1, head.size) if head.size else []
        return head.size, newest[0].utc_us if newest else None
