"""Write the known-answer vectors of version 1 from the house's own code: `python -m tests.vectors.generate`.

Every secret in them is a test's; nothing is random. `recheck.py` computes all of it again without our code, and a test
holds the files against both. A vector that changes is a new protocol version, never a repair.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from privacy import keys, mask, shamir
from privacy.digest import digest, sha256
from privacy.envelope import COORDINATOR
from privacy.field import Plan
from privacy.secagg import binding as bind
from privacy.secagg.member import Member
from privacy.secagg.standing import MemberRules
from privacy.wire import decode_packet
from tests.privacy.table import Bench, allow_nothing, bench, identity_of, names_of, parts_of, seeded_bytes
from tests.vectors.witness import witnessing

__all__ = ["FOLDER", "documents", "write"]

FOLDER = Path(__file__).parent / "v1"
KEY = bytes(range(32))
SALT = bytes(range(32, 64))


def digests() -> dict[str, Any]:
    """Return digests of labels and parts, and neighbours that must differ."""
    cases: list[tuple[str, list[bytes]]] = [
        ("ask", [b"abc"]), ("ask", []), ("ask", [b""]), ("headers", [b"abc"]), ("headers", [b"ab", b"c"]),
        ("message", [bytes(8), b"consent", b"", KEY]),
    ]  # fmt: skip
    good = [{"label": label, "parts": _hex(parts), "digest": digest(label, *parts).hex()} for label, parts in cases]
    bad = [{"label": "headers", "parts": _hex([b"a", b"bc"]), "digest": good[4]["digest"], "why": "parts moved"},
           {"label": "binding", "parts": _hex([b"abc"]), "digest": good[0]["digest"], "why": "another label"},
           {"label": "ask", "parts": _hex([b""]), "digest": good[1]["digest"], "why": "none is not empty"}]  # fmt: skip
    return {"good": good, "bad": bad}


def bindings() -> dict[str, Any]:
    """Return C and what leads to it, and a C of another round, position, request or transcript."""
    root = bind.agreement_root(KEY, 1, SALT, [b"setup-a", b"setup-b"])
    ask = bind.ask_digest(b'{"name":"newton-1"}')
    case = {"root": root, "position": 3, "round": 2, "ask_sha256": ask, "transcript": SALT}

    def bound(**changes: Any) -> str:
        at = {**case, **changes}
        return bind.binding(at["root"], at["position"], at["round"], at["ask_sha256"], at["transcript"]).hex()

    changes: list[dict[str, Any]] = [{"position": 4}, {"round": 3}]
    changes += [{"ask_sha256": KEY}, {"transcript": KEY}, {"root": KEY}]
    return {
        "good": [{**_plain(case), "binding": bound()}],
        "bad": [{**_plain({**case, **change}), "binding": bound(), "why": f"another {next(iter(change))}"}
                for change in changes],
        "root": {"manifest_sha256": KEY.hex(), "epoch": 1, "transcript": SALT.hex(),
                 "setups": _hex([b"setup-a", b"setup-b"]), "agreement_root": root.hex()},
    }  # fmt: skip


def derivations() -> dict[str, Any]:
    """Return HKDF with every label of the protocol, boxes, and boxes that must not open."""
    expands = [("mask", [SALT]), ("box", [b"a>b", SALT]), ("box", [b"b>a", SALT]), ("next", [(7).to_bytes(8, "big")]),
               ("commitment-salt", [SALT])]  # fmt: skip
    box = keys.seal_box(KEY, SALT, b"a>b" + SALT)
    purpose = (b"a>b" + SALT).hex()
    return {
        "extract": [
            {"salt": SALT.hex(), "secret": KEY.hex(), "label": label, "parts": _hex(parts),
             "key": keys.extract(SALT, KEY, label, *parts).hex()}
            for label, parts in (("pair", [b"a", b"b"]), ("self", []))
        ],
        "expand": [
            {"key": KEY.hex(), "label": label, "parts": _hex(parts), "out": keys.expand(KEY, label, *parts).hex()}
            for label, parts in expands
        ],
        "box": [{"key": KEY.hex(), "plaintext": SALT.hex(), "associated": purpose, "box": box.hex()}],
        "bad_box": [
            {"key": KEY.hex(), "associated": (b"b>a" + SALT).hex(), "box": box.hex(), "why": "another direction"},
            {"key": SALT.hex(), "associated": purpose, "box": box.hex(), "why": "another key"},
            {"key": KEY.hex(), "associated": purpose, "box": box[:-1].hex(), "why": "cut"},
            {"key": KEY.hex(), "associated": purpose, "box": (bytes([box[0] ^ 1]) + box[1:]).hex(), "why": "flipped"},
        ],
        "low_order": [bytes(32).hex(), (1).to_bytes(32, "little").hex(),
                      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"],
    }  # fmt: skip


def streams() -> dict[str, Any]:
    """Return the beginnings and digests of masks, 32 and 64 bits a word."""
    good = []
    for key, length, bits in ((KEY, 8, 32), (KEY, 8, 64), (SALT, 70_001, 32)):
        words = mask.keystream(key, length, bits)
        raw = Plan(length, bits, 1, 4).to_bytes(words)
        good.append({"key": key.hex(), "length": length, "word_bits": bits,
                     "first": [str(word) for word in words[:4].tolist()], "sha256": sha256(raw).hex()})  # fmt: skip
    bad = [{**good[0], "key": SALT.hex(), "why": "another key"}, {**good[0], "word_bits": 64, "why": "other words"}]
    return {"good": good, "bad": bad}


def sharings() -> dict[str, Any]:
    """Return dealt shares with their coefficients' source, and sets of shares that rebuild nothing."""
    good: list[dict[str, Any]] = []
    for n, t in ((4, 3), (7, 5)):
        noise = seeded_bytes(n)(48 * (t - 1))
        shares = shamir.split(KEY[:31], t, n, lambda _size, noise=noise: noise)  # type: ignore[misc]
        good.append({"secret": KEY[:31].hex(), "threshold": t, "noise": noise.hex(), "shares": _hex(shares)})
    dealt: list[str] = good[0]["shares"]
    return {
        "good": good,
        "bad": [
            {"points": [1, 2], "shares": dealt[:2], "secret": KEY[:31].hex(), "why": "t - 1 shares"},
            {"points": [1, 2, 4], "shares": dealt[:3], "secret": KEY[:31].hex(), "why": "a share of another point"},
            {"points": [1, 2, 3], "shares": [*dealt[:2], "ff" * 32], "secret": KEY[:31].hex(), "why": "no element"},
        ],
    }


