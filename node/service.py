"""A node's process: read keys and rows, open the log and the link, and take part in jobs until told to stop.

It decides nothing. Theory: one event loop holds the link and takes messages one at a time; what computes runs in a
thread, so heartbeats never wait for training. The table is read once, before the first connection.
"""

import asyncio
import hashlib
import hmac
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from node import model_store
from node.access import take_notes
from node.archive import Archive
from node.budget import Budget, cap_of
from node.certificate import finish_renewal
from node.clock import refuse_wrong_clock
from node.config import NodeConfig
from node.cosigning import Cosigner, Cosigning, refuse_behind
from node.dataset import dataset_digest, pseudonym, read_dictionary
from node.disk_space import DiskRule
from node.gate import Gate, GateSettings, LinkEvents, grpc_link
from node.installed import installed_digest
from node.journal_line import say
from node.keys_file import NodeKeys, Peers, consortium_of, read_keys
from node.ledger_store import LedgerStore
from node.link import LinkSettings
from node.live_peers import LivePeers, witnessed_logs
from node.membership import Membership, MembershipDesk
from node.minutes import Minutes, MinutesLog
from node.observation import observed
from node.offer_book import OfferBook
from node.opening import Rows, opening_entries
from node.permit import Permit
from node.reading import read_table
from node.record_store import RecordStore, StoreSettings, load_log_key
from node.result import write_result
from node.seat import Pins, Precautions, Seat
from node.session import Bank, Session
from node.signing import Signing
from node.signoff_rules import Signer
from node.usage import allow_exclusion, load_usage
from node.witness_store import WitnessStore, load_witness_key
from privacy.envelope import COORDINATOR
from privacy.errors import InputError, PrivacyError, RefusalError
from privacy.log.instant import Instant
from privacy.log.note import COSIGNATURE, VerifierKey
from privacy.log.policy import network_policy
from privacy.log.record import Actor, Author, Entry
from privacy.manifest import Manifest
from privacy.secagg.history import Vote
from privacy.secagg.standing import MemberRules

__all__ = ["SOFTWARE", "open_store", "run"]

SOFTWARE = "creditmesh-node/0.1.0"
_BOOT_BYTES = 16
_PATIENCE_S = 1.5
_COMMANDS_S = 1.0


def run(config: NodeConfig) -> int:
    """Take part in jobs until SIGINT (130) or SIGTERM (0)."""
    refuse_wrong_clock(config, datetime.now(UTC))
    return asyncio.run(_serve(config))


async def _serve(config: NodeConfig) -> int:
    finish_renewal(config.tls)
    keys = read_keys(config, datetime.now(UTC))
    state, boot = config.state.dir, os.urandom(32)
    store = open_store(config, boot)
    live = LivePeers(config.identity.peers, keys.peers, config.member.id, config.permit.verified_peers_only)
    try:
        witness = _open_witness(config, live.peers)
        try:
            code = await _work(config, keys, live, (store, witness), boot)
        finally:
            witness.close()
    finally:
        store.close()
        say("stopped", state=str(state.name))
    await _leave(code)


async def _work(
    config: NodeConfig, keys: NodeKeys, live: LivePeers, stores: tuple[RecordStore, WitnessStore], boot: bytes
) -> int:
    """Join gate, session and witness, and run them."""
    store, witness = stores
    inbox: asyncio.Queue[bytes | None] = asyncio.Queue()

    def on_up(_peer: bytes, fresh: bool) -> None:
        say("connected")
        membership.up()
        if fresh:
            cosigning.begin()
            inbox.put_nowait(None)

    def on_down(reason: str) -> None:
        say("disconnected", reason=reason)
        membership.down()

    def on_message(raw: bytes) -> None:
        if not cosigning.take(raw) and not signing.take(raw) and not membership.take(raw):
            inbox.put_nowait(raw)

    events = LinkEvents(on_message, on_up, on_down)
    settings = GateSettings(config.member.id, COORDINATOR, VerifierKey.parse(keys.peers.coordinator_log), boot)
    gate = Gate(settings, store, grpc_link(_link_settings(config, keys), boot[:_BOOT_BYTES], events))
    peers, member = live.peers, config.member.id
    cosigner = Cosigner(
        member=member,
        identity=keys.identity,
        identities=live.identities,
        log=peers.logs[member],
        policy=network_policy(peers.logs[member], member, peers.witnesses),
    )
    cosigning = Cosigning(cosigner, gate, store, witness, config.state.dir)
    signing = Signing(_signer(config, keys, live), keys.identity, gate, store, config.state.dir)
    loop = asyncio.get_running_loop()
    commands = partial(take_notes, config.state.dir, store.append)
    bank = _bank(config, (keys, live), store, lambda: loop.call_soon_threadsafe(cosigning.settle))
    adopt = partial(live.adopt, store=store, witness=witness, asker=cosigning)
    membership = Membership(MembershipDesk(config, keys, gate, adopt, store.defer))
    running = (
        gate.run(),
        cosigning.run(),
        signing.run(cosigning.confirmed.wait),
        membership.run(cosigning.confirmed.wait),
        _every(_COMMANDS_S, commands),
    )
    session = Session(bank, gate)
    with observed(config, lambda: membership.connected, store):
        return await _until_stopped((*running, _settle_often(session)), session, cosigning, inbox)


