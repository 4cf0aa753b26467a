"""Compute the vectors again from their description, with none of our code: `python tests/vectors/recheck.py [folder]`.

Standard library and `cryptography` only, written from the protocol's text: a second implementation, slow and short.
Prints one line a file, and ends with 1 and the places that differ if anything does.
"""

import base64
import hashlib
import hmac
import json
import re
import sys
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PRIME = 2**255 - 19
Vector = dict[str, Any]


def h(label: str, *parts: bytes) -> bytes:
    framed = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hashlib.sha256(b"creditmesh/" + label.encode() + b"/v1\0" + framed).digest()


def n8(value: int) -> bytes:
    return value.to_bytes(8, "big")


def x(text: str) -> bytes:
    return bytes.fromhex(text)


def hkdf_expand(key: bytes, label: str, *parts: bytes) -> bytes:
    framed = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    return hmac.digest(key, b"creditmesh/" + label.encode() + b"/v1\0" + framed + b"\x01", "sha256")


def hkdf(salt: bytes, secret: bytes, label: str, *parts: bytes) -> bytes:
    return hkdf_expand(hmac.digest(salt, secret, "sha256"), label, *parts)


def stream(key: bytes, length: int, bits: int) -> list[int]:
    size = bits // 8
    raw = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor().update(bytes(length * size))
    return [int.from_bytes(raw[at : at + size], "little") for at in range(0, len(raw), size)]


