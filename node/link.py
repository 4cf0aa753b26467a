"""The port through which messages leave a node: what a link promises, and its settings.

It moves no bytes itself; `node/grpc_link.py` does, and only `node/gate.py` may hold one.

Theory: a link carries opaque messages between this process and the coordinator's, in order and each exactly once,
for as long as both processes live, however often the connection breaks. A session belongs to one pair of
processes. When either restarts, a fresh session begins, and what was queued in the old one is dropped: the
protocol above must then start again, because its keys lived in the memory of the process that is gone.
"""

from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["ControlBlock", "Link", "LinkSettings"]


@dataclass(frozen=True, slots=True)
class ControlBlock:
    """Allow so many control frames (greetings, heartbeats, acknowledgements) to leave.

    frames: how many, at least 1.
    size: how many bytes of protobuf in all.
    """

    frames: int
    size: int


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Say where the coordinator is, who we are and how patient the link is.

    endpoint: `host:port`; the host must stand in the coordinator's certificate.
    ca_pem, certificate_pem, key_pem: PEM bytes; the key is never printed.
    member_id: our id, as in the certificate's `spiffe://<consortium>/member/<id>`.
    heartbeat_s: seconds between two heartbeats.
    lost_after_s: seconds without any frame after which the coordinator counts as gone.
    max_message_bytes: the largest message either way.
    retry_min_s, retry_max_s: bounds of the exponential back-off between two attempts.
    """

    endpoint: str
    ca_pem: bytes
    certificate_pem: bytes
    key_pem: bytes = field(repr=False)
    member_id: str
    heartbeat_s: float = 1.0
    lost_after_s: float = 5.0
    max_message_bytes: int = 600 * 1024 * 1024
    retry_min_s: float = 0.2
    retry_max_s: float = 30.0


class Link(Protocol):
    """Carry messages to the coordinator.

    The implementation is constructed with these callbacks, all called on the event loop:

    authorise_control() -> ControlBlock   called when the last block is used up; its record must be durable on
                                          return. What it raises ends `run`: nothing leaves without a record.
    on_message(message: bytes)            one whole message of the coordinator's, in order, once. It is
                                          acknowledged when the callback returns; what it raises ends `run`.
    on_up(boot: bytes, fresh: bool)       connected to the coordinator's process `boot`; with `fresh` a new session
                                          began and whatever was queued or half received is dropped.
    on_down(reason: str)                  one line for the operator: the connection broke, or could not be made
                                          (said once until the reason changes).
    """

    async def run(self) -> None:
        """Connect and stay connected, reconnecting with back-off, until cancelled."""

    def renew(self, certificate_pem: bytes, key_pem: bytes) -> None:
        """Connect with this certificate from now on, and at once; the session and what is queued in it live on."""

    async def send(self, message: bytes) -> None:
        """Queue one message and return; wait only while too much is queued already.

        Without a session (before the first `on_up`) the message is dropped, as a fresh session would drop it.
        """
