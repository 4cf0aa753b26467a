"""A renewed pair of files survives a crash at any point, and only a certificate for our key and name is taken."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coordinator import authority
from node.certificate import check_certificate, finish_renewal, is_due, keep_renewal, make_request, new_tls_key
from node.config import TlsSettings
from privacy.errors import VerificationError
from tests.privacy.table import refused

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ROOT = authority.create_authority("cn", NOW)
URI = "spiffe://cn/member/alpha"


def issued(key: bytes, member: str = "alpha", root: authority.Credential = ROOT) -> bytes:
    return authority.issue_member_certificate(root, member, authority.public_key_of(key), NOW)


@pytest.fixture
def tls(tmp_path: Path) -> TlsSettings:
    key = new_tls_key()
    (tmp_path / "tls.key").write_bytes(key)
    (tmp_path / "tls.key").chmod(0o600)
    (tmp_path / "certificate.pem").write_bytes(issued(key))
    paths = {"ca": "ca.pem", "certificate": "certificate.pem", "key": "tls.key"}
    return TlsSettings.model_validate(paths, context={"folder": tmp_path})


def pair(tls: TlsSettings) -> tuple[bytes, bytes]:
    return tls.key.read_bytes(), tls.certificate.read_bytes()


def test_a_renewal_replaces_both_files(tls: TlsSettings) -> None:
    key = new_tls_key()
    keep_renewal(tls, key, issued(key))
    assert pair(tls)[0] == key
    assert tls.key.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tls.key.parent.iterdir()) == ["certificate.pem", "tls.key"]


class Killed(Exception):
    pass


@pytest.mark.parametrize("step", range(6))
def test_a_crash_at_any_step_leaves_a_pair_that_fits(
    tls: TlsSettings, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, key = pair(tls), new_tls_key()
    after = (key, issued(key))
    steps = iter(range(100))

    def until(act: Callable[..., object]) -> Callable[..., object]:
        def one(*arguments: object) -> object:
            if next(steps) == step:
                raise Killed
            return act(*arguments)

        return one

    with monkeypatch.context() as patch:
        patch.setattr("os.open", until(__import__("os").open))
        patch.setattr(Path, "replace", until(Path.replace))
        with pytest.raises(Killed):
            keep_renewal(tls, *after)
    finish_renewal(tls)
    assert pair(tls) in (before, after)
    assert sorted(path.suffix for path in tls.key.parent.iterdir() if path.suffix == ".next") == []


def test_what_fits_nothing_is_thrown_away(tls: TlsSettings) -> None:
    before = pair(tls)
    tls.certificate.with_name("certificate.pem.next").write_bytes(issued(new_tls_key()))
    finish_renewal(tls)
    assert pair(tls) == before
    tls.key.with_name("tls.key.next").write_bytes(new_tls_key())
    finish_renewal(tls)
    assert pair(tls) == before
    assert not list(tls.key.parent.glob("*.next"))


def test_only_a_certificate_for_our_key_name_and_authority_is_taken() -> None:
    key, other = new_tls_key(), new_tls_key()
    check_certificate(issued(key), ROOT.certificate_pem, key, URI)
    foreign = authority.create_authority("cn", NOW)
    for wrong in (
        issued(other),
        issued(key, "beta"),
        issued(key, root=foreign),
        issued(key, root=authority.create_authority("other", NOW)),
        authority.issue_server_certificate(ROOT, ("localhost",), NOW).certificate_pem,
        b"no certificate",
    ):
        with refused("certificate-other", VerificationError):
            check_certificate(wrong, ROOT.certificate_pem, key, URI)


def test_half_of_its_life_is_when_it_is_due() -> None:
    certificate = issued(new_tls_key())
    assert not is_due(certificate, NOW + timedelta(days=14, hours=23))
    assert is_due(certificate, NOW + timedelta(days=15))


def test_a_request_says_no_name_and_no_secret() -> None:
    key = new_tls_key()
    request = make_request(key)
    assert "REQUEST" in request and "PRIVATE" not in request
