"""The coordinator's process: open store, log and hub, and run queued jobs one after the other until told to stop.

It knows no protocol. Theory: one event loop holds the hub; jobs are found in the database, so that a command in
another process can queue one, or say what it wishes of one. A job that was running when an earlier process died goes on
first: masks live in memory only, so it does in a new epoch.
"""

import asyncio
import hashlib
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from typing import Any, NoReturn

from coordinator.access import take_notes
from coordinator.admission import Admission, AdmissionDesk
from coordinator.ballot_box import BallotBox
from coordinator.clerk import Clerk, Office
from coordinator.config import CoordinatorConfig
from coordinator.counter import Counter
from coordinator.farewell import Farewells
from coordinator.grpc_link import GrpcHub
from coordinator.head_store import HeadStore
from coordinator.journal_line import say
from coordinator.keys_file import CoordinatorKeys, read_keys
from coordinator.link import HubSettings
from coordinator.live import LiveWatch
from coordinator.log_store import LOG_ORIGIN, LogPlace, LogSettings, LogStore, load_log_key
from coordinator.observation import Observation
from coordinator.outcome import write_whole
from coordinator.postbook import Attempts, attempts_in
from coordinator.presence import Presence
from coordinator.progress import Progress
from coordinator.promotion import PromotionDesk, Promotions
from coordinator.receipt import ReceiptDesk
from coordinator.refusals import Refusals
from coordinator.registry import Registry
from coordinator.relay import Relay, RelayDesk
from coordinator.release import Releases
from coordinator.restored import Doorstep, Restored
from coordinator.roll import Roll
from coordinator.server_certificate import finish_renewal, renew_if_due
from coordinator.store import Job, Member, Store
from privacy.errors import InputError
from privacy.log.instant import Instant
from privacy.log.record import Actor, Author
from privacy.log.signoff_entries import PURPOSE

__all__ = ["SOFTWARE", "open_log", "run"]

SOFTWARE = "creditmesh-coordinator/0.1.0"
_POLL_S = 0.2
_FOLLOW_S = 0.5
_PATIENCE_S = 1.0
# A job's outcome waits so long for the banks' cosignatures; without them its model stays pending.
_SEAL_S = 1.0


def run(config: CoordinatorConfig) -> int:
    """Serve until SIGINT (130) or SIGTERM (0)."""
    return asyncio.run(_serve(config))


async def _serve(config: CoordinatorConfig) -> int:
    now = datetime.now(UTC)
    finish_renewal(config)
    renew_if_due(config, now)
    keys = read_keys(config, now)
    boot = os.urandom(32)
    store = Store(config.storage.url)
    if store.migrated:
        say("database_migrated", before=store.migrated[0] or "none", after=store.migrated[1])
    log = open_log(config, boot)
    try:
        heads = HeadStore(config.state.dir)
        try:
            code = await _Service(config, keys, store, (log, heads), boot).run()
        finally:
            heads.close()
    finally:
        log.close()
        store.close()
    await _leave(code)


