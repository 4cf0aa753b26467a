"""The kinds of events and what the body of each may hold.

A registry of field checks; it knows nothing of when an event is due. Theory: the writer refuses unknown kinds,
unknown keys and values of a wrong form, so a body cannot carry a free datum; the verifier tolerates unknown kinds (a
later version may add some) and holds known kinds to the same schema. Nothing here may be a personal datum: people
appear as pseudonyms, documents and detail as digests or commitments, decimals as strings.

A message to several members has one record: `to` is `*`, and `recipients` marks them over the seats that `job.decided`
of the same log lists as `approvers`. The masked parts of one sum share a `msg_id` and differ in `part`, their owner.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

__all__ = ["KINDS", "Check", "Schema", "fault_of", "is_count", "is_hex", "is_text", "one_of"]

Check = Callable[[object], bool]
Schema = Mapping[str, Check]

# Control characters, and the marks that change the direction of text on a screen or print.
_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]*")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,30})?(?:e-?[0-9]{1,3})?|inf")


def is_count(value: object) -> bool:
    """Accept an integer from 0 (the encoding keeps it below 2^53)."""
    return type(value) is int and value >= 0


def is_text(limit: int) -> Check:
    """Accept a string of 1 to `limit` characters without control or direction characters."""

    def check(value: object) -> bool:
        if not isinstance(value, str) or not 0 < len(value) <= limit:
            return False
        # For ASCII the two rules are one, and the built-in one is the faster.
        return value.isprintable() if value.isascii() else _TEXT.fullmatch(value) is not None

    return check


def is_hex(least: int, most: int | None = None) -> Check:
    """Accept lower-case hexadecimal digits for `least` to `most` bytes (by default exactly `least`)."""
    digits = re.compile(f"(?:[0-9a-f]{{2}}){{{least},{least if most is None else most}}}").fullmatch

    def check(value: object) -> bool:
        return isinstance(value, str) and digits(value) is not None

    return check


def one_of(*names: str) -> Check:
    """Accept one of the given strings."""
    return lambda value: isinstance(value, str) and value in names


def fault_of(body: Mapping[str, object], schema: Schema) -> str | None:
    """Say what is wrong with a body, or None. A schema key that ends in `?` is optional."""
    if _fits(body, schema):
        return None
    for key in body:
        if key.endswith("?") or (key not in schema and key + "?" not in schema):
            return f"unknown key {key!r:.40}"
    for name, check in schema.items():
        key = name.removesuffix("?")
        if key not in body:
            if key == name:
                return f"missing key {key!r}"
        elif not check(body[key]):
            return f"key {key!r} has a wrong form"
    return None


def _fits(body: Mapping[str, object], schema: Schema) -> bool:
    """Say whether every key is known and well formed, in one pass: nearly all bodies are."""
    known = 0
    for name, check in schema.items():
        if name[-1] == "?":
            key = name[:-1]
            if key not in body:
                continue
            name = key
        elif name not in body:
            return False
        if not check(body[name]):
            return False
        known += 1
    return known == len(body)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_decimal(value: object) -> bool:
    return isinstance(value, str) and _DECIMAL.fullmatch(value) is not None


def _is_whole(value: object) -> bool:
    # As text, since a variance may go beyond 2^53.
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 40 and value[0] != "0"


def _bitmap(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 256 and not value.strip("01")


def _list_of(item: Check, limit: int) -> Check:
    return lambda value: isinstance(value, list) and len(value) <= limit and all(item(each) for each in value)


def _fields(schema: Schema) -> Check:
    return lambda value: isinstance(value, dict) and fault_of(value, schema) is None


_code = is_text(64)
_name = is_text(256)
_reason = is_text(512)
_sha256 = is_hex(32)
_names = _list_of(_name, 64)
_head = _fields({"size": is_count, "root": _sha256})

_LOG: Mapping[str, Schema] = {
    "log.opened": {
        "software": _name,
        "config_sha256": _sha256,
        "prev": _head,
        "unclean": _is_flag,
        "gap_s": is_count,
    },
    "peer.checkpoint": {
        "origin": _name,
        "size": is_count,
        "root": _sha256,
        "linked": _is_flag,
        "cosigners": _list_of(_name, 256),
    },
    "alarm.raised": {
        "class": one_of("fork", "gap", "mismatch", "clock.step", "disk", "budget", "blocked"),
        "severity": one_of("low", "medium", "high", "critical"),
        "evidence": _reason,
        "notified_at?": _name,
    },
    "audit.exported": {
        "who": _name,
        "filter": _reason,
        "rows": is_count,
        "files": _list_of(_fields({"name": _name, "sha256": _sha256}), 64),
        "checkpoint": _head,
    },
    "access.checked": {
        "subject": _name,
        "action": _code,
        "resource": _name,
        "decision": one_of("allowed", "denied"),
        "policy_version": _code,
    },
    "key.rotated": {
        "role": _code,
        "old_vkey": _name,
        "new_vkey": _name,
        "overlap_until": _name,
        "reason": _reason,
        "last_good_size?": is_count,
    },
    "member.changed": {
        "member": _name,
        "action": one_of("joined", "left", "suspended", "restored", "excluded"),
        "vkeys": _list_of(_name, 8),
        "policy_sha256": _sha256,
        "quorum": _fields({"k": is_count, "n": is_count}),
    },
}

_GOVERNANCE: Mapping[str, Schema] = {
    "dataset.registered": {
        "dataset": _name,
        "schema_sha256": _sha256,
        "class": one_of("C1", "C2", "C3"),
        "basis": _code,
        "unit_of_privacy": _code,
        "retention_until": _name,
    },
    "assessment.recorded": {
        "doc_sha256": _sha256,
        "type": one_of("PIPIA", "DPIA"),
        "scope": _names,
        "valid_to": _name,
        "signatories": _names,
    },
    "job.decided": {
        "job": _name,
        "decision": one_of("accepted", "refused"),
        "reason": _reason,
        "spec_sha256": _sha256,
        "code_sha256?": _sha256,
        "min_cohort": is_count,
        "dp?": _fields({"epsilon_cap": _is_decimal, "delta": _is_decimal}),
        "approvers": _list_of(_name, 256),
    },
    "model.released": {
        "version": _name,
        "sha256": _sha256,
        "parent?": _sha256,
        "jobs": _names,
        "metrics": _list_of(_fields({"name": _code, "value": _is_decimal}), 64),
        "validation_sha256": _sha256,
        "approvers": _names,
        "quorum_size": is_count,
    },
    "model.signed": {
        "sha256": _sha256,
        "role": one_of("champion", "challenger"),
        "member": _name,
        "decision": one_of("approve", "reject"),
        "reason?": _code,
        "who": _code,
        "number": is_count,
        "proposal_sha256": _sha256,
        "ballot_sha256": _sha256,
    },
    "model.promoted": {
        "sha256": _sha256,
        "role": one_of("champion", "challenger"),
        "number": is_count,
        "rollback": _is_flag,
        "parent?": _sha256,
        "proposal_sha256": _sha256,
        "quorum": _fields({"k": is_count, "n": is_count}),
        "approvers": _list_of(_name, 256),
        "ballots_sha256": _sha256,
    },
    "decision.made": {
        "ref": _sha256,
        "model_sha256": _sha256,
        "features_c": _sha256,
        "score": is_count,
        "threshold": is_count,
        "outcome": _code,
        "reason_codes": _list_of(_code, 16),
        "explanation_sha256": _sha256,
        "review": _code,
        "policy_sha256?": _sha256,
        "dictionary_sha256?": _sha256,
        "soft?": one_of("-2", "-1", "0", "+1", "+2"),
        "challenger?": _fields({"model_sha256": _sha256, "score": is_count}),
    },
    "decision.overridden": {
        "ref": _sha256,
        "explanation_sha256": _sha256,
        "before": _code,
        "after": _code,
        "reason_code": _code,
    },
    "erasure.done": {
        "request_ref": _name,
        "type": _code,
        "received": _name,
        "due": _name,
        "done": _name,
        "seqs": _list_of(is_count, 512),
        "method": _code,
    },
}

_TRAINING: Mapping[str, Schema] = {
    "train.round": {
        "dataset": _name,
        "steps": is_count,
        "ms": is_count,
        "model_in_sha256": _sha256,
        "code_sha256": _sha256,
        "clip_norm?": _is_decimal,
        "noise_multiplier?": _is_decimal,
    },
    "dp.spend": {
        "dataset": _name,
        "unit": one_of("borrower", "record"),
        "neighbouring": one_of("add-remove", "replace-one"),
        "mechanism": _code,
        "sampling": one_of("poisson", "fixed", "shuffle", "none"),
        "q": _is_decimal,
        "steps": is_count,
        "rows": _code,
        "variance": _is_whole,
        "row_l1": _is_whole,
        "row_l2_squared": _is_whole,
        "noise_multiplier": _is_decimal,
        "clip_norm": _is_decimal,
        "delta": _is_decimal,
        "accountant": _name,
        "eps_step": _is_decimal,
        "eps_total": _is_decimal,
        "cap": _is_decimal,
        "rng": _code,
        "trust_model": _code,
        "entry": is_count,
        "first": is_count,
        "period_days?": is_count,
        "ask_sha256": _sha256,
        "ledger_sha256": _sha256,
    },
    "secagg.round": {
        "protocol": _code,
        "epoch?": is_count,
        "position": is_count,
        "binding?": _sha256,
        "cohort": _bitmap,
        "survivors": _bitmap,
        "dropouts": _bitmap,
        "threshold": is_count,
        "commitments_sha256": _sha256,
        "revealed_sha256": _sha256,
        "aggregate_sha256": _sha256,
    },
}

_TRANSFER: Mapping[str, Schema] = {
    "egress.authorised": {
        "msg_id": _name,
        "to": _name,
        "bytes": is_count,
        "payload_kind": _code,
        "protection": _code,
        "payload_sha256?": _sha256,
        "frames?": is_count,
        "attempt?": is_count,
        "manifest_sha256?": _sha256,
        "epoch?": is_count,
        "position?": is_count,
        "ask_sha256?": _sha256,
        "cohort_sha256?": _sha256,
        "cohort?": _bitmap,
        "shares?": _bitmap,
        "seeds?": _bitmap,
        "recipients?": _bitmap,
        "part?": _code,
    },
    "egress.result": {
        "msg_id": _name,
        "status": one_of("received", "refused", "failed"),
        "attempts": is_count,
        "peer": _fields({"log": _name, "index": is_count, "size": is_count, "root": _sha256}),
    },
    "ingress.received": {
        "msg_id": _name,
        "from": _name,
        "bytes": is_count,
        "payload_sha256": _sha256,
        "payload_kind?": _code,
        "part?": _code,
        "accepted": _is_flag,
        "reason?": _reason,
        "manifest_sha256?": _sha256,
        "agreement_root?": _sha256,
        "binding?": _sha256,
        "signature?": is_hex(64),
    },
}

KINDS: Mapping[str, Schema] = MappingProxyType({**_LOG, **_GOVERNANCE, **_TRAINING, **_TRANSFER})
