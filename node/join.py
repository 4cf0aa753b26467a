"""Join a consortium with the code that its operator sent: make keys, apply, wait for approval, write the settings.

It reads no row of the bank's table. Theory: every secret is made here and stays here; what leaves is a certificate
request and public keys, signed with the key of the join code's secret and with the identity that they state, over a
connection that is pinned to the authority named in the code. A person reads the fingerprint to the operator on the
telephone. Nothing is done twice: the keys are on disk before anything is said, so the same command goes on after any
interruption, and the settings are written last, so a file that is there is a file that works.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from node.certificate import check_certificate, make_request, new_tls_key
from node.config import load
from node.desk_line import DeskLine, clock_complaint, fetch_authority
from node.keys_file import read_identity
from node.note_key import load_note_key
from node.pin_book import PinBook, open_book, write_whole
from node.record_store import load_log_key
from node.witness_store import load_witness_key
from privacy.enrolment import Answer, Application
from privacy.errors import InputError, PeerError, VerificationError
from privacy.join_code import JoinCode, decode_join_code, invite_key
from privacy.keys import IdentityKey
from privacy.log.note import COSIGNATURE, VerifierKey
from privacy.member_entry import MemberEntry, SignedEntry, decode_list, sign_entry

__all__ = ["REFUSALS", "BankKeys", "Places", "join", "make_keys", "write_settings"]

TIMEOUT_S = 10.0
# The desk holds an application that waits for a person for some seconds before it answers.
ANSWER_S = 60.0
PAUSE_S = 1.0
REFUSALS = {
    "invite-unknown": "the coordinator does not know this join code; ask the operator for a new one",
    "invite-expired": "this join code has expired; ask the operator for a new one",
    "invite-cancelled": "this join code was cancelled or replaced by a newer one; use the newest one",
    "invite-void": "this join code is void: a wrong fingerprint was typed three times; ask the operator for a new one",
    "invite-used": "this join code was used already, with other keys: if that was not this bank, somebody copied the "
    "code: tell the operator at once; if it was, join with the state folder that was used then",
    "other-consortium": "the coordinator serves another consortium than the join code names; ask the operator",
    "application-signature": "the coordinator found a signature that does not hold; update creditmesh-node",
    "request-unusable": "the coordinator cannot read the certificate request; update creditmesh-node",
    "too-many-tries": "the coordinator takes no more tries from this address for a minute; then try again",
    "enrolment-version": "the coordinator speaks another version of enrolment; update one of the two",
    "enrolment-malformed": "the coordinator does not understand the application; update one of the two",
    "desk-fault": "the coordinator failed on an error of its own; its log says more: tell the operator",
}
_NODE_TOML = """\
[member]
id = "{member}"

[coordinator]
endpoint = "{link}"
enrolment = "{enrolment}"

[tls]
ca = {ca}
certificate = {certificate}
key = {key}

[identity]
key = {identity}
peers = {peers}

[source]
table = {table}
schema = {schema}

[permit]
verified_peers_only = true

[state]
dir = {state}
"""


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything lies: the bank's table and dictionary, its state folder, and the settings to be written.

    table and schema are None where the settings are there already.
    """

    table: Path | None
    schema: Path | None
    state: Path
    config: Path

    @property
    def keys(self) -> Path:
        """Return the folder of the keys."""
        return self.state / "keys"


@dataclass(frozen=True, slots=True, repr=False)
class BankKeys:
    """What was made here: identity, TLS key (PEM), and the public half of everything as this bank's signed entry."""

    identity: IdentityKey
    tls_pem: bytes
    entry: SignedEntry


def join(code_text: str, places: Places, wait: bool, say: Callable[[str], None], now: Callable[[], datetime]) -> int:
    """Join, and return the exit code: 0 joined, 3 the application waits and `wait` is false.

    say: prints a line. now: the time, aware, UTC. The state folder is locked by the caller.

    Raises:
        InputError: a code, file, name, port, proxy or clock that is wrong.
        VerificationError: somebody else answers, or what was approved is not what was asked for.
    """
    code = decode_join_code(code_text)
    places = _settled(places, code, now())
    _check_places(places)
    _check_owner(places.state, code.member)
    greeting = fetch_authority(code.endpoint, code.authority, TIMEOUT_S)
    complaint = clock_complaint(greeting, now())
    if complaint:
        raise InputError("clock-wrong", complaint)
    keys = make_keys(places.state, code.consortium, code.member)
    say(f"{code.member}: keys are in {places.state}; show that folder to nobody")
    say(f"fingerprint / 指纹:\n\n    {keys.entry.entry.fingerprint()}\n")
    say(f"Read it to the operator of {code.consortium} on the telephone. 请通过电话向运营方宣读上述指纹。")
    answer = _await_answer(code, keys, greeting.authority_pem, wait, say, now)
    if answer is None:
        say("the application waits for approval; run the same command again to go on")
        return 3
    write_settings(code, keys, places, answer)
    say(f"joined {code.consortium} as {code.member}; next: creditmesh-node doctor --config {places.config}")
    return 0


def make_keys(state: Path, consortium: str, member: str) -> BankKeys:
    """Read the bank's keys, making those that are not there yet (0600); return them with the signed entry."""
    folder = state / "keys"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    load_note_key(folder / "identity.key", member)  # makes it once, through a draft
    identity, tls = read_identity(folder / "identity.key"), folder / "tls.key"
    if not tls.exists():
        write_whole(tls, new_tls_key(), 0o600)
    log = load_log_key(state, f"{member}/privacy-log").verifier().encode()
    witness = load_witness_key(state, member).verifier(COSIGNATURE).encode()
    entry = MemberEntry(consortium, member, identity.public.hex(), log, witness)
    return BankKeys(identity, tls.read_bytes(), sign_entry(identity, entry))


