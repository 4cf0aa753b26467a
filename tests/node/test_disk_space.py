"""Room on the disk: an alarm at a tenth, nothing sent at a twentieth, and both pass when there is room again."""

import os
from pathlib import Path

import pytest

from node.disk_space import DiskRule, DiskWatch, free_percent
from node.record_store import RecordStore, StoreSettings, load_log_key
from privacy.errors import InputError
from privacy.log.record import Actor, Author, Entry
from tests.privacy.logs import ORIGIN, HandClock, egress, ingress


class Disk:
    """A disk whose free share a test sets."""

    def __init__(self, percent: float = 50.0) -> None:
        self.percent = percent

    def __call__(self, _folder: Path) -> float:
        return self.percent


def opened(folder: Path, disk: Disk) -> RecordStore:
    who = Author(ORIGIN, os.urandom(16), Actor("service", "bank-a", "node", "mtls"))
    key = load_log_key(folder, ORIGIN)
    settings = StoreSettings(folder, who, key, "creditmesh", "00" * 32, HandClock(), disk=DiskRule(), free_percent=disk)
    return RecordStore(settings)


def alarms(store: RecordStore) -> list[object]:
    return [event.body["severity"] for event in store.events(0, 1 << 20) if event.kind == "alarm.raised"]


def test_the_alarm_comes_once_a_limit_and_again_after_there_was_room(tmp_path: Path) -> None:
    disk = Disk()
    watch = DiskWatch(tmp_path, DiskRule(10, 5), disk)

    def severities(percent: float) -> list[object]:
        disk.percent = percent
        return [entry.body["severity"] for entry in watch.alarms()]

    steps = [(10.1, []), (10.0, ["medium"]), (7.0, []), (5.0, ["critical"]), (4.0, []), (8.0, []), (50.0, []),
             (3.0, ["critical"])]  # fmt: skip
    assert [severities(percent) for percent, _ in steps] == [expected for _, expected in steps]


def test_below_the_last_limit_nothing_may_leave_and_everything_else_is_recorded(tmp_path: Path) -> None:
    disk = Disk()
    store = opened(tmp_path / "state", disk)
    disk.percent = 9.9
    store.append([egress(1)])
    assert alarms(store) == ["medium"]
    disk.percent = 5.0
    for _ in range(2):
        with pytest.raises(InputError) as caught:
            store.append([ingress(1), egress(2)])
        assert caught.value.code == "disk-low" and "\n" not in caught.value.message
    store.append([ingress(3)])
    assert alarms(store) == ["medium", "critical"]
    disk.percent = 20.0
    store.append([egress(4)])
    store.close()


def test_the_alarm_comes_to_an_idle_node_too(tmp_path: Path) -> None:
    disk = Disk()
    store = opened(tmp_path / "state", disk)
    disk.percent = 1.0
    store.flush_due()
    store.flush()
    assert alarms(store) == ["critical"]
    store.close()


def test_what_was_refused_is_in_no_record(tmp_path: Path) -> None:
    disk = Disk(2.0)
    store = opened(tmp_path / "state", disk)
    with pytest.raises(InputError):
        store.append([egress(1)])
    store.close()
    store = opened(tmp_path / "state", Disk())
    kinds = [event.kind for event in store.events(0, 99)]
    assert "egress.authorised" not in kinds
    store.close()


def test_the_system_s_own_figure_is_a_percentage(tmp_path: Path) -> None:
    assert 0.0 <= free_percent(tmp_path) <= 100.0


def test_only_egress_is_held_against_the_rule(tmp_path: Path) -> None:
    watch = DiskWatch(tmp_path, DiskRule(), Disk(0.0))
    watch.check([Entry("egress.result", {}), ingress(1)])
    with pytest.raises(InputError):
        watch.check([ingress(1), egress(1)])
