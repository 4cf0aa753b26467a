"""The port through which the coordinator speaks to its members: what a hub promises, and its settings.

It moves no bytes itself; `coordinator/grpc_link.py` does.

Theory: members dial in and keep one stream each. A session belongs to one pair of processes (the member's and
ours) and outlives the stream: within it every message is delivered in order, each exactly once. When either process
restarts a fresh session begins, and what was queued in the old one is dropped.
"""

from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Hub", "HubSettings"]


@dataclass(frozen=True, slots=True)
class HubSettings:
    """Say where to listen, who we are and how patient the hub is.

    listen: `host:port`; port 0 takes a free one.
    ca_pem, certificate_pem, key_pem: PEM bytes; the key is never printed.
    consortium: the name in every member's `spiffe://<consortium>/member/<id>`.
    heartbeat_s: seconds between two heartbeats.
    lost_after_s: seconds without any frame after which a member counts as gone.
    max_message_bytes: the largest message either way.
    """

    listen: str
    ca_pem: bytes
    certificate_pem: bytes
    key_pem: bytes = field(repr=False)
    consortium: str
    heartbeat_s: float = 1.0
    lost_after_s: float = 5.0
    max_message_bytes: int = 600 * 1024 * 1024


class Hub(Protocol):
    """Carry messages to and from members.

    The implementation is constructed with these callbacks, all called on the event loop:

    is_member(member: str, serial: int) -> bool   may the holder of this certificate speak for this member? Asked
                                                  at connect, on every message and on every heartbeat.
    on_join(member: str, boot: bytes, fresh: bool) a stream of the member's process `boot` stands; with `fresh` a new
                                                  session began and whatever was queued or half received is dropped.
    on_message(member: str, message: bytes)       one whole message, in order, once. It is acknowledged when the
                                                  callback returns.
    on_leave(member: str)                         the stream is gone or silent. Every `on_join` has one `on_leave`.
    why_refused(member: str, serial: int) -> str  set after construction, if wanted: the slug that a peer is told when
                                                  `is_member` said no.
    on_refused(member: str, slug: str)            set after construction, if wanted: a stream was ended because it broke
                                                  the rules of the link; `member` is "" where no certificate names one.
    """

    async def start(self) -> int:
        """Bind and serve; return the port. Raise InputError if the address cannot be bound."""

    async def stop(self) -> None:
        """Close every stream and the port; return when nothing listens any more."""

    def renew(self, certificate_pem: bytes, key_pem: bytes) -> None:
        """Show this certificate from the next handshake on; streams that stand go on."""

    def cut(self, member: str) -> None:
        """End a member's stream now if its certificate no longer counts, without waiting for its next message."""

    def send(self, member: str, message: bytes) -> None:
        """Queue one message; it is kept by reference until acknowledged, so one object may go to many members.

        To a member without a session it is dropped, as a fresh session would drop it.
        """

    def send_soon(self, member: str, message: bytes) -> None:
        """Do what `send` does within a few hundredths of a second, in order, and in fewer frames."""

    def backlog(self, member: str) -> int:
        """Return how many queued bytes the member has not acknowledged; 0 without a session.

        Whoever has much to send waits until this has gone down; small messages may stay unacknowledged for a while.
        """

    def last_heard(self, member: str) -> float | None:
        """Return the event loop's time of the member's last frame, None if it never spoke to this process."""