def write_settings(code: JoinCode, keys: BankKeys, places: Places, answer: Answer) -> None:
    """Check what was approved and write certificate, authority, members.json and, last, node.toml."""
    uri = f"spiffe://{code.consortium}/member/{code.member}"
    check_certificate(answer.certificate_pem.encode(), answer.authority_pem.encode(), keys.tls_pem, uri)
    try:
        VerifierKey.parse(answer.coordinator_log)
        entries = decode_list(answer.members.encode("utf-8"), code.consortium)
    except (PeerError, InputError) as error:
        raise VerificationError(
            error.code, f"the coordinator's list of members cannot be used: {error.message}"
        ) from None
    if keys.entry not in entries:
        raise VerificationError("entry-own", "the coordinator lists other keys under this bank's own name; tell it")
    folder = places.keys
    open_book(
        folder / "members.json",
        {"identity": answer.coordinator_identity, "log": answer.coordinator_log},
        keys.entry.entry,
    )
    write_whole(folder / "ca.pem", answer.authority_pem.encode("ascii"))
    write_whole(folder / "certificate.pem", answer.certificate_pem.encode("ascii"))
    PinBook(folder / "members.json", code.member, code.consortium).take(entries, verified_only=True)
    beside = places.config.resolve().parent
    paths = {
        "ca": folder / "ca.pem",
        "certificate": folder / "certificate.pem",
        "key": folder / "tls.key",
        "identity": folder / "identity.key",
        "peers": folder / "members.json",
        "table": places.table or Path(),
        "schema": places.schema or Path(),
        "state": places.state,
    }
    shown = {name: _toml(_relative(path.resolve(), beside)) for name, path in paths.items()}
    text = _NODE_TOML.format(member=code.member, link=answer.link, enrolment=code.endpoint, **shown)
    if not places.config.exists():  # there it stays as it is, with the permit that the bank gave itself
        write_whole(places.config, text.encode("utf-8"))


def _await_answer(
    code: JoinCode,
    keys: BankKeys,
    authority_pem: str,
    wait: bool,
    say: Callable[[str], None],
    now: Callable[[], datetime],
) -> Answer | None:
    """Apply until there is a decision; None if it waits and `wait` is false. A line that breaks is made again."""
    invite, request = invite_key(code.secret, code.consortium, code.member), make_request(keys.tls_pem)
    waiting, trouble = False, ""
    while True:
        try:
            with DeskLine.open(code.endpoint, authority_pem, now(), TIMEOUT_S) as line:
                nonce = line.greeting.nonce
                answer = line.apply(
                    Application.make(nonce, request, keys.entry, (invite, keys.identity), waiting), ANSWER_S
                )
        except InputError as error:
            if not waiting:
                raise
            if error.message != trouble:
                say(f"{error.message} (still waiting)")
            trouble = error.message
            time.sleep(PAUSE_S)
            continue
        if answer.state == "approved":
            return answer
        if answer.state == "refused":
            refusal = REFUSALS.get(answer.code, "the coordinator refused the application; ask its operator why")
            raise InputError("application-refused", refusal)
        if not wait:
            return None
        if not waiting:
            say("waiting for approval; Ctrl-C is harmless, the same command goes on")
        waiting, trouble = True, ""


def _settled(places: Places, code: JoinCode, now: datetime) -> Places:
    """Return the places as settings that are there name them: those of this bank, whose certificate has run out."""
    if not places.config.exists():
        return places
    settings = load(places.config)
    try:
        ends = x509.load_pem_x509_certificate(settings.tls.certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        ends = now  # lost, so it counts as little as one that has run out
    if settings.member.id != code.member or ends > now:
        raise InputError(
            "joined-already",
            f"{places.config}: exists already, so {settings.member.id} has joined; next: creditmesh-node run --config "
            f"{places.config} (to join as another bank, name another --config and --state)",
        )
    if settings.tls.certificate.resolve() != (places.keys / "certificate.pem").resolve():
        message = f"{places.config} keeps its certificate at {settings.tls.certificate}, not under {places.keys}"
        raise InputError("state-other", f"{message}; name that state folder: --state DIR")
    return Places(settings.source.table, settings.source.schema_file, settings.state.dir, places.config)


def _check_owner(state: Path, member: str) -> None:
    """Refuse a state folder that was made for another bank."""
    origin = state / "origin"
    owner = origin.read_text("utf-8", "replace").strip().partition("/")[0] if origin.is_file() else member
    if owner != member:
        raise InputError(
            "state-other",
            f"{state}: the state folder of {owner[:64]!r}, and the code is for {member}; give another one: --state DIR",
        )


def _check_places(places: Places) -> None:
    for option, path in (("--data", places.table), ("--schema", places.schema)):
        if path is None:
            raise InputError("usage", "join needs --data TABLE and --schema FILE; see creditmesh-node join --help")
        if not path.is_file():
            raise InputError("file-unreadable", f"{option} {path}: no such file; give the bank's table and dictionary")
    if not os.access(places.config.resolve().parent, os.W_OK):
        raise InputError("folder-unwritable", f"{places.config}: its folder is not there or cannot be written")


def _relative(path: Path, beside: Path) -> str:
    return str(path.relative_to(beside)) if path.is_relative_to(beside) else str(path)


def _toml(text: str) -> str:
    # A JSON string is a TOML basic string, but for one control character that no path here has.
    return json.dumps(text, ensure_ascii=False)