def _signer(config: NodeConfig, keys: NodeKeys, live: LivePeers) -> Signer:
    """Return who signs models off here, and whom it believes."""
    member = config.member.id
    consortium = consortium_of(keys.tls.certificate_pem, member)
    return Signer(member, consortium, live.peers.coordinator, live.members, config.permit.sign_off)


async def _settle_often(session: Session) -> None:
    """Answer what a person decides within a second."""
    while True:
        await session.settle_offers()
        await asyncio.sleep(_COMMANDS_S)


async def _every(seconds: float, work: Callable[[], object]) -> None:
    """Do something in a thread again and again."""
    while True:
        await asyncio.to_thread(work)
        await asyncio.sleep(seconds)


async def _until_stopped(
    running: Iterable[Coroutine[Any, Any, Any]],
    session: Session,
    cosigning: Cosigning,
    inbox: "asyncio.Queue[bytes | None]",
) -> int:
    """Run until a signal comes or something fails; None in the inbox stands for a new process of the coordinator."""
    loop, code = asyncio.get_running_loop(), 0
    stop = asyncio.Event()

    def stopped(result: int) -> None:
        nonlocal code
        code = result
        stop.set()

    loop.add_signal_handler(signal.SIGINT, stopped, 130)
    loop.add_signal_handler(signal.SIGTERM, stopped, 0)

    async def take() -> None:
        while True:
            raw = await inbox.get()
            if raw is None:
                await session.stand_by("the coordinator was restarted")
            else:
                await cosigning.confirmed.wait()  # nothing leaves before the coordinator said which head it holds
                await session.take(raw)

    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(work) for work in (*running, take(), stop.wait())]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending, timeout=_PATIENCE_S)
    for task in done:
        task.result()
    return code


async def _leave(code: int) -> NoReturn:
    """End the process here, with everything closed, and not by letting the interpreter go down.

    A thread that still computes cannot be told to stop, and gRPC's own threads may call into an interpreter that ends.
    """
    ending = asyncio.create_task(asyncio.get_running_loop().shutdown_default_executor())
    await asyncio.wait([ending], timeout=_PATIENCE_S)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def open_store(config: NodeConfig, boot: bytes) -> RecordStore:
    """Open the bank's privacy log and record that it was opened; boot: random bytes that name this process."""
    refuse_behind(config.state.dir)
    origin = f"{config.member.id}/privacy-log"
    author = Author(origin, boot, Actor("service", "node", "node", "process"))
    signer = load_log_key(config.state.dir, origin)
    config_sha256 = hashlib.sha256(config.model_dump_json().encode()).hexdigest()
    disk = DiskRule(config.state.alarm_free_percent, config.state.stop_free_percent)
    return RecordStore(StoreSettings(config.state.dir, author, signer, SOFTWARE, config_sha256, _clock, disk=disk))


def _open_witness(config: NodeConfig, peers: Peers) -> WitnessStore:
    """Open the heads that this bank holds of the others' logs; its own two keys must be those that are pinned."""
    state, member = config.state.dir, config.member.id
    signer = load_witness_key(state, member)
    pinned = (peers.logs[member], peers.witnesses[member])
    if pinned != (load_log_key(state, f"{member}/privacy-log").verifier(), signer.verifier(COSIGNATURE)):
        message = f"{config.identity.peers}: pins another log or witness key for this member than {state} holds"
        raise InputError("log-key-mismatch", message)
    return WitnessStore(state, signer, witnessed_logs(peers, member), lambda: int(time.time()))


