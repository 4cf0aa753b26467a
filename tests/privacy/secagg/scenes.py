"""Tables brought to a certain moment of a round, for tests and for attackers."""

from dataclasses import replace
from typing import TypeVar

import numpy as np

from privacy import messages as say
from privacy.field import Plan
from privacy.messages import Message
from privacy.outgoing import Outgoing
from privacy.secagg import binding as bind
from privacy.secagg.aggregator import Downlink
from privacy.wire import decode_packet, decode_payload, decode_signed
from tests.privacy.table import Bench, bench, parts_of

__all__ = ["ASK", "closing", "content", "narrowed", "plan_of", "said", "signed_of", "uploaded", "voted"]

ASK = b'{"ask":1}'
_M = TypeVar("_M", bound=Message)


def plan_of(names: list[str], length: int = 6, word_bits: int = 64, bound: int = 1000) -> Plan:
    """Return a small plan for these members."""
    return Plan(length, word_bits, bound, len(names))


def uploaded(
    names: list[str], alive: list[str] | None = None, table: Bench | None = None
) -> tuple[Bench, dict[str, np.ndarray]]:
    """Return a table whose living members have uploaded the first round, and all parts."""
    table = table or bench(names)
    plan = plan_of(names)
    table.assemble()
    parts = parts_of(names, plan)
    table.begin(ASK, plan)
    table.dead |= set(names) - set(alive or names)
    table.upload(parts)
    return table, parts


def closing(table: Bench, name: str) -> tuple[say.Close, tuple[bytes, ...], list[Downlink]]:
    """Return the honest close for one member, its headers, and everybody's downlinks, none delivered."""
    downlinks = list(table.coordinator.close())
    packet = next(decode_packet(each.message) for each in downlinks if each.to == name)
    return said(packet.signed, say.Close), packet.attachments, downlinks


def narrowed(close: say.Close, headers: tuple[bytes, ...], keep: list[int]) -> tuple[say.Close, tuple[bytes, ...]]:
    """Return a close and its headers over fewer survivors, all digests right."""
    fewer = tuple(headers[at] for at in keep)
    message = replace(
        close,
        survivors=tuple(close.survivors[at] for at in keep),
        boxes=tuple(close.boxes[at] for at in keep),
        headers_sha256=bind.headers_digest(fewer),
    )
    return message, fewer


def voted(table: Bench, downlinks: list[Downlink]) -> dict[str, bytes]:
    """Let the living vote and return their signed consents; nothing goes back to the coordinator."""
    votes: dict[str, bytes] = {}
    for downlink in downlinks:
        outgoing = table.answer(downlink.to, downlink.message)
        votes[downlink.to] = signed_of(outgoing)
    return votes


def signed_of(outgoing: Outgoing | None) -> bytes:
    """Return the signed message in an outgoing packet."""
    assert outgoing is not None
    return decode_packet(outgoing.message).signed


def content(outgoing: Outgoing | None, kind: type[_M]) -> _M:
    """Return what an outgoing packet says, which has to be of this kind."""
    return said(signed_of(outgoing), kind)


def said(raw: bytes, kind: type[_M]) -> _M:
    """Return what a signed message says, which has to be of this kind."""
    signed = decode_signed(raw)
    message = decode_payload(signed.kind, signed.payload)
    assert isinstance(message, kind), signed.kind
    return message