def little(words: list[int], bits: int) -> bytes:
    return b"".join(word.to_bytes(bits // 8, "little") for word in words)


def deal(secret: bytes, noise: bytes, count: int) -> list[bytes]:
    coefficients = [int.from_bytes(noise[at : at + 48], "big") % PRIME for at in range(0, len(noise), 48)]
    coefficients.append(int.from_bytes(secret, "big"))
    degree = len(coefficients) - 1
    return [
        (sum(a * pow(point, degree - at, PRIME) for at, a in enumerate(coefficients)) % PRIME).to_bytes(32, "big")
        for point in range(1, count + 1)
    ]


def rebuild(points: list[int], shares: list[bytes]) -> int:
    total = 0
    for point, share in zip(points, shares, strict=True):
        weight = 1
        for other in points:
            if other != point:
                weight = weight * other * pow(other - point, -1, PRIME) % PRIME
        total += weight * int.from_bytes(share, "big")
    return total % PRIME


def opens(key: bytes, box: bytes, associated: bytes) -> bytes | None:
    try:
        return AESGCM(key).decrypt(bytes(12), box, associated)
    except InvalidTag:
        return None


def protobuf(raw: bytes) -> dict[int, list[Any]]:
    """Return the fields of a flat message: bytes for length-delimited ones, int for varints."""
    found: dict[int, list[Any]] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = raw[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(raw):
        tag = varint()
        if tag & 7 == 2:
            size = varint()
            found.setdefault(tag >> 3, []).append(raw[at : at + size])
            at += size
        else:
            found.setdefault(tag >> 3, []).append(varint())
    return found


# -- single pieces -----------------------------------------------------------------------------------------------------


def check_digest(v: Vector) -> None:
    for case in v["good"]:
        assert h(case["label"], *map(x, case["parts"])).hex() == case["digest"], case
    for case in v["bad"]:
        assert h(case["label"], *map(x, case["parts"])).hex() != case["digest"], case


def check_binding(v: Vector) -> None:
    for case, same in [(case, True) for case in v["good"]] + [(case, False) for case in v["bad"]]:
        made = h("binding", x(case["root"]), n8(case["position"]), n8(case["round"]), x(case["ask_sha256"]),
                 x(case["transcript"]))  # fmt: skip
        assert (made.hex() == case["binding"]) is same, case
    root = v["root"]
    setups = map(x, root["setups"])
    made = h("agreement-root", x(root["manifest_sha256"]), n8(root["epoch"]), x(root["transcript"]), *setups)
    assert made.hex() == root["agreement_root"]


def check_keys(v: Vector) -> None:
    for case in v["extract"]:
        assert hkdf(x(case["salt"]), x(case["secret"]), case["label"], *map(x, case["parts"])).hex() == case["key"]
    for case in v["expand"]:
        assert hkdf_expand(x(case["key"]), case["label"], *map(x, case["parts"])).hex() == case["out"], case
    for case in v["box"]:
        assert opens(x(case["key"]), x(case["box"]), x(case["associated"])) == x(case["plaintext"]), case
    for case in v["bad_box"]:
        assert opens(x(case["key"]), x(case["box"]), x(case["associated"])) is None, case
    for public in v["low_order"]:
        try:
            X25519PrivateKey.from_private_bytes(bytes(range(32))).exchange(X25519PublicKey.from_public_bytes(x(public)))
        except ValueError:
            continue
        raise AssertionError(f"{public} is not of low order")


def check_mask(v: Vector) -> None:
    for case, same in [(case, True) for case in v["good"]] + [(case, False) for case in v["bad"]]:
        assert case["word_bits"] in (32, 64)
        words = stream(x(case["key"]), case["length"], case["word_bits"])
        digest = hashlib.sha256(little(words, case["word_bits"])).hexdigest()
        assert (digest == case["sha256"] and [str(word) for word in words[:4]] == case["first"]) is same, case


def check_shamir(v: Vector) -> None:
    for case in v["good"]:
        shares = [x(share) for share in case["shares"]]
        assert deal(x(case["secret"]), x(case["noise"]), len(shares)) == shares
        t = case["threshold"]
        assert len(x(case["noise"])) == 48 * (t - 1)
        points = list(range(len(shares) - t + 1, len(shares) + 1))
        assert rebuild(points, shares[-t:]) == int(case["secret"], 16)
    for case in v["bad"]:
        assert rebuild(case["points"], [x(share) for share in case["shares"]]) != int(case["secret"], 16), case


# -- a whole round -----------------------------------------------------------------------------------------------------


class Round:
    """A round computed again from its members' secrets."""

    def __init__(self, v: Vector) -> None:
        self.v = v
        self.members = v["members"]
        self.ids = [member["id"] for member in self.members]
        self.manifest_sha256 = h("manifest", v["manifest"].encode())
        self.root = h("agreement-root", self.manifest_sha256, n8(v["epoch"]), x(v["transcript_before"]),
                      *[x(member["setup"]) for member in self.members])  # fmt: skip
        self.bound = h("binding", self.root, n8(v["position"]), n8(v["round"]), h("ask", v["ask"].encode()),
                       x(v["transcript_before"]))  # fmt: skip
        keys = {member["id"]: X25519PrivateKey.from_private_bytes(x(member["agreement_seed"]))
                for member in self.members}  # fmt: skip
        self.keys = keys
        self.secret: dict[tuple[str, str], bytes] = {}
        for one in self.ids:
            for other in self.ids:
                if one < other:
                    shared = keys[one].exchange(keys[other].public_key())
                    secret = hkdf(self.root, shared, "pair", one.encode(), other.encode())
                    for passed in range(1, v["position"]):
                        secret = hkdf_expand(secret, "next", n8(passed))
                    self.secret[one, other] = self.secret[other, one] = secret

    def mask(self, one: str, other: str) -> bytes:
        return hkdf_expand(self.secret[one, other], "mask", self.bound)

    def signed(self, raw: str, kind: str, member: Vector, places: tuple[int, bytes, bytes]) -> bytes:
        """Check a signed message's fields and signature and return its payload."""
        position, root, bound = places
        found = protobuf(x(raw))
        payload = bytes(found.get(11, [b""])[0])
        assert found[2] == [kind.encode()] and found[7] == [b"coordinator"]
        assert found.get(5, [0]) == [position] and found[4] == [self.v["epoch"]]
        assert (found.get(9, [b""])[0], found.get(10, [b""])[0]) == (root, bound)
        covered = h("message", n8(1), kind.encode(), found[3][0], n8(self.v["epoch"]), n8(position),
                    member["id"].encode(), b"coordinator", self.manifest_sha256, root, bound,
                    hashlib.sha256(payload).digest())  # fmt: skip
        public = Ed25519PrivateKey.from_private_bytes(x(member["identity_seed"])).public_key()
        public.verify(found[12][0], covered)
        for wrong in (covered[:-1] + bytes([covered[-1] ^ 1]), b""):
            assert not _verifies(public, found[12][0], wrong)
        return payload

    def check_member(self, member: Vector) -> None:
        """Check one member's set-up, header, boxes and vector."""
        own, at = member["id"], (self.v["position"], self.root, self.bound)
        setup = protobuf(self.signed(member["setup"], "setup", member, (0, b"", b"")))
        assert setup[1][0] == self.keys[own].public_key().public_bytes_raw()
        self.signed(member["agree"], "agree", member, (0, self.root, b""))
        if not member["upload"]:
            return
        header = protobuf(self.signed(member["upload"], "upload", member, at))
        bits, length = self.v["plan"]["word_bits"], self.v["plan"]["length"]
        seed = x(member["self_seed"])
        words = [value % 2**bits for value in member["part"]]
        salt = hkdf_expand(x(member["commit_key"]), "commitment-salt", self.bound)
        assert header[3][0] == h("commitment", salt, little(words, bits))
        masks = [(1, hkdf(self.bound, seed, "self"))]
        masks += [(1 if own < other else -1, self.mask(own, other)) for other in self.ids if other != own]
        for sign, key in masks:
            words = [(a + sign * b) % 2**bits for a, b in zip(words, stream(key, length, bits), strict=True)]
        assert little(words, bits).hex() == member["vector"]
        shares = deal(seed, x(member["share_noise"]), len(self.ids))
        boxes = [x(box) for box in member["boxes"]]
        for other, share, box in zip(self.ids, shares, boxes, strict=True):
            way = f"{own}>{other}".encode()
            if other != own:
                key = hkdf_expand(self.secret[own, other], "box", way, self.bound)
                assert opens(key, box, way + self.bound) == share
        pairs = [bytes(32) if other == own else h("pair-seed", self.bound, self.mask(own, other)) for other in self.ids]
        dealt = [h("share", self.bound, own.encode(), other.encode(), share)
                 for other, share in zip(self.ids, shares, strict=True)]  # fmt: skip
        assert (header[1], header[2], header[6], header[7]) == ([length], [bits], pairs, dealt)
        assert header[4][0] == hashlib.sha256(x(member["vector"])).digest()
        assert header[5][0] == h("self-seed", self.bound, seed) and header[8][0] == h("boxes", self.bound, *boxes)

    def check_sum(self) -> None:
        """Take the masks off the sum of the vectors, as the coordinator does, and follow the transcript."""
        v, bits = self.v, self.v["plan"]["word_bits"]
        alive = [member for member in self.members if member["upload"]]
        assert [member["id"] for member in alive] == v["survivors"]
        headers = h("headers", *[x(member["upload"]) for member in alive])
        cohort = h("cohort", self.bound, headers, *[member["id"].encode() for member in alive])
        assert headers.hex() == v["headers_sha256"]
        total = [0] * v["plan"]["length"]
        at = (v["position"], self.root, self.bound)
        for member in alive:
            consent = protobuf(self.signed(member["consent"], "consent", member, at))
            assert consent[1][0] == cohort and (2 in consent) is (len(alive) == len(self.ids))
            size = bits // 8
            raw = x(member["vector"])
            masked = [int.from_bytes(raw[at : at + size], "little") for at in range(0, len(raw), size)]
            own_mask = stream(hkdf(self.bound, x(member["self_seed"]), "self"), len(total), bits)
            total = [a + b - c for a, b, c in zip(total, masked, own_mask, strict=True)]
            if member["reveal"]:
                reveal = protobuf(self.signed(member["reveal"], "reveal", member, at))
                for pair in map(protobuf, reveal[2]):
                    dropped = pair[1][0].decode()
                    assert dropped not in v["survivors"] and pair[2][0] == self.mask(member["id"], dropped)
                    sign = -1 if member["id"] < dropped else 1
                    total = [a + sign * b for a, b in zip(total, stream(pair[2][0], len(total), bits), strict=True)]
        total = [value % 2**bits for value in total]
        signed = [value - 2**bits if value >= 2 ** (bits - 1) else value for value in total]
        assert signed == v["sum"] == [sum(column) for column in zip(*[each["part"] for each in alive], strict=True)]
        digest = hashlib.sha256(little(total, bits)).digest()
        assert digest.hex() == v["sum_sha256"]
        after = h("transcript", x(v["transcript_before"]), self.bound, cohort, digest)
        assert after.hex() == v["transcript_after"]


def check_round(v: Vector) -> None:
    again = Round(v)
    assert again.root.hex() == v["agreement_root"]
    assert x(v["transcript_before"]) == h("transcript-start", again.manifest_sha256)
    seats = dict(json.loads(v["manifest"])["seats"])
    for member in again.members:
        public = Ed25519PrivateKey.from_private_bytes(x(member["identity_seed"])).public_key()
        assert seats[member["id"]] == public.public_bytes_raw().hex()
        again.check_member(member)
    again.check_sum()


def _verifies(public: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        public.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def tree_root(size: int) -> bytes:
    return subtree(0, size) if size else hashlib.sha256(b"").digest()


def subtree(start: int, end: int) -> bytes:
    if end - start == 1:
        return hashlib.sha256(b"\0" + str(start).encode()).digest()
    half = 1 << (end - start - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + subtree(start, start + half) + subtree(start + half, end)).digest()


def subproof(old: int, start: int, end: int, whole: bool) -> list[bytes]:
    if old == end - start:
        return [] if whole else [subtree(start, end)]
    half = 1 << (end - start - 1).bit_length() - 1
    if old <= half:
        return [*subproof(old, start, start + half, whole), subtree(start + half, end)]
    return [*subproof(old - half, start + half, end, False), subtree(start, start + half)]


def vkey(text: str, kind: int) -> tuple[str, bytes, Ed25519PublicKey]:
    name, key_id, material = text.split("+", 2)
    raw = base64.b64decode(material, validate=True)
    assert raw[0] == kind and hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8] == key_id
    return name, x(key_id), Ed25519PublicKey.from_public_bytes(raw[1:])


def holds(line: str, text: str, key: tuple[str, bytes, Ed25519PublicKey], timed: bool) -> bool:
    dash, name, material = line.removesuffix("\n").split(" ")
    raw = base64.b64decode(material, validate=True)
    header = f"cosignature/v1\ntime {int.from_bytes(raw[4:12], 'big')}\n" if timed else ""
    try:
        key[2].verify(raw[12 if timed else 4 :], (header + text).encode())
    except InvalidSignature:
        return False
    return (dash, name, raw[:4]) == ("—", key[0], key[1]) and line.endswith("\n")


def answer(body: str, held: tuple[int, bytes], log: tuple[str, bytes, Ed25519PublicKey]) -> tuple[int, int, str]:
    """Return status, size and checkpoint text, by C2SP tlog-witness; whoever is consistent has our leaves."""
    number, hash_line = r"(0|[1-9]\d*)", r"[A-Za-z0-9+/]{43}="
    if not re.fullmatch(rf"old {number}\n({hash_line}\n)*\n[^\n]+\n{number}\n{hash_line}\n\n(— .*\n)+", body):
        return 400, 0, ""
    head, note, lines = body.split("\n\n")
    (old, *proof), (origin, size_text, root_text) = head.split("\n"), note.split("\n")
    old_size, size, root, text = int(old[4:]), int(size_text), base64.b64decode(root_text), note + "\n"
    wanted = subproof(old_size, 0, size, True) if 0 < old_size <= size else []
    if origin != log[0]:
        return 404, size, text
    if not any(holds(line + "\n", text, log, False) for line in lines.splitlines()):
        return 403, size, text
    if old_size > size or old_size != held[0] or (size == held[0] and root != held[1]):
        return 400 if old_size > size else 409, size, text
    same = root == tree_root(size) and [base64.b64decode(each) for each in proof] == wanted
    return 200 if same else 422, size, text


def check_witness(v: Vector) -> None:
    key, log = vkey(v["witness"]["vkey"], 4), vkey(v["log"]["vkey"], 1)
    public = Ed25519PrivateKey.from_private_bytes(x(v["witness"]["seed"])).public_key().public_bytes_raw()
    assert (v["witness"]["name"], public) == (key[0], key[2].public_bytes_raw())
    for case in v["cosignatures"]:
        assert holds(case["line"], case["text"], key, True), case
    for case in v["bad_cosignatures"]:
        assert not holds(case["line"], case["text"], key, True), case
    held = (0, tree_root(0))
    for case in v["conversation"]:
        status, size, text = answer(case["request"], held, log)
        assert status == case["status"], case
        told = f"{held[0]}\n" if status == 409 else ""
        assert holds(case["answer"], text, key, True) if status == 200 else case["answer"] == told, case
        held = (size, tree_root(size)) if status == 200 else held
    assert {answer(body, held, log)[0] for body in v["bad_requests"]} == {400}


CHECKS = {"digest": check_digest, "binding": check_binding, "keys": check_keys, "mask": check_mask,
          "shamir": check_shamir, "round": check_round, "dropout": check_round,
          "witness": check_witness}  # fmt: skip


def main(folder: Path) -> int:
    """Check every file of a folder; return 0, or 1 if one differs or is missing."""
    failed = 0
    for name, check in CHECKS.items():
        try:
            check(json.loads((folder / f"{name}.json").read_text(encoding="ascii")))
            print(f"{name}: as computed")
        except (AssertionError, InvalidSignature, ValueError, KeyError, IndexError, OverflowError, OSError) as error:
            failed = 1
            print(f"{name}: DIFFERS ({type(error).__name__} {str(error)[:200]})")
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "v1"))