class _Service:
    def __init__(
        self,
        config: CoordinatorConfig,
        keys: CoordinatorKeys,
        store: Store,
        logs: tuple[LogStore, HeadStore],
        boot: bytes,
    ) -> None:
        loop, (log, heads) = asyncio.get_running_loop(), logs
        self._config = config
        self._store = store
        self._clerk: Clerk | None = None
        self._members = {member.id: member for member in store.members()}
        self._hub = self._make_hub(keys, boot)
        refusals = Refusals(log.defer, loop.time)
        self._hub.on_refused = refusals.note
        self._presence = Presence(self._hub.last_heard, config.policy.lost_after_s)
        self._counter = Counter(keys.identity, ReceiptDesk(log), self._identities, self._hub.send_soon)
        self._log, self._roll = log, Roll(log, load_log_key(config.state.dir, LOG_ORIGIN).verifier())
        self._releases = Releases(config.state.dir, store, log)
        self._restored = Restored(config.state.dir)
        self._doorstep = Doorstep(self._restored, self._hub.cut)
        self._relay = self._make_relay(keys, log, heads)
        self._promotions = self._make_promotions(keys, log)
        self._counter.serve_kind("sign-off", PURPOSE, self._promotions.take)
        self._counter.serve_kind("promoted", PURPOSE, self._promotions.take_back)
        self._admission = Admission(AdmissionDesk(config, keys, store, self._hub, lambda: self._members, refusals.note))
        self._hub.why_refused = self._admission.registrar.refusal
        self._admission.serve(self._counter)
        self._observation = Observation(config, store, self._presence, log)
        progress = Progress(store)

        def sent_before(job: str) -> Attempts:
            return attempts_in(log.of_kinds("egress.authorised"), job)

        self._farewells = Farewells(
            store, progress, keys.identity, self._presence, self._hub.send, self._hub.backlog, log.defer, sent_before
        )
        self._office = Office(
            config, keys.identity, store, self._counter, self._presence, self._hub.send, self._hub.backlog, loop.time,
            log.defer, self._seal, self._release, progress, self._farewells, self._observation.timed, sent_before,
        )  # fmt: skip

    def _make_hub(self, keys: CoordinatorKeys, boot: bytes) -> GrpcHub:
        config = self._config
        settings = HubSettings(
            config.listen.grpc, keys.tls.ca_pem, keys.tls.certificate_pem, keys.tls.key_pem, config.consortium.name,
            lost_after_s=config.policy.lost_after_s,
        )  # fmt: skip
        return GrpcHub(
            settings, boot=boot[:16], is_member=self._is_member, on_join=self._on_join, on_message=self._on_message,
            on_leave=self._on_leave,
        )  # fmt: skip

    def _make_relay(self, keys: CoordinatorKeys, log: LogStore, heads: HeadStore) -> Relay:
        desk = RelayDesk(
            identity=keys.identity,
            log=log,
            key=load_log_key(self._config.state.dir, LOG_ORIGIN).verifier(),
            heads=heads,
            members=lambda: self._members,
            send=self._hub.send,
            send_soon=self._hub.send_soon,
            backlog=self._hub.backlog,
            is_busy=lambda: self._clerk is not None,
            restored=self._restored,
        )
        return Relay(desk)

    def _make_promotions(self, keys: CoordinatorKeys, log: LogStore) -> Promotions:
        def here() -> list[str]:
            now = asyncio.get_running_loop().time()
            return [name for name in self._members if self._presence.is_here(name, now)]

        desk = PromotionDesk(
            identity=keys.identity,
            log=log,
            registry=Registry(self._config.state.dir / "models"),
            members=lambda: self._members,
            here=here,
            send=self._hub.send,
        )
        return Promotions(BallotBox(self._store.engine), desk)

    async def run(self) -> int:
        port = await self._hub.start()
        address = self._config.listen.grpc.rpartition(":")[0] + f":{port}"
        listening = {"grpc": address, "pid": os.getpid()}
        if self._restored.waiting:
            reason = "this is a restored copy: nothing is done until enough banks say that they hold no newer head"
            say("restore_waits", members=sorted(self._members), reason=reason)
        else:
            listening |= await self._admission.start(port)
        write_whole(self._config.state.dir / "listening.json", json.dumps(listening).encode())
        say("listening", grpc=address, pid=os.getpid())
        stop, code = asyncio.Event(), 0

        def stopped(result: int) -> None:
            nonlocal code
            code = result
            stop.set()

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, stopped, 130)
        loop.add_signal_handler(signal.SIGTERM, stopped, 0)
        jobs = asyncio.create_task(self._jobs())
        others = [
            asyncio.create_task(work)
            for work in (
                self._follow_members(),
                self._relay.run(),
                self._follow_quorum(),
                self._promote(port, listening),
            )
        ]
        waits: list[asyncio.Future[Any]] = [jobs, *others, asyncio.create_task(stop.wait()), self._counter.failed]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in waits:
                if task not in done:
                    task.cancel()
            await asyncio.gather(jobs, *others, return_exceptions=True)
            for task in done:
                task.result()
        finally:
            await self._counter.drain()
            await self._admission.stop()
            await self._hub.stop()
            (self._config.state.dir / "listening.json").unlink(missing_ok=True)
            self._observation.close()
        return code

    async def _promote(self, port: int, listening: dict[str, Any]) -> None:
        """Open the joining desk and serve ballots; of a copy that was put back, once nobody holds a newer one."""
        await self._relay.stands.wait()
        if self._doorstep.open():
            listening |= await self._admission.start(port)
            write_whole(self._config.state.dir / "listening.json", json.dumps(listening).encode())
        await self._promotions.run()

    async def _jobs(self) -> None:
        await self._relay.stands.wait()
        for left in await asyncio.to_thread(self._store.unfinished):
            await self._run_job(left)
        while True:
            await self._farewells.settle()
            job = await asyncio.to_thread(self._store.next_queued)
            if job is None:
                await asyncio.sleep(_POLL_S)
            else:
                await self._run_job(job)

    async def _run_job(self, job: Job) -> None:
        self._clerk = Clerk(self._office, job)
        following = asyncio.create_task(self._follow_job(self._clerk))
        try:
            await self._clerk.run()
        finally:
            self._clerk = None
            following.cancel()
            self._relay.settle()

    async def _follow_job(self, clerk: Clerk) -> None:
        """Pass the operator's wishes on to the running job, and let whoever watches know where it stands."""
        watch = LiveWatch(clerk, lambda: time.time_ns() // 1000)
        while True:
            clerk.heed((await asyncio.to_thread(self._store.job, clerk.job.id)).wish)
            document = watch.look()
            if document is not None:
                await asyncio.to_thread(self._store.set_live, clerk.job.id, document)
            await asyncio.sleep(_FOLLOW_S)

    async def _seal(self, job: str) -> None:
        self._releases.ended(job, await self._relay.gather(_SEAL_S))

    async def _release(self) -> None:
        for job in await asyncio.to_thread(self._releases.release_pending, self._relay.quorum):
            say("model_released", job=job, members=len(self._relay.quorum.cosigners))

    async def _follow_quorum(self) -> None:
        """Release models whose quorum comes after their job has ended."""
        await self._relay.stands.wait()
        while True:
            await self._relay.next_quorum()
            if self._clerk is None:
                await self._release()

    async def _follow_members(self) -> None:
        """Learn within half a second whom a command enrolled or suspended; the hub asks on every message."""
        while True:
            before = self._members
            self._members = {member.id: member for member in await asyncio.to_thread(self._store.members)}
            for name in [name for name, known in before.items() if self._members.get(name) != known]:
                self._hub.cut(name)
            await self._admission.settle()
            if await asyncio.to_thread(self._write_down, dict(self._members)):
                self._relay.settle()
            await self._observation.settle(self._members)
            await asyncio.sleep(_FOLLOW_S)

    def _write_down(self, members: dict[str, Member]) -> bool:
        """Record who belongs to the network, and what commands did; say whether the banks are to cosign it soon.

        Then a copy that lacks a revocation, or a job that was queued, is known to be an older one a second later.
        """
        changed = self._roll.settle(members)
        return bool(take_notes(self._config.state.dir, self._log.append)) or changed

    def _is_member(self, member: str, serial: int) -> bool:
        if member not in self._members:
            # Someone may have been enrolled by a command since we last looked.
            self._members = {known.id: known for known in self._store.members()}
        known = self._members.get(member)
        if (
            known is not None
            and known.certificate_serial != serial
            and self._admission.registrar.promote(known, serial)
        ):
            self._members = {each.id: each for each in self._store.members()}
            known = self._members[member]
        return known is not None and known.certificate_serial == serial and known.status == "active"

    def _identities(self) -> dict[str, bytes]:
        return {member.id: bytes.fromhex(member.identity) for member in self._members.values()}

    def _on_join(self, member: str, boot: bytes, fresh: bool) -> None:
        self._presence.join(member, boot, fresh)
        self._doorstep.pass_by(member, lambda: self._admission.joined(member, fresh))
        self._relay.settle()  # a witness more may make a quorum
        self._promotions.join(member)
        say("member_connected", member=member)
        self._wake()

    def _on_leave(self, member: str) -> None:
        self._presence.leave(member)
        self._admission.left(member)
        say("member_left", member=member)
        self._wake()

    def _on_message(self, member: str, message: bytes) -> None:
        self._observation.received(member, len(message))
        if not self._relay.take(member, message):
            self._doorstep.pass_by(member, lambda: self._counter.take(member, message))

    def _wake(self) -> None:
        if self._clerk:
            self._clerk.wake()


def open_log(config: CoordinatorConfig, boot: bytes) -> LogStore:
    """Open the coordinator's privacy log and record that it was opened; boot: random bytes that name this process."""
    author = Author(LOG_ORIGIN, boot, Actor("service", "coordinator", "coordinator", "process"))
    config_sha256 = hashlib.sha256(config.model_dump_json().encode()).hexdigest()
    signer = load_log_key(config.state.dir, LOG_ORIGIN)
    place = _server(config.log.url) if config.log else None
    return LogStore(LogSettings(config.state.dir, author, signer, SOFTWARE, config_sha256, _clock, place=place))


def _server(url: str) -> LogPlace:
    try:
        from coordinator.postgres import LogServer
    except ImportError as error:
        text = f"[log] url: its driver cannot be loaded ({error}); install creditmesh[postgres]"
        raise InputError("driver-missing", text) from error
    return LogServer(url)


async def _leave(code: int) -> NoReturn:
    """End the process here, with everything closed, and not by letting the interpreter go down.

    A thread that still computes cannot be told to stop, and gRPC's own threads may call into an interpreter that ends.
    """
    ending = asyncio.create_task(asyncio.get_running_loop().shutdown_default_executor())
    await asyncio.wait([ending], timeout=_PATIENCE_S)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _clock() -> Instant:
    return Instant(time.time_ns() // 1000, time.monotonic_ns() // 1000)