def _clock() -> Instant:
    return Instant(time.time_ns() // 1000, time.monotonic_ns() // 1000)


def _bank(
    config: NodeConfig, who: tuple[NodeKeys, LivePeers], store: RecordStore, written: Callable[[], object]
) -> Bank:
    keys, live = who
    dictionary = read_dictionary(config.source.schema_file)
    table = read_table(
        config.source.table, config.source.schema_file, config.member.id, lambda text: say("warning", warning=text)
    )
    permit = Permit(config.permit)
    dataset = dataset_digest(config.source.table, dictionary.digest())
    usage = load_usage(config.state.dir / "usage.json", dataset, len(table.target))
    uploads = [event for event in store.egress("secagg.upload") if event.job in usage.jobs]
    usage.uploaded_bytes = sum(int(str(event.body["bytes"])) for event in uploads)
    rules = MemberRules(
        own=config.member.id,
        identity=keys.identity,
        coordinator=keys.peers.coordinator,
        commit_key=_secret(config.state.dir / "commit.key"),
        may_exclude=partial(allow_exclusion, usage, permit),
        random_bytes=os.urandom,
    )
    pins = Pins(live.members, installed_digest(), dictionary.digest(), live.unverified)
    name = pseudonym(rules.commit_key, dataset)
    unit = "record" if table.borrower is None else "borrower"
    found = Rows(name, dictionary.digest(), config.source, unit)
    changes = opening_entries(store, found, live.peers, config.member.id)
    if changes:
        store.append(changes)
    return Bank(
        rules=rules,
        pins=pins,
        permit=permit,
        usage=usage,
        rows=(dictionary, table),
        past_votes=partial(_past_votes, store),
        decided=partial(_decided, store),
        alarmed=partial(_alarmed, store),
        write=partial(_write, (config.state.dir, store), written),
        archive=Archive(config.state.dir, dataset),
        minutes=Minutes(config.state.dir, name, MinutesLog(store.defer, store.of_job, store.hold)),
        precautions=_precautions(config, store, name, unit),
        offers=OfferBook(config.state.dir) if config.permit.approval == "person" else None,
    )


def _precautions(config: NodeConfig, store: RecordStore, dataset: str, unit: str) -> Precautions:
    """Open the ledger, compare it with the log, and read the key that splits rows."""
    ledger = LedgerStore(config.state.dir, store.origin)
    newest = store.last("dp.spend")
    if newest is not None:
        ledger.check_log(newest.body)
    key = _secret(config.state.dir / "split.key")
    budget = Budget(
        ledger,
        cap_of(config.permit),
        dataset,
        lambda entry: store.defer([entry]),
        lambda: _clock().utc_us,
        unit,
    )
    return Precautions(
        budget,
        lambda message: hmac.digest(key, message, "sha256"),
        lambda sha256: model_store.get(config.state.dir, sha256),
    )


def _write(place: tuple[Path, RecordStore], written: Callable[[], object], how: str, seat: Seat) -> None:
    """Write a job's result, make what its receipts proved durable, and have the log's head cosigned."""
    state, store = place
    write_result(state, how, seat)
    store.flush()
    written()


def _link_settings(config: NodeConfig, keys: NodeKeys) -> LinkSettings:
    return LinkSettings(
        config.coordinator.endpoint, keys.tls.ca_pem, keys.tls.certificate_pem, keys.tls.key_pem, config.member.id
    )


def _secret(path: Path) -> bytes:
    """Return the 32 secret bytes in a file of the state folder, made at the first start (0600).

    `commit.key` is behind the salts of commitments, `split.key` behind the split of rows in jobs with noise.
    """
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(os.urandom(32))
            stream.flush()
            os.fsync(stream.fileno())
    return path.read_bytes()


def _decided(store: RecordStore, manifest: Manifest, reason: str, who: str = "permit") -> None:
    body: dict[str, object] = {
        "job": manifest.job,
        "decision": "refused" if reason else "accepted",
        "reason": reason or "within the permit",
        "spec_sha256": manifest.sha256().hex(),
        "code_sha256": manifest.code_sha256,
        "min_cohort": manifest.roster.smallest_cohort,
        "approvers": [who],
    }
    if manifest.dp is not None:
        body["dp"] = {"epsilon_cap": manifest.dp.epsilon, "delta": manifest.dp.delta}
    store.defer([Entry("job.decided", body, manifest.purpose, manifest.job)])


def _alarmed(store: RecordStore, job: str, error: PrivacyError) -> None:
    """Record why this bank refused the coordinator; it rides on the commit of the halt that follows."""
    refused = isinstance(error, RefusalError)
    body = {
        "class": "budget" if error.code == "budget-cap" else "blocked" if refused else "mismatch",
        "severity": "high" if refused else "critical",
        "evidence": f"{error.code}: {error.message}"[:512],
    }
    store.defer([Entry("alarm.raised", body, "operations", job)])


def _past_votes(store: RecordStore, manifest: Manifest) -> dict[int, Vote]:
    """Return this bank's votes in a job, by round, from its own log; the last of a round counts."""
    seats = [seat.member for seat in manifest.seats]
    votes: dict[int, Vote] = {}
    for event in store.egress("secagg.consent", manifest.job):
        bits = str(event.body["cohort"])
        survivors = tuple(member for member, bit in zip(seats, bits, strict=True) if bit == "1")
        if event.round is not None:
            votes[event.round] = Vote(survivors, bytes.fromhex(str(event.body["cohort_sha256"])))
    return votes
