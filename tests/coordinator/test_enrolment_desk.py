"""The desk under strangers: slow, many, large, mute, wrong; and whoever behaves is served all the while.

Connections are real TLS on loopback, made by the node's own code in threads; times are the desk's limits, set short
where a test waits for one to be over and never measured.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coordinator.enrolment import Finding
from coordinator.enrolment_desk import Desk, DeskRules, Limits
from coordinator.keys_file import read_tls
from coordinator.server_certificate import renew_if_due
from node.desk_line import DeskLine, clock_complaint, fetch_authority
from node.join import Places, join
from privacy.enrolment import Answer, Application, decode_answer
from privacy.errors import InputError, VerificationError
from tests.coordinator.applicant import Applicant, Operation
from tests.privacy.table import refused

TIMEOUT_S = 20.0


@dataclass
class Stage:
    """A desk that listens, its operation and what it refused."""

    operation: Operation
    desk: Desk
    endpoint: str = ""
    refused: list[tuple[str, str]] = field(default_factory=list)

    async def line(self) -> DeskLine:
        """Connect as a bank does."""
        pem = self.operation.config.tls.ca.read_text()
        return await asyncio.to_thread(DeskLine.open, self.endpoint, pem, datetime.now(UTC), TIMEOUT_S)

    async def apply(self, bank: Applicant, hold: bool = False) -> Answer:
        """Show a code."""
        line = await self.line()
        with line:
            application = bank.application(line.greeting.nonce, hold)
            return await asyncio.to_thread(line.apply, application, TIMEOUT_S)


def on_stage(
    folder: Path, limits: Limits, act: Callable[[Stage], Awaitable[None]], ahead: timedelta = timedelta()
) -> Stage:
    """Play a test against a desk with these limits whose clock is so far ahead."""
    operation = Operation(folder)
    stages: list[Stage] = []

    def answer(found: Finding) -> Answer:
        pem = found.invite.certificate_pem if found.invite else ""
        return Answer(found.state, found.code, pem)

    async def play() -> None:
        rules = DeskRules(
            "cn",
            operation.enrolment.consider,
            answer,
            lambda member, code: stage.refused.append((member, code)),
            lambda: int((datetime.now(UTC) + ahead).timestamp()) * 1_000_000,
        )
        stage = Stage(operation, Desk("127.0.0.1:0", read_tls(operation.config.tls, datetime.now(UTC)), rules, limits))
        stages.append(stage)
        stage.endpoint = f"127.0.0.1:{await stage.desk.start()}"
        try:
            await act(stage)
        finally:
            await stage.desk.stop()
            operation.store.close()

    asyncio.run(play())
    return stages[0]


def test_a_bank_is_answered_soon_after_somebody_approved(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        bank = Applicant(stage.operation.invite("alpha"))
        assert (await stage.apply(bank)).state == "pending"
        waiting = asyncio.create_task(stage.apply(bank, hold=True))
        now = datetime.now(UTC)
        await asyncio.to_thread(stage.operation.enrolment.approve, "alpha", bank.fingerprint, "uid-1", now)
        answer = await waiting
        assert answer.state == "approved" and "BEGIN CERTIFICATE" in answer.certificate_pem

    on_stage(tmp_path, Limits(look_s=0.01), act)


def test_nothing_is_said_to_an_authority_that_the_code_does_not_name(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        code = stage.operation.invite("alpha")
        greeting = await asyncio.to_thread(fetch_authority, stage.endpoint, code.authority, TIMEOUT_S)
        assert greeting.consortium == "cn"
        with refused("authority-other", VerificationError):
            await asyncio.to_thread(fetch_authority, stage.endpoint, bytes(32), TIMEOUT_S)
        other = Operation(tmp_path / "other")
        with refused("desk-certificate", VerificationError):
            pem = other.config.tls.ca.read_text()
            await asyncio.to_thread(DeskLine.open, stage.endpoint, pem, datetime.now(UTC), TIMEOUT_S)
        other.store.close()

    assert on_stage(tmp_path / "one", Limits(), act).refused == []


def test_a_server_that_shows_the_right_authority_and_has_none_of_its_certificates_is_refused(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        other = Operation(tmp_path / "other")
        pem = other.config.tls.ca.read_text()
        # A liar that copies the greeting: the pin fits, and then TLS itself does not.
        stage.desk._authority_pem = pem
        code = other.invite("alpha")
        await asyncio.to_thread(fetch_authority, stage.endpoint, code.authority, TIMEOUT_S)
        with refused("desk-certificate", VerificationError):
            await asyncio.to_thread(DeskLine.open, stage.endpoint, pem, datetime.now(UTC), TIMEOUT_S)
        other.store.close()

    on_stage(tmp_path / "one", Limits(), act)


@pytest.mark.parametrize(("days", "way"), [(1, "behind"), (-1, "ahead of")])
def test_a_clock_that_is_a_day_off_is_told_before_anything_is_sent(tmp_path: Path, days: int, way: str) -> None:
    async def act(stage: Stage) -> None:
        code = replace(stage.operation.invite("alpha"), endpoint=stage.endpoint).encode()
        (tmp_path / "table.csv").touch()
        places = Places(tmp_path / "table.csv", tmp_path / "table.csv", tmp_path / "state", tmp_path / "node.toml")
        with pytest.raises(InputError, match=f"this machine's clock is .* {way} the coordinator's") as caught:
            await asyncio.to_thread(join, code, places, True, print, lambda: datetime.now(UTC))
        assert caught.value.code == "clock-wrong"
        greeting = (await stage.line()).greeting
        theirs = datetime.fromtimestamp(greeting.time_us / 1e6, UTC)
        assert f"1 d 0 h {way}" in clock_complaint(greeting, theirs - timedelta(days=days))
        assert clock_complaint(greeting, theirs + timedelta(minutes=5)) == ""

    assert on_stage(tmp_path / "operator", Limits(), act, timedelta(days=days)).refused == []
    assert not (tmp_path / "state").exists()


def test_whoever_guesses_is_not_listened_to_for_a_while(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        bank = Applicant(stage.operation.invite("alpha"))
        for place in range(3):
            guess = Applicant(replace(bank.code, secret=bytes([place]) * 16))
            assert (await stage.apply(guess)).code == "invite-unknown"
        assert (await stage.apply(bank)).code == "too-many-tries"

    stage = on_stage(tmp_path, Limits(tries=3), act)
    assert stage.refused == [("alpha", "invite-unknown")] * 3 + [("", "too-many-tries")]


def test_a_guesser_is_forgiven_when_the_window_is_over(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        bank = Applicant(stage.operation.invite("alpha"))
        assert (await stage.apply(Applicant(replace(bank.code, secret=bytes(16))))).code == "invite-unknown"
        assert (await stage.apply(bank)).state == "pending"

    on_stage(tmp_path, Limits(tries=1, window_s=0.0), act)


def test_an_application_from_another_connection_is_refused(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        bank = Applicant(stage.operation.invite("alpha"))
        line = await stage.line()
        overheard = bank.application(line.greeting.nonce)
        with line:
            assert (await asyncio.to_thread(line.apply, overheard, TIMEOUT_S)).state == "pending"
        again = await stage.line()
        with again:
            assert (await asyncio.to_thread(again.apply, overheard, TIMEOUT_S)).code == "invite-unknown"

    on_stage(tmp_path, Limits(), act)


def test_mute_slow_and_half_open_connections_are_bounded_and_over_soon(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        host, port = stage.endpoint.split(":")
        mute = [socket.create_connection((host, int(port))) for _ in range(40)]
        try:
            for each in mute:
                # Each is closed by the desk: the first few when their handshake takes too long, the others at once.
                await asyncio.to_thread(_drained, each)
        finally:
            for each in mute:
                each.close()
        assert len(stage.desk._tasks) <= 4
        bank = Applicant(stage.operation.invite("alpha"))
        slow = await stage.line()
        with slow:
            await asyncio.to_thread(slow._line.sendall, b"\0\0")
            await asyncio.to_thread(_drained, slow._line)
        assert (await stage.apply(bank)).state == "pending"
        assert stage.desk._from.get("127.0.0.1", 0) <= 1

    on_stage(tmp_path, Limits(connections=4, from_one=4, handshake_s=0.2, read_s=0.5), act)


def test_large_and_senseless_messages_end_the_connection_or_are_refused(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        line = await stage.line()
        with line:
            await asyncio.to_thread(line._line.sendall, b"\xff\xff\xff\xff" + bytes(1000))
            assert await asyncio.to_thread(_drained, line._line) == b""
        line = await stage.line()
        with line:
            await asyncio.to_thread(line._line.sendall, b"\0\0\0\x02{}")
            raw = await asyncio.to_thread(_drained, line._line)
            assert decode_answer(raw[4:]).code == "enrolment-version"
        assert (await stage.apply(Applicant(stage.operation.invite("alpha")))).state == "pending"

    on_stage(tmp_path, Limits(), act)


def test_a_fault_of_our_own_is_answered_without_a_word_of_it(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        bank = Applicant(stage.operation.invite("alpha"))

        def broken(_application: Application, _nonce: bytes, _source: str) -> Finding:
            raise InputError("database-unusable", "the path of a secret")

        stage.desk._rules = replace(stage.desk._rules, consider=broken)
        answer = await stage.apply(bank)
        assert (answer.state, answer.code) == ("refused", "desk-fault")

    on_stage(tmp_path, Limits(), act)


def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        before = await asyncio.to_thread(_shown, stage.endpoint)
        half = datetime.now(UTC) + timedelta(days=16)
        assert renew_if_due(stage.operation.config, datetime.now(UTC)) is None
        fresh = renew_if_due(stage.operation.config, half)
        assert fresh is not None
        stage.desk.renew(fresh)
        assert await asyncio.to_thread(_shown, stage.endpoint) != before

    on_stage(tmp_path, Limits(), act)


def _drained(line: socket.socket) -> bytes:
    line.settimeout(TIMEOUT_S)
    parts = b""
    try:
        while piece := line.recv(4096):
            parts += piece
    except (ConnectionError, ssl.SSLError):
        pass
    return parts


def _shown(endpoint: str) -> str:
    host, port = endpoint.split(":")
    return ssl.get_server_certificate((host, int(port)))
