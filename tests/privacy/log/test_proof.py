"""Proof files: the form of the specification, and nothing beside it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import VerificationError
from privacy.log.proof import LogProof, parse_proof, verify_proof
from privacy.log.tree import inclusion_proof, node_position
from tests.privacy.logs import MemoryLog, egress, ingress


def proved(index: int = 2) -> tuple[MemoryLog, LogProof]:
    log = MemoryLog()
    log.append(*(egress(number) for number in range(5)))
    hashes = log.column("SELECT value FROM hash ORDER BY position")
    path = inclusion_proof(index, 5, lambda level, position: hashes[node_position(level, position)])
    note = log.column("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1")[0]
    return log, LogProof(log.events()[index], index, tuple(path), note)


def test_a_proof_survives_its_file() -> None:
    log, proof = proved()
    assert parse_proof(proof.encode()) == proof
    event, checkpoint = verify_proof(proof, log.signer.verifier())
    assert (event.seq, checkpoint.size) == (2, 5)


def test_another_index_or_log_is_refused() -> None:
    log, proof = proved()
    for wrong in (
        LogProof(proof.record, 3, proof.path, proof.checkpoint),
        LogProof(log.events()[3], 2, proof.path, proof.checkpoint),
        LogProof(b"{}", 2, proof.path, proof.checkpoint),
        LogProof(proof.record, 2, proof.path[::-1], proof.checkpoint),
    ):
        with pytest.raises(VerificationError):
            verify_proof(wrong, log.signer.verifier())
    other = MemoryLog("coordinator/privacy-log", 5)
    other.append(ingress(1))
    with pytest.raises(VerificationError) as caught:
        verify_proof(proof, other.signer.verifier())
    assert caught.value.code == "proof-malformed"


HASH = base64.b64encode(b"h" * 32).decode()
NOTE = "origin\n5\n" + HASH + "\n\n— origin AAAAAAAA\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1",
        f"c2sp.org/tlog-proof@v2\nindex 1\n\n{NOTE}",
        f"c2sp.org/tlog-proof@v1\n\n{NOTE}",
        f"c2sp.org/tlog-proof@v1\nindex 01\n\n{NOTE}",
        f"c2sp.org/tlog-proof@v1\nindex -1\n\n{NOTE}",
        f"c2sp.org/tlog-proof@v1\nindex 9999999999999999\n\n{NOTE}",
        f"c2sp.org/tlog-proof@v1\nextra !\nindex 1\n\n{NOTE}",
        f"c2sp.org/tlog-proof@v1\nindex 1\nextra YQ==\n\n{NOTE}",
        f"c2sp.org/tlog-proof@v1\nindex 1\n{HASH[:-4]}\n\n{NOTE}",
        f"c2sp.org/tlog-proof@v1\nindex 1\n{HASH[:-2]}9=\n\n{NOTE}",
        "c2sp.org/tlog-proof@v1\nindex 1\n" + f"{HASH}\n" * 65 + f"\n{NOTE}",
        f"c2sp.org/tlog-proof@v1\r\nindex 1\r\n\n\n{NOTE}",
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(VerificationError) as caught:
        parse_proof(text.encode("utf-8"))
    assert caught.value.code == "proof-malformed"


def test_a_foreign_proof_without_the_record_is_read() -> None:
    proof = parse_proof(f"c2sp.org/tlog-proof@v1\nindex 0\n{HASH}\n\n{NOTE}".encode())
    assert proof == LogProof(b"", 0, (b"h" * 32,), NOTE.encode())


@given(st.binary(max_size=400))
def test_no_bytes_make_it_stumble(raw: bytes) -> None:
    for text in (raw, b"c2sp.org/tlog-proof@v1\n" + raw, b"c2sp.org/tlog-proof@v1\nindex 1\n\n" + raw):
        try:
            parsed = parse_proof(text)
        except VerificationError:
            continue
        assert parse_proof(parsed.encode() if parsed.record else text) == parsed
