"""A node does not work by a clock that the coordinator's desk contradicts; without a desk to ask it goes on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node import clock, config
from node.clock import ask_desk, refuse_wrong_clock
from node.config import NodeConfig
from privacy.enrolment import Greeting
from privacy.errors import InputError
from tests.node.bank import make_bank

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def settings(folder: Path, desk: str) -> NodeConfig:
    bank = make_bank(folder)
    text = bank.config.read_text().replace(
        "[coordinator]\n", f'[coordinator]\nenrolment = "{desk}"\n' if desk else "[coordinator]\n"
    )
    bank.config.write_text(text)
    return config.load(bank.config)


def says(moment: datetime) -> Callable[..., Greeting]:
    return lambda *_: Greeting(bytes(32), int(moment.timestamp() * 1e6), "demo", "")


@pytest.mark.parametrize(("skew", "way"), [(timedelta(days=1), "ahead of"), (timedelta(days=-1), "behind")])
def test_a_day_off_is_refused_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skew: timedelta, way: str
) -> None:
    monkeypatch.setattr(clock, "fetch_authority", says(NOW))

    with pytest.raises(InputError, match=f"1 d 0 h {way} the coordinator's .* set it by NTP") as caught:
        refuse_wrong_clock(settings(tmp_path, "127.0.0.1:9"), NOW + skew)
    assert caught.value.code == "clock-wrong"


def test_some_minutes_are_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "fetch_authority", says(NOW))
    refuse_wrong_clock(settings(tmp_path, "127.0.0.1:9"), NOW + timedelta(minutes=4))


@pytest.mark.parametrize(("desk", "code"), [("", "desk-unknown"), ("127.0.0.1:1", "port-closed")])
def test_a_desk_that_cannot_be_asked_stops_nobody(tmp_path: Path, desk: str, code: str) -> None:
    bank = settings(tmp_path, desk)
    with pytest.raises(InputError) as caught:
        ask_desk(bank, 1.0)
    assert caught.value.code == code
    refuse_wrong_clock(bank, NOW, 1.0)
