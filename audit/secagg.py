"""Whether what banks gave away, over all their logs, ever let somebody take a mask off.

The logs are taken as verified; `privacy.log.rounds` says what they hold. Theory: the masks of bank k in a position stay
on unless t shares of its self seed b_k are known together with a pair seed m_ik (which removes the mask that i shares
with k). A share leaves only for a bank that is in the sum, a pair seed only for one that is lost, so an honest bank
never gives both; and two groups of honest banks cannot vote for two cohorts. What a bank does not write down, or writes
down falsely, is not seen: the rule binds t lying banks no more than it binds one that hides an upload.

Steps: (1) masked payloads, (2) one vote a position, (3) one log never shows both, (4) shares and seeds over all logs,
(5) one sum for all, (6) smallest cohort, (7) lists and records agree, (8) all logs given.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from privacy.errors import VerificationError
from privacy.log.record import Event, decode_event
from privacy.log.rounds import RoundLists, decode_round
from privacy.log.verify import Status, Step

__all__ = ["Place", "SecaggAudit", "Violation"]

STEPS = (
    "masked payloads",
    "one vote a position",
    "no log shows both",
    "shares and seeds",
    "one sum for all",
    "smallest cohort",
    "lists and records",
    "all logs given",
)
_GIVING = ("secagg.consent", "secagg.reveal")
_VOTE, _UPLOAD, _MASKED = "secagg.consent", "secagg.upload", "masked"
_AGREED = ("binding", "cohort", "survivors", "dropouts", "threshold", "commitments_sha256", "aggregate_sha256")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One sum's position: job, epoch and number within the epoch."""

    job: str
    epoch: int
    position: int

    def __str__(self) -> str:
        return f"job {self.job}, epoch {self.epoch}, position {self.position}"


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken: the step's number, where, and one line."""

    step: int
    status: Status
    where: str
    detail: str


@dataclass(slots=True)
class _Position:
    """What all logs say of one position; members as seat numbers."""

    shares: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    seeds: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    votes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    sums: dict[str, Mapping[str, object]] = field(default_factory=dict)
    unclear: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Job:
    seats: tuple[str, ...] = ()
    least: dict[str, int] = field(default_factory=dict)
    rosters: dict[int, int] = field(default_factory=dict)

    def name(self, seat: int) -> str:
        return self.seats[seat] if seat < len(self.seats) else f"seat {seat}"


