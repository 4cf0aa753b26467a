"""Join what belongs to joining in the coordinator's process: desk, registrar, and the server's own certificate.

It holds no rule. Theory: the desk listens beside the hub on the same event loop; the coordinator's certificate is
renewed at half its life with a new key, at the start or while it runs, and both ports show the new one from the next
handshake on.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from coordinator.config import CoordinatorConfig
from coordinator.counter import Counter
from coordinator.enrolment import Enrolment, desk_endpoint
from coordinator.enrolment_desk import Desk, DeskRules
from coordinator.journal_line import say
from coordinator.keys_file import CoordinatorKeys
from coordinator.link import Hub
from coordinator.registrar import Registrar, RegistrarDesk
from coordinator.server_certificate import renew_if_due
from coordinator.store import Member, Store

__all__ = ["Admission", "AdmissionDesk"]

_PURPOSE = "operations"
_LOOK_S = 600.0


@dataclass(frozen=True, slots=True)
class AdmissionDesk:
    """What the service lends: settings, keys, database, hub, members by id, and where refusals are written down."""

    config: CoordinatorConfig
    keys: CoordinatorKeys
    store: Store
    hub: Hub
    members: Callable[[], Mapping[str, Member]]
    refused: Callable[[str, str], None]


class Admission:
    """All calls are made on one event loop."""

    def __init__(self, lent: AdmissionDesk) -> None:
        self._lent = lent
        config = lent.config
        enrolment = Enrolment(config, lent.store)
        self.registrar = Registrar(
            RegistrarDesk(
                config=config,
                identity=lent.keys.identity,
                enrolment=enrolment,
                send=lent.hub.send,
                members=lent.members,
                link=lambda: self._link,
                now=lambda: datetime.now(UTC),
            )
        )
        rules = DeskRules(
            consortium=config.consortium.name,
            consider=enrolment.consider,
            answer=self.registrar.answer,
            refused=lent.refused,
            now_us=lambda: time.time_ns() // 1000,
        )
        self._desk = Desk(config.enrolment.listen, lent.keys.tls, rules) if config.enrolment else None
        self._link = ""
        self._connected: set[str] = set()
        self._looked = 0.0

    def serve(self, counter: Counter) -> None:
        """Take the messages that are the registrar's."""
        counter.serve_kind("renew", _PURPOSE, self.registrar.take_renew)
        counter.serve_kind("introduce", _PURPOSE, self.registrar.take_introduce)

    async def start(self, link_port: int) -> dict[str, str]:
        """Open the desk, if there is one; return where it listens, for `listening.json`."""
        self._looked = asyncio.get_running_loop().time()
        if self._desk is None or self._lent.config.enrolment is None:
            return {}
        settings = self._lent.config.enrolment
        host, _, port = settings.link.rpartition(":")
        self._link = f"{host}:{link_port if port == '0' else port}"
        address = f"{settings.listen.rpartition(':')[0]}:{await self._desk.start()}"
        say("enrolment_open", state=desk_endpoint(settings, address))
        return {"enrolment": address}

    async def stop(self) -> None:
        """Close the desk."""
        if self._desk is not None:
            await self._desk.stop()

    async def settle(self) -> None:
        """Pass on a list of members that changed, and renew the server's certificate when it is due."""
        self.registrar.settle(await asyncio.to_thread(self.registrar.list_now), self._connected)
        now = asyncio.get_running_loop().time()
        if now - self._looked >= _LOOK_S:
            self._looked = now
            fresh = await asyncio.to_thread(renew_if_due, self._lent.config, datetime.now(UTC))
            if fresh is not None:
                self._lent.hub.renew(fresh.certificate_pem, fresh.key_pem)
                if self._desk is not None:
                    self._desk.renew(fresh)

    def joined(self, member: str, fresh: bool) -> None:
        """Show the list to a member that connected with a fresh session."""
        self._connected.add(member)
        if fresh:
            self.registrar.greet(member)

    def left(self, member: str) -> None:
        """Forget a member that is not connected any more."""
        self._connected.discard(member)
