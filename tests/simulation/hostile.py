"""A coordinator that lies at random, with c colluders, against honest members that really run: what can it read?

It knows every signed message, shows each member its own view of a cohort, certifies with votes that colluders sell,
replays what it has, calls new epochs and restarts members. After it, `readable` works out, from the shares and pair
seeds that honest members gave away, whose parts it can take apart (as in the argument of Bonawitz et al.): a set of
honest members whose self seeds are known, and whose pair masks to all other honest members are known too.
"""

from collections import defaultdict
from random import Random

from privacy import messages as say
from privacy.envelope import COORDINATOR, Envelope, open_envelope
from privacy.errors import MisuseError, PrivacyError
from privacy.field import Plan
from privacy.outgoing import Outgoing
from privacy.roster import Roster
from privacy.secagg import binding as bind
from privacy.secagg.aggregator import Phase
from privacy.secagg.history import Vote
from privacy.secagg.standing import State
from privacy.wire import decode_packet, decode_signed, encode_packet
from tests.privacy.secagg.scenes import said
from tests.privacy.table import allow_nothing, bench, names_of, packet_of, parts_of, sign_as

__all__ = ["Hostile", "readable"]


class Hostile:
    """One hostile coordinator and its table, driven by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.names = names_of(random.choice([4, 5, 7, 7, 7, 8, 10]))
        self.table = bench(self.names, seed, allow_nothing)
        roster = self.table.manifest.roster
        self.colluders = set(random.sample(self.names, roster.colluders))
        self.honest = [name for name in self.names if name not in self.colluders]
        self.plan = Plan(2, 32, 100, len(self.names))
        self.parts = parts_of(self.names, self.plan, seed)
        self.sent: list[Envelope] = []
        self.kept: list[tuple[str, bytes]] = []
        self.votes: dict[str, dict[int, Vote]] = defaultdict(dict)
        self.cohorts: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        self.habit = random.choice(["single-out", "single-out", "copies", "others", "small", "mixed"])
        self.refusals: dict[str, int] = defaultdict(int)

    def play(self, steps: int) -> None:
        """Do this many random things."""
        self._assemble()
        for _ in range(steps):
            self.random.choices(
                [self._hostile_round, self._fair_round, self._assemble, self._restart, self._replay],
                [6, 3, 1, 1, 4],
            )[0]()

    # -- what it does --------------------------------------------------------------------------------------------------

    def _assemble(self) -> None:
        names = self.names
        if self.random.random() < 0.3:
            names = sorted(self.random.sample(names, self.random.randint(4, len(names))))
        self._down(self.table.coordinator.assemble(Roster(tuple(names))))

    def _restart(self) -> None:
        name = self.random.choice(self.honest)
        self.table.restart(name, dict(self.votes[name]), allow_nothing)
        self.table.sums[name] = []
        for downlink in self.table.coordinator.catch_up(name):
            self._tell(name, downlink.message)
        if self.random.random() < 0.8:
            self._assemble()

    def _replay(self) -> None:
        if self.kept:
            to, raw = self.random.choice(self.kept)
            self._tell(to if self.random.random() < 0.7 else self.random.choice(self.names), raw)

    def _fair_round(self) -> None:
        coordinator = self.table.coordinator
        if not self._uploaded():
            return
        try:
            self._down(coordinator.close())
            if coordinator.certifiable():
                self._down(coordinator.certify())
            coordinator.open_sum()
            while missing := coordinator.missing_signatures():
                self._down(coordinator.check(coordinator.verifiers()[:missing]))
            coordinator.finish()
        except PrivacyError:
            coordinator.phase = Phase.READY

    def _hostile_round(self) -> None:
        coordinator = self.table.coordinator
        if not self._uploaded():
            return
        total = coordinator.sum
        assert total is not None
        there = [name for name in coordinator.roster.members if name in total.headers]
        views: dict[str, say.Close] = {}
        consents: dict[bytes, list[bytes]] = defaultdict(list)
        for _ in range(self.random.choice([1, 1, 2])):
            favourite, alone = self._view(there), self.habit not in {"small", "mixed"}
            single = self._single_out(there) if alone else {}
            for name in (each for each in there if each in self.honest):
                view = self._view(there, name) if self.random.random() < 0.5 else favourite
                self._close(name, single.get(name, view), views, consents)
        for name, shown in list(views.items()):
            self._certify(name, shown, consents)
        coordinator.phase = Phase.READY

    def _view(self, there: list[str], own: str = "") -> list[str]:
        least = max(1, self.table.coordinator.roster.smallest_cohort - (self.habit == "small"))
        if self.random.random() < 0.4 or len(there) < least:
            return there
        chosen = set(self.random.sample(there, self.random.randint(least, len(there)))) | ({own} - {""})
        return [name for name in there if name in chosen]

    def _single_out(self, there: list[str]) -> dict[str, list[str]]:
        """Return views that leave one honest member alone: some see it gone, it sees the others gone."""
        honest = [name for name in there if name in self.honest]
        if len(there) < len(self.table.coordinator.roster) or not honest:
            return {}
        victim = self.random.choice(honest)
        others = [name for name in honest if name != victim]
        spared = self.random.sample(
            others, min(len(others), len(there) - self.table.coordinator.roster.smallest_cohort)
        )
        views = {name: [each for each in there if each != victim] for name in others if name not in spared}
        return views | dict.fromkeys(spared, there) | {victim: [each for each in there if each not in spared]}

    def _close(
        self, name: str, view: list[str], views: dict[str, say.Close], consents: dict[bytes, list[bytes]]
    ) -> None:
        coordinator = self.table.coordinator
        total = coordinator.sum
        assert total is not None
        headers = tuple(total.raw_headers[each] for each in view)
        place = coordinator.roster.index(name)
        boxes = tuple(total.boxes[each][place] for each in view)
        message = say.Close(tuple(view), bind.headers_digest(headers), boxes)
        answer = self._tell(name, sign_as(COORDINATOR, name, coordinator._here(), message, headers))
        if answer is not None:
            views[name] = message
            consent = decode_packet(answer.message).signed
            consents[said(consent, say.Consent).cohort_sha256].append(consent)

    def _certify(self, name: str, view: say.Close, consents: dict[bytes, list[bytes]]) -> None:
        here = self.table.coordinator._here()
        cohort = bind.cohort_digest(here.binding, view.survivors, view.headers_sha256)
        votes = list(consents[cohort])
        for colluder in sorted(self.colluders & set(view.survivors)):
            votes.append(packet_of(sign_as(colluder, COORDINATOR, here, say.Consent(cohort, ()))).signed)
        if self.habit == "copies":
            votes += votes
        elif self.habit == "others":
            others = [vote for key, cast in consents.items() for vote in cast if key != cohort]
            votes += [vote for vote in others if decode_signed(vote).sender in view.survivors]
        message = say.Certificate(view.survivors, view.headers_sha256)
        self._tell(name, sign_as(COORDINATOR, name, here, message, tuple(votes)))

    # -- how it does it ------------------------------------------------------------------------------------------------

    def _uploaded(self) -> bool:
        """Open a position and let whoever takes it upload; some are cut off."""
        coordinator = self.table.coordinator
        if coordinator.phase in (Phase.IDLE, Phase.ASSEMBLING, Phase.AGREEING):
            return False
        ask = b"ask-%d" % (len(coordinator.opened) + 1)
        self._down(coordinator.open(ask, self.plan))
        for name in coordinator.roster.members:
            member = self.table.members[name]
            if member.state is State.OPENED and self.random.random() < 0.95:
                try:
                    member.derive(ask, self.plan)
                    self._up(name, member.upload(self.parts[name]))
                except PrivacyError as error:
                    self._refused(error)
        return True

    def _down(self, downlinks: object) -> None:
        for downlink in list(downlinks):  # type: ignore[call-overload]
            if self.random.random() < 0.99:
                self._up(downlink.to, self._tell(downlink.to, downlink.message))

    def _tell(self, name: str, raw: bytes) -> Outgoing | None:
        """Let a member take a packet; what it refuses is fine, what it stumbles over is not."""
        self.kept.append((name, raw))
        try:
            packet = decode_packet(raw)
            member = self.table.members[name]
            envelope = member.receive(packet.signed)
            if envelope.kind == "catch-up":
                ask = b"ask-%d" % (member.history.rounds + 1)
                member.catch_up(envelope, packet, ask, self.plan)
                return None
            answer = self.table.answer(name, encode_packet(packet))
        except PrivacyError as error:
            self._refused(error)
            return None
        if answer is not None:
            self._note(name, answer)
        return answer

    def _up(self, name: str, outgoing: Outgoing | None) -> None:
        if outgoing is None:
            return
        if outgoing.kind == "secagg.upload":
            self._note(name, outgoing)
        packet = decode_packet(outgoing.message)
        try:
            downlinks = self.table.coordinator.receive(open_envelope(packet.signed, self._identity_of), packet)
        except PrivacyError:
            return
        self._down(downlinks)

    def _identity_of(self, name: str) -> bytes:
        return self.table.manifest.identity_of(name)

    def _note(self, name: str, outgoing: Outgoing) -> None:
        if name not in self.honest:
            return
        envelope = open_envelope(decode_packet(outgoing.message).signed, self._identity_of)
        self.sent.append(envelope)
        if isinstance(envelope.message, say.Consent):
            vote = self.table.members[name].history._votes[outgoing.round or 0]
            self.votes[name][outgoing.round or 0] = vote
            self.cohorts[name].add(vote.survivors)

    def _refused(self, error: PrivacyError) -> None:
        if isinstance(error, MisuseError):
            raise error
        self.refusals[error.code] += 1


def readable(game: Hostile) -> list[str]:
    """List what went wrong: parts that can be told apart, double answers, cohorts that differ."""
    found = []
    answers: dict[tuple[str, str, bytes], int] = defaultdict(int)
    by_binding: dict[bytes, list[Envelope]] = defaultdict(list)
    for envelope in game.sent:
        if envelope.kind in {"upload", "consent", "reveal"}:
            answers[envelope.sender, envelope.kind, envelope.address.binding] += 1
            by_binding[envelope.address.binding].append(envelope)
    found += [f"{sender} sent {count} times {kind}" for (sender, kind, _), count in answers.items() if count > 1]
    found += [f"{name} voted for {len(views)} cohorts" for name, views in game.cohorts.items() if len(views) > 1]
    for sent in by_binding.values():
        found += _apart(game, sent)
    return found


def _apart(game: Hostile, sent: list[Envelope]) -> list[str]:
    """List the groups of honest members whose own sum can be read at one position, if they are too few or too many."""
    uploaders = {envelope.sender for envelope in sent if envelope.kind == "upload"}
    header = next((each.message for each in sent if isinstance(each.message, say.Header)), None)
    if header is None:
        return []
    members = len(header.share_sha256)
    roster = Roster(tuple(names_of(members)))  # its sizes alone count
    shares: dict[str, set[str]] = defaultdict(set)
    known: set[frozenset[str]] = set()
    for envelope in sent:
        if isinstance(envelope.message, say.Consent | say.Reveal):
            for share in envelope.message.shares:
                shares[share.owner].add(envelope.sender)
        if isinstance(envelope.message, say.Reveal):
            known |= {frozenset((envelope.sender, seed.dropped)) for seed in envelope.message.seeds}
    open_seeds = {name for name in uploaders if len(shares[name]) + len(game.colluders) >= roster.threshold}
    groups, left = [], set(uploaders)
    while left:
        group, edge = set(), {left.pop()}
        while edge:
            one = edge.pop()
            group.add(one)
            edge |= {other for other in game.honest if other not in group and frozenset((one, other)) not in known
                     and (other in uploaders or _in_epoch(game, sent, other))}  # fmt: skip
        left -= group
        if group <= open_seeds:
            groups.append(group)
    fewest = roster.smallest_cohort - len(game.colluders)
    found = [f"{sorted(group)} can be read, fewer than {fewest} honest" for group in groups if len(group) < fewest]
    return found + ([f"{len(groups)} sums can be read at one position"] if len(groups) > 1 else [])


def _in_epoch(game: Hostile, sent: list[Envelope], name: str) -> bool:
    """Say whether an honest member that did not upload is in the epoch of a position: its masks are in there too."""
    root = sent[0].address.agreement_root
    return any(each.sender == name and each.address.agreement_root == root for each in game.sent)
