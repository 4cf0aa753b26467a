"""Write down streams that the hub ended because they broke the rules of the link.

It refuses nothing itself. Theory: who may speak is decided before a message is read, so such a refusal has no message
that could be recorded; it is an alarm. Whoever tries again and again is written down once a minute, so that the log
does not grow at the pace of an attacker.
"""

from collections.abc import Callable, Sequence

from coordinator.journal_line import say
from privacy.log.record import Entry

__all__ = ["Refusals"]

_EVERY_S = 60.0


class Refusals:
    """Turn the hub's refusals into records."""

    def __init__(self, defer: Callable[[Sequence[Entry]], None], now: Callable[[], float]) -> None:
        """defer: lets entries ride on the log's next commit; now: monotonic seconds."""
        self._defer = defer
        self._now = now
        self._said: dict[tuple[str, str], float] = {}

    def note(self, member: str, slug: str) -> None:
        """Note that a member's stream was ended for this reason; "" for one without a certificate that names one."""
        known, now = self._said.get((member, slug)), self._now()
        if known is not None and now - known < _EVERY_S:
            return
        self._said[member, slug] = now
        say("stream_refused", member=member, code=slug)
        evidence = f"{slug}: a stream of {member or 'nobody that a certificate names'} was ended"
        body = {"class": "blocked", "severity": "medium", "evidence": evidence}
        self._defer([Entry("alarm.raised", body, "operations")])