class SecaggAudit:
    """Collect what every bank's log says, then judge it together."""

    def __init__(self, least: int | None = None) -> None:
        """least: smallest cohort that the auditor accepts; None takes what each bank accepted in its job's decision."""
        self._least = least
        self._members: set[str] = set()
        self._jobs: dict[str, _Job] = defaultdict(_Job)
        self._places: dict[Place, _Position] = defaultdict(_Position)
        self._checked = [0] * len(STEPS)
        self.violations: list[Violation] = []
        self.smallest: int | None = None

    def add_log(self, member: str, events: Iterable[bytes], lines: Iterable[tuple[str, bytes]]) -> None:
        """Take one bank's events in order and the lines of its side files."""
        self._members.add(member)
        lists = self._lists(member, lines)
        given: dict[Place, tuple[set[int], set[int]]] = {}
        for event in map(decode_event, events):
            if event.kind == "job.decided":
                self._jobs[event.job].least[member] = int(str(event.body["min_cohort"]))
            elif event.kind == "egress.authorised" and "payload_sha256" in event.body:
                self._take_message(member, event, given)
            elif event.kind == "secagg.round":
                self._take_round(member, event, lists, given)
        for place in sorted(lists):
            self._note(7, "flagged", f"{member}: {place}", "a list stands beside the log without a record of it")

    def judge(self) -> tuple[Step, ...]:
        """Return the steps, after all logs were added."""
        for place in sorted(self._places):
            position, job = self._places[place], self._jobs[place.job]
            self._judge_gifts(place, position, job)
            self._judge_sum(place, position, job)
        self._judge_absent()
        return tuple(self._step(number) for number in range(1, len(STEPS) + 1))

    def _lists(self, member: str, lines: Iterable[tuple[str, bytes]]) -> dict[Place, RoundLists]:
        lists: dict[Place, RoundLists] = {}
        for name, line in lines:
            try:
                found = decode_round(line)
            except VerificationError as error:
                self._note(7, "failed", f"{member}: {name}", error.message)
                continue
            place = Place(found.job, found.epoch, found.position)
            if lists.setdefault(place, found) != found:
                self._note(7, "failed", f"{member}: {place}", "two lists of one position differ")
            self._jobs[found.job].seats = self._jobs[found.job].seats or found.seats
        return lists

    def _take_message(self, member: str, event: Event, given: dict[Place, tuple[set[int], set[int]]]) -> None:
        body, kind = event.body, str(event.body["payload_kind"])
        if kind == _UPLOAD:
            self._checked[0] += 1
            if body["protection"] != _MASKED:
                self._note(1, "failed", f"{member}: record {event.seq}", "a part left without a mask")
        if kind not in _GIVING or "epoch" not in body or "position" not in body:
            return
        place = Place(event.job, int(str(body["epoch"])), int(str(body["position"])))
        position = self._places[place]
        if kind == _VOTE:
            position.votes[member].add(f"{body.get('cohort_sha256')}/{body['payload_sha256']}")
        if "shares" not in body or "seeds" not in body:
            position.unclear.add(member)
            return
        shares, seeds = given.setdefault(place, (set(), set()))
        for key, mine, all_logs in (("shares", shares, position.shares), ("seeds", seeds, position.seeds)):
            for seat in _seats(body[key]):
                mine.add(seat)
                all_logs[seat].add(member)

    def _take_round(
        self,
        member: str,
        event: Event,
        lists: dict[Place, RoundLists],
        given: dict[Place, tuple[set[int], set[int]]],
    ) -> None:
        body = event.body
        place = Place(event.job, int(str(body.get("epoch", 1))), int(str(body["position"])))
        where = f"{member}: {place}"
        position = self._places[place]
        if member in position.sums:
            self._note(7, "failed", where, "the log records this sum twice")
        position.sums[member] = body
        self._jobs[place.job].rosters[place.epoch] = len(_seats(body["cohort"]))
        self._checked[6] += 1
        kept = lists.pop(place, None)
        if kept is None:
            self._note(7, "incomplete", where, "the lists beside the log are missing")
            return
        if kept.body() != body or kept.round != event.round:
            self._note(7, "failed", where, "the lists beside the log are not those that the record names")
        shares, seeds = given.get(place, (set(), set()))
        seats = {name: seat for seat, name in enumerate(kept.seats)}
        listed = ({seats[name] for name in kept.shares}, {seats[name] for name in kept.seeds})
        if member not in position.unclear and listed != (shares, seeds):
            self._note(7, "failed", where, "the lists name other shares or seeds than the messages that left")

    def _judge_gifts(self, place: Place, position: _Position, job: _Job) -> None:
        for member, votes in sorted(position.votes.items()):
            self._checked[1] += 1
            if len(votes) > 1:
                self._note(
                    2, "failed", f"{member}: {place}", f"voted {len(votes)} times for different cohorts or bytes"
                )
        for member in sorted(position.unclear):
            self._note(4, "incomplete", f"{member}: {place}", "the record does not say what was given")
        threshold = self._threshold(place, position, job)
        for seat in sorted(set(position.shares) | set(position.seeds)):
            shares, seeds = position.shares.get(seat, set()), position.seeds.get(seat, set())
            self._checked[2] += 1
            self._checked[3] += 1
            who = job.name(seat)
            for member in sorted(shares & seeds):
                self._note(
                    3, "failed", f"{member}: {place}", f"gave a share of {who}'s self seed and a pair seed of its"
                )
            if seeds and len(shares) >= threshold:
                detail = f"{len(shares)} shares of {who}'s self seed (t = {threshold}) and {len(seeds)} pair seeds left"
                self._note(4, "failed", str(place), f"{detail}: its mask is off")
            elif seeds and shares:
                detail = f"{len(shares)} shares of {who}'s self seed and {len(seeds)} pair seeds left, t is {threshold}"
                self._note(4, "flagged", str(place), f"{detail}: banks were told of two cohorts")

    def _judge_sum(self, place: Place, position: _Position, job: _Job) -> None:
        for member, body in sorted(position.sums.items()):
            size = len(_seats(body["survivors"]))
            self.smallest = size if self.smallest is None else min(self.smallest, size)
            least = job.least.get(member) if self._least is None else self._least
            self._checked[5] += 1
            if least is None:
                self._note(6, "incomplete", f"{member}: {place}", "the log holds no decision with a smallest cohort")
            elif size < least:
                self._note(
                    6, "failed", f"{member}: {place}", f"{size} banks in the sum, at least {least} were asked for"
                )
        if not position.sums:
            return
        self._checked[4] += 1
        for key in _AGREED:
            values = {str(body.get(key)) for body in position.sums.values()}
            if len(values) > 1:
                told = sorted(position.sums)
                self._note(5, "failed", str(place), f"the logs of {', '.join(told)} show {len(values)} values of {key}")

    def _judge_absent(self) -> None:
        absent: dict[str, int] = defaultdict(int)
        for place, position in self._places.items():
            job = self._jobs[place.job]
            for body in list(position.sums.values())[:1]:
                for seat in _seats(body["cohort"]):
                    self._checked[7] += 1
                    if job.name(seat) not in self._members:
                        absent[job.name(seat)] += 1
        for member, positions in sorted(absent.items()):
            detail = f"its log was not given: what it gave in {positions} positions is unknown"
            self._note(8, "incomplete", member, detail)

    def _threshold(self, place: Place, position: _Position, job: _Job) -> int:
        # Computed and not read: a bank could state a larger one. Where logs differ, the smallest roster is strictest.
        rosters = [len(_seats(body["cohort"])) for body in position.sums.values()]
        # A sum that never opened: the epoch's roster is that of its other sums, or at most all seats of the job.
        size = min(rosters, default=job.rosters.get(place.epoch, len(job.seats)))
        size = size or 1 + max([*position.shares, *position.seeds], default=0)
        return 2 * size // 3 + 1

    def _note(self, step: int, status: Status, where: str, detail: str) -> None:
        self.violations.append(Violation(step, status, where, detail))

    def _step(self, number: int) -> Step:
        rank = ("flagged", "incomplete", "failed")
        found = [each for each in self.violations if each.step == number]
        if found:
            worst = max(found, key=lambda each: rank.index(each.status))
            more = f", and {len(found) - 1} more" if len(found) > 1 else ""
            return Step(number, STEPS[number - 1], worst.status, f"{worst.where}: {worst.detail}{more}")
        checked = self._checked[number - 1]
        if not checked:
            return Step(number, STEPS[number - 1], "skipped", "the logs hold nothing of this kind")
        return Step(number, STEPS[number - 1], "passed", f"{checked} checked")


def _seats(bitmap: object) -> list[int]:
    return [seat for seat, bit in enumerate(str(bitmap)) if bit == "1"]
