"""Tell members how a job ended until each has heard it, also those that were away and those that a crash left waiting.

It decides nothing about a job. Theory: a member's model is written when the job's end, with the last sum, reaches it.
Who has yet to hear it stands in the database; whoever comes back is shown what it lacks, and is struck off once its
process took it. Nothing is told while another job runs: a member sits in one job at a time.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from coordinator.postbook import Attempts, Postbook
from coordinator.presence import Presence, process_of
from coordinator.progress import Progress
from coordinator.store import Store
from privacy.errors import InputError, VerificationError
from privacy.keys import IdentityKey
from privacy.log.record import Entry
from privacy.secagg.aggregator import Aggregator
from privacy.secagg.downlink import Downlink
from privacy.secagg.retrace import Retraced

__all__ = ["Farewells"]


@dataclass(slots=True)
class Farewells:
    """Tell the ends of jobs. All calls are made on one event loop.

    send: queues bytes for a member. backlog: bytes queued for it that it has not acknowledged. defer: lets entries ride
    on the next commit of the log. sent_before: reads from the log what was sent in a job already.
    """

    store: Store
    progress: Progress
    identity: IdentityKey
    presence: Presence
    send: Callable[[str, bytes], None]
    backlog: Callable[[str], int]
    defer: Callable[[Sequence[Entry]], None] = lambda _entries: None
    sent_before: Callable[[str], Attempts] = lambda _job: {}
    _sent: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def sent(self, job: str, sessions: Mapping[str, bytes]) -> None:
        """Note that a job's end was just sent in these sessions of members."""
        self._sent |= {(job, member): session for member, session in sessions.items()}

    async def settle(self) -> None:
        """Tell whoever is here and has not heard; strike off whoever took it."""
        for job, member in await asyncio.to_thread(self.progress.farewells):
            session = self.presence.boots.get(member)
            if session is None or member not in self.presence.connected:
                continue
            if self._sent.get((job, member)) != session:
                for downlink in await asyncio.to_thread(self._last_words, job, member, process_of(session)):
                    self.send(member, downlink.message)
                self._sent[job, member] = session
            elif self.backlog(member) == 0:
                await asyncio.to_thread(self.progress.told, job, member)
                del self._sent[job, member]

    def _last_words(self, job_id: str, member: str, process: bytes) -> list[Downlink]:
        """Return the end of a job for a member; one whose process is new and who may have the model: all sums too."""
        job = self.store.job(job_id)
        try:
            kept = self.progress.load(job_id)
            if kept is None:
                return []
            done = job.state == "done"
            opened = [self.progress.sum(job_id, number) for number in range(1, kept.sums + 1)] if done else []
        except (VerificationError, InputError):
            return []
        aggregator = Aggregator(kept.manifest, self.identity, past=Retraced(kept.manifest, kept.footing.epoch, opened))
        words: list[Downlink] = []
        if opened and member in opened[-1].opened.survivors:
            sits = kept.footing.boots.get(member) == process
            charters = [] if sits else aggregator.charter(kept.manifest.roster)
            words += [charter for charter in charters if charter.to == member]
            words += aggregator.catch_up(member, len(opened) - 1 if sits else 0)
        words += [end for end in aggregator.end(job.state, job.reason[:512]) if end.to == member]
        Postbook(kept.manifest, self.defer, self.sent_before(job_id)).sent(words)
        return words
