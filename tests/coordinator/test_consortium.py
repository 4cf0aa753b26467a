"""A consortium is founded once; a bank is enrolled under one name, with its own keys, and no key of it is kept here."""

import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator import authority
from coordinator.config import load
from coordinator.consortium import Enrolment, Founding, enrol, found
from coordinator.store import Store
from privacy.errors import InputError
from tests.coordinator.operator import make_operator, vkeys


def bank(member: str, digit: str = "a") -> Enrolment:
    return Enrolment(
        member, digit * 64, authority.public_key_of(authority.generate_key()), *vkeys(member.lower().strip("./"))
    )


def test_founding_twice_never_mints_a_second_root(tmp_path: Path) -> None:
    operator = make_operator(tmp_path)
    root = (tmp_path / "keys" / "ca.pem").read_bytes()

    with pytest.raises(InputError, match="founded once"):
        found(tmp_path, Founding("demo", "127.0.0.1:0", ("localhost",)), datetime.now(UTC))
    operator.config.unlink()
    with pytest.raises(InputError, match="never overwritten"):
        found(tmp_path, Founding("demo", "127.0.0.1:0", ("localhost",)), datetime.now(UTC))
    assert (tmp_path / "keys" / "ca.pem").read_bytes() == root


def test_secrets_of_the_consortium_are_closed(tmp_path: Path) -> None:
    make_operator(tmp_path)

    secrets = sorted((tmp_path / "keys").glob("*.key"))
    assert [path.name for path in secrets] == ["ca.key", "identity.key", "server.key"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


def test_an_enrolled_bank_holds_a_certificate_that_names_it(tmp_path: Path) -> None:
    config = load(make_operator(tmp_path).config)
    store = Store(config.storage.url)

    certificate = authority.read_member_certificate(enrol(config, store, bank("alpha"), datetime.now(UTC)))

    assert (certificate.consortium, certificate.member) == ("demo", "alpha")
    found_member = store.member_by_serial(certificate.serial)
    assert found_member is not None
    assert (found_member.id, found_member.identity, found_member.status) == ("alpha", "a" * 64, "active")
    assert (found_member.log, found_member.witness) == vkeys("alpha")
    store.close()


def test_two_institutions_of_one_name_or_identity_are_refused(tmp_path: Path) -> None:
    config = load(make_operator(tmp_path).config)
    store = Store(config.storage.url)
    enrol(config, store, bank("alpha"), datetime.now(UTC))

    for second in (bank("alpha", "b"), bank("beta", "a")):
        with pytest.raises(InputError, match="already enrolled"):
            enrol(config, store, second, datetime.now(UTC))
    assert [member.id for member in store.members()] == ["alpha"]
    store.close()


@pytest.mark.parametrize(
    "second",
    [
        bank("Alpha"),
        bank("../alpha"),
        bank("alpha", "A"),
        replace(bank("alpha"), identity="a" * 63),
        replace(bank("alpha"), tls_public_pem=b"no key"),
        replace(bank("alpha"), log=""),
        replace(bank("alpha"), log=vkeys("beta")[0]),
        replace(bank("alpha"), log=vkeys("alpha")[1]),
        replace(bank("alpha"), witness=vkeys("beta")[1]),
        replace(bank("alpha"), witness=vkeys("alpha")[0]),
    ],
)
def test_a_bad_name_or_key_enrols_nobody(tmp_path: Path, second: Enrolment) -> None:
    config = load(make_operator(tmp_path).config)
    store = Store(config.storage.url)

    with pytest.raises(InputError):
        enrol(config, store, second, datetime.now(UTC))
    assert store.members() == []
    store.close()


def test_without_the_authoritys_key_nothing_is_issued(tmp_path: Path) -> None:
    operator = make_operator(tmp_path)
    text = operator.config.read_text("utf-8").replace('[authority]\nkey = "keys/ca.key"\n', "")
    operator.config.write_text(text, encoding="utf-8")
    config = load(operator.config)
    store = Store(config.storage.url)

    with pytest.raises(InputError, match="no certificate can be issued"):
        enrol(config, store, bank("alpha"), datetime.now(UTC))
    store.close()
