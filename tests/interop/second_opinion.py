"""Judge one record of a log with sigstore, pymerkle and rfc8785; run by the interpreter that has them.

    python second_opinion.py FILE

FILE is JSON: vkey, checkpoint, event (text), index, size, proof (hex), and events (hex of all records, for
pymerkle). Exit code 0 when all agree, 1 when one refuses; the first refusal is printed.
"""

import base64
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pymerkle
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import verify_checkpoint
from sigstore._internal.trust import Keyring
from sigstore_models.common import v1

__all__ = ["main"]


def main(path: Path) -> int:
    claim = json.loads(path.read_text("utf-8"))
    try:
        _by_sigstore(claim)
        _by_pymerkle(claim)
        if rfc8785.dumps(json.loads(claim["event"])) != claim["event"].encode():
            raise ValueError("rfc8785 spells the record otherwise")
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
        return 1
    return 0


def _by_sigstore(claim: dict[str, Any]) -> None:
    _, key_id, material = claim["vkey"].split("+", 2)
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(material)[1:])
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    details = v1.PublicKeyDetails.PKIX_ED25519
    keyring = Keyring([v1.PublicKey(raw_bytes=base64.b64encode(der), key_details=details)])
    proof = SimpleNamespace(
        log_index=claim["index"],
        tree_size=claim["size"],
        hashes=[bytes.fromhex(each) for each in claim["proof"]],
        root_hash=base64.b64decode(claim["checkpoint"].split("\n")[2]),
        checkpoint=SimpleNamespace(envelope=claim["checkpoint"]),
    )
    inner = SimpleNamespace(
        inclusion_proof=proof,
        canonicalized_body=claim["event"].encode(),
        log_id=SimpleNamespace(key_id=bytes.fromhex(key_id)),
    )
    verify_merkle_inclusion(SimpleNamespace(_inner=inner))
    verify_checkpoint(keyring, SimpleNamespace(_inner=inner))


def _by_pymerkle(claim: dict[str, Any]) -> None:
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for event in claim["events"]:
        tree.append_entry(bytes.fromhex(event))
    root = base64.b64decode(claim["checkpoint"].split("\n")[2])
    if tree.get_root(claim["size"]) != root:
        raise ValueError("pymerkle finds another root")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