def played(count: int, lost: int) -> dict[str, Any]:
    """Return a round at position 3 of the second epoch: all secrets, all signed messages, and the sum."""
    names, plan, ask = names_of(count), Plan(5, 64, 2**40, count), b'{"name":"newton-1"}'
    table, parts = bench(names), parts_of(names, Plan(5, 64, 2**40, count))
    draws: dict[str, list[bytes]] = {}
    for place, name in enumerate(names):
        draws[name] = []
        table.members[name] = Member(table.manifest, _recorded(name, place, draws[name]))
    table.coordinator.epoch = 1
    table.assemble()
    table.coordinator.position = 2
    before = table.coordinator._transcript
    total = table.round(ask, plan, parts, mute=names[count - lost :])
    opened = table.coordinator.opened[-1]
    return {
        "manifest": table.manifest.encode().decode("ascii"),
        "ask": ask.decode("ascii"),
        "plan": {"length": 5, "word_bits": 64, "bound": 2**40},
        "epoch": 2, "position": 3, "round": 1,
        "members": [_member(table, name, draws[name], parts[name]) for name in names],
        "survivors": list(opened.opened.survivors),
        "agreement_root": opened.root.hex(),
        "transcript_before": before.hex(),
        "headers_sha256": opened.opened.headers_sha256.hex(),
        "sum": total.tolist(),
        "sum_sha256": opened.opened.sum_sha256.hex(),
        "transcript_after": table.coordinator._transcript.hex(),
    }  # fmt: skip


def _recorded(name: str, place: int, kept: list[bytes]) -> MemberRules:
    draw = seeded_bytes(1000 + place)

    def keep(size: int) -> bytes:
        kept.append(draw(size))
        return kept[-1]

    return MemberRules(name, identity_of(name), identity_of(COORDINATOR).public, KEY, allow_nothing, keep)


def _member(table: Bench, name: str, draws: list[bytes], part: np.ndarray) -> dict[str, Any]:
    """Return one member's secrets in the order it drew them, and what it sent."""
    sent = {each.kind.removeprefix("secagg."): decode_packet(each.message) for who, each in table.sent if who == name}
    upload = sent.get("upload")
    return {
        "id": name,
        "identity_seed": name.encode().ljust(32, b"\0").hex(),
        "agreement_seed": draws[0].hex(),
        "commit_key": KEY.hex(),
        "self_seed": draws[2].hex() if upload else "",
        "share_noise": draws[3].hex() if upload else "",
        "part": part.tolist() if upload else [],
        "boxes": _hex(upload.attachments) if upload else [],
        "vector": upload.vector.hex() if upload else "",
        **{kind: sent[kind].signed.hex() if kind in sent else "" for kind in
           ("setup", "agree", "upload", "consent", "reveal")},
    }  # fmt: skip


def documents() -> dict[str, str]:
    """Return the text of every vector file, by name."""
    made = {
        "digest": digests(), "binding": bindings(), "keys": derivations(), "mask": streams(), "shamir": sharings(),
        "round": played(4, 0), "dropout": played(7, 2), "witness": witnessing(),
    }  # fmt: skip
    return {f"{name}.json": json.dumps(content, indent=1, ensure_ascii=True) + "\n" for name, content in made.items()}


def write(folder: Path) -> None:
    """Write every vector file into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="ascii")


def _hex(parts: Any) -> list[str]:
    return [part.hex() for part in parts]


def _plain(case: dict[str, Any]) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in case.items()}


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
