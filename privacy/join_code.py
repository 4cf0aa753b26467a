"""The join code: everything that a bank needs to find its consortium and to be recognised there, in one word.

It makes no randomness and dials nobody. Theory: the code carries the hash of the authority's public key (SHA-256 of
the SubjectPublicKeyInfo, as `kubeadm join` and RFC 7469 have it), so that the first connection already knows whom to
believe, and a secret of 128 bits, good for one bank and one time. From the secret comes an Ed25519 key: the coordinator
keeps only its public half and the secret never travels, so neither a stolen database nor whoever listens can join in
the bank's place. A checksum tells a mistyped code from a wrong one.
"""

import re
from base64 import b32decode, b32encode
from dataclasses import dataclass, field

from privacy.digest import sha256
from privacy.errors import InputError
from privacy.keys import IdentityKey, extract, same_bytes
from privacy.roster import check_member_id

__all__ = ["SECRET_BYTES", "JoinCode", "decode_join_code", "invite_key"]

SECRET_BYTES = 16
_VERSION = 1
_PREFIX = "CMJ"
_CHECKSUM = 5
_HASH_BYTES = 32
_LONGEST = 1024
_ENDPOINT = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\]):([1-9]\d{0,4})")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_IGNORED = str.maketrans("018", "OIB", " \t\r\n-")


@dataclass(frozen=True, slots=True)
class JoinCode:
    """What a code says.

    endpoint: "host:port" of the coordinator's enrolment desk. authority: SHA-256 of the authority's public key, 32
    bytes. secret: 16 random bytes, never printed but in the code itself.
    """

    endpoint: str
    authority: bytes
    consortium: str
    member: str
    secret: bytes = field(repr=False)

    def encode(self) -> str:
        """Return the code: `CMJ` and base32, without anything that a mail program would break or a shell expand."""
        parts = (self.endpoint.encode("ascii"), self.consortium.encode("ascii"), self.member.encode("ascii"))
        body = bytes([_VERSION]) + b"".join(bytes([len(part)]) + part for part in parts) + self.authority + self.secret
        whole = body + sha256(b"creditmesh join code" + body)[:_CHECKSUM]
        return _PREFIX + b32encode(whole).decode("ascii").rstrip("=")


def decode_join_code(text: str) -> JoinCode:
    """Read a code as it was pasted or typed; case, spaces and hyphens do not matter.

    Raises:
        InputError: `join-code-mistyped`, or `join-code-version` for one of later software.
    """
    plain = text.translate(_IGNORED).upper()
    if not plain.startswith(_PREFIX) or len(plain) > _LONGEST:
        raise InputError("join-code-mistyped", f"this is no join code: it begins with {_PREFIX}; paste it whole")
    body = plain[len(_PREFIX) :]
    try:
        whole = b32decode(body + "=" * (-len(body) % 8))
    except ValueError:
        whole = b""
    content, checksum = whole[:-_CHECKSUM], whole[-_CHECKSUM:]
    if len(whole) <= _CHECKSUM or not same_bytes(checksum, sha256(b"creditmesh join code" + content)[:_CHECKSUM]):
        raise InputError(
            "join-code-mistyped", "the join code is mistyped or cut off (its checksum is wrong); paste it whole"
        )
    if content[0] != _VERSION:
        raise InputError("join-code-version", "the join code was made by another version; update creditmesh-node")
    return _parts(content[1:])


def invite_key(secret: bytes, consortium: str, member: str) -> IdentityKey:
    """Return the key that proves possession of a code's secret for this bank of this consortium."""
    seed = extract(b"creditmesh invite", secret, "invite", consortium.encode("ascii"), member.encode("ascii"))
    return IdentityKey.from_seed(seed)


def _parts(content: bytes) -> JoinCode:
    texts, rest = [], content
    for _ in range(3):
        size = rest[0] if rest else 0
        texts.append(rest[1 : 1 + size].decode("ascii", "replace"))
        rest = rest[1 + size :]
    endpoint, consortium, member = texts
    port = _ENDPOINT.fullmatch(endpoint)
    fine = port and int(port[1]) < 65536 and _NAME.fullmatch(consortium) and len(rest) == _HASH_BYTES + SECRET_BYTES
    if not fine:
        raise InputError("join-code-mistyped", "the join code does not hold what a code holds; ask for a new one")
    return JoinCode(endpoint, rest[:_HASH_BYTES], consortium, check_member_id(member), rest[_HASH_BYTES:])
