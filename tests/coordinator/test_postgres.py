"""The coordinator's log on a PostgreSQL server: the same promises as the file's, and one line for a server's faults."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="the extra [postgres] is not installed")

from audit.cli import main as audit
from coordinator import cli
from coordinator.log_store import LogSettings, LogStore, load_log_key
from coordinator.postgres import LogServer
from privacy.errors import InputError
from privacy.log.journal import TABLES
from privacy.log.record import Actor, Author, Entry
from privacy.log.tree import CompactTree, leaf_hash, verify_consistency, verify_inclusion
from tests.coordinator.operator import Operator, make_operator
from tests.postgres_server import PostgresServer, Unavailable
from tests.privacy.logs import ORIGIN, HandClock, egress

pytestmark = pytest.mark.slow

Lines = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]
_WRITER = """
import sys
from pathlib import Path
from tests.coordinator.test_postgres import opened
from tests.privacy.logs import egress
store = opened(Path(sys.argv[1]), sys.argv[2])
number = 0
while True:
    for index in store.append([egress(number + 1), egress(number + 2)]):
        print(index, flush=True)
    number += 2
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    try:
        server = PostgresServer()
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield server
    server.close()


@pytest.fixture
def url(server: PostgresServer) -> str:
    return server.url(server.database())


@pytest.fixture(scope="module")
def one_record(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    name = server.database()
    opened(tmp_path_factory.mktemp("state"), server.url(name)).close()
    return name


def name_of(url: str) -> str:
    return url.partition("///")[2].partition("?")[0]


def opened(directory: Path, url: str) -> LogStore:
    who = Author(ORIGIN, os.urandom(16), Actor("service", "coordinator", "coordinator", "mtls"))
    key = load_log_key(directory, ORIGIN)
    return LogStore(LogSettings(directory, who, key, "creditmesh", "00" * 32, HandClock(), place=LogServer(url)))


def root_of(store: LogStore, size: int) -> bytes:
    tree = CompactTree()
    for event in store.events(0, size):
        tree = tree.append(leaf_hash(event.encoded))[0]
    return tree.root()


def one_line(error: InputError, code: str) -> bool:
    return error.code == code and "\n" not in error.message


def test_appends_are_there_after_closing_and_prove_themselves(tmp_path: Path, url: str) -> None:
    first = opened(tmp_path, url)
    assert first.append([egress(1), egress(2)]) == [1, 2]
    first.defer([egress(3)], [("m", b"receipt")], [])
    first.close()
    second = opened(tmp_path, url)
    assert second.append([egress(4)]) == [5]
    events = second.events(0, 99)
    assert [event.kind for event in events] == [
        "log.opened", "egress.authorised", "egress.authorised", "egress.authorised", "log.opened", "egress.authorised",
    ]  # fmt: skip
    assert events[4].body["unclean"] is False
    assert [event.seq for event in second.of_kinds("log.opened", "alarm.raised")] == [0, 4]
    root = root_of(second, 6)
    assert second.root(6) == root
    for event in events:
        verify_inclusion(leaf_hash(event.encoded), event.seq, 6, second.inclusion(event.seq, 6), root)
    verify_consistency(4, root_of(second, 4), 6, root, second.consistency(4, 6))
    second.close()
    assert not (tmp_path / "log.db").exists() and (tmp_path / "log.mark").exists()


def test_a_commit_is_synced_whatever_the_database_says(server: PostgresServer, tmp_path: Path, url: str) -> None:
    server.sql("postgres", f"ALTER DATABASE {name_of(url)} SET synchronous_commit = off")
    store = opened(tmp_path, url)
    assert store._database.execute("SHOW synchronous_commit").fetchone() == ("on",)
    store.close()


def test_four_threads_get_every_number_once(tmp_path: Path, url: str) -> None:
    store = opened(tmp_path, url)
    found: list[int] = []
    gate = threading.Barrier(4)

    def write(start: int) -> None:
        gate.wait()
        for number in range(25):
            found.extend(store.append([egress(start + number)]))

    threads = [threading.Thread(target=write, args=(100 * each,)) for each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 101))
    assert store.root(101) == root_of(store, 101)
    store.close()


def test_a_killed_writer_loses_nothing_acknowledged_and_frees_the_log(tmp_path: Path, url: str) -> None:
    state = tmp_path / "state"
    command = [sys.executable, "-c", _WRITER, str(state), url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(60)]
        with pytest.MonkeyPatch.context() as patience:
            patience.setattr("coordinator.postgres._PATIENCE_MS", 200)
            with pytest.raises(InputError) as caught:
                opened(tmp_path / "other", url)
        assert one_line(caught.value, "log-in-use")
        writer.kill()
        acknowledged += [int(line) for line in writer.stdout.read().split()]
    store = opened(state, url)
    events = store.events(0, 1_000_000)
    *before, again = events
    assert again.kind == "log.opened" and again.body["unclean"] is True
    # Two entries go into one append: both are there or none.
    assert len(before) % 2 == 1 and len(before) > max(acknowledged)
    assert [event.seq for event in events] == list(range(len(events)))
    assert all(before[index].body["msg_id"] == egress(index).body["msg_id"] for index in acknowledged)
    assert store.root(len(events)) == root_of(store, len(events))
    store.close()


def test_a_server_that_crashes_is_one_line_and_loses_nothing_acknowledged(
    server: PostgresServer, tmp_path: Path, url: str
) -> None:
    store = opened(tmp_path, url)
    acknowledged = [index for number in range(20) for index in store.append([egress(number)])]
    server.stop("immediate")
    try:
        for _ in range(2):
            with pytest.raises(InputError) as caught:
                store.append([egress(99)])
            assert one_line(caught.value, "log-unusable")
        with pytest.raises(InputError) as caught:
            store.events(0, 9)
        assert one_line(caught.value, "log-unusable")
        with pytest.raises(InputError) as caught:
            store.close()
        assert one_line(caught.value, "log-unusable")
    finally:
        server.start()
    again = opened(tmp_path, url)
    assert [event.seq for event in again.of_kinds("egress.authorised")] == acknowledged
    assert again.append([egress(100)]) == [22]
    again.close()


def test_a_connection_that_ends_stays_ended(server: PostgresServer, tmp_path: Path, url: str) -> None:
    store = opened(tmp_path, url)
    server.sql(name_of(url), "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    for _ in range(2):
        with pytest.raises(InputError) as caught:
            store.append([egress(1)])
        assert one_line(caught.value, "log-unusable")
    with pytest.raises(InputError):
        store.close()
    again = opened(tmp_path, url)
    assert [event.kind for event in again.events(0, 9)] == ["log.opened", "log.opened"]
    again.close()


def test_a_full_disk_is_one_line_and_passes(server: PostgresServer, tmp_path: Path, url: str) -> None:
    store = opened(tmp_path, url)
    full = "CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE SQLSTATE '53100'; END$$"
    server.sql(name_of(url), f"{full}; CREATE TRIGGER disk_full BEFORE INSERT ON hash EXECUTE FUNCTION disk_full()")
    with pytest.raises(InputError) as caught:
        store.append([egress(1)])
    assert one_line(caught.value, "disk-full")
    server.sql(name_of(url), "DROP TRIGGER disk_full ON hash")
    assert store.append([egress(7)]) == [2]
    assert [event.kind for event in store.events(1, 9)] == ["alarm.raised", "egress.authorised"]
    store.close()


@pytest.mark.parametrize(
    "statement",
    [
        *(f"{change} {table}" for table in TABLES for change in ("DELETE FROM", "TRUNCATE")),
        "UPDATE event SET event = 'x' WHERE seq = 0",
        "UPDATE hash SET value = 'x'",
        "UPDATE checkpoint SET note = 'x'",
        "UPDATE receipt SET msg_id = 'x'",
        "UPDATE cosignature SET size = 9",
        "INSERT INTO event VALUES (7, 'x')",
        "INSERT INTO event VALUES (2, 'x'), (1, 'x')",
        "INSERT INTO event VALUES (0, 'x') ON CONFLICT (seq) DO UPDATE SET event = 'x'",
        "INSERT INTO hash VALUES (0, 'x')",
        "INSERT INTO checkpoint VALUES (1, 'x')",
        "INSERT INTO receipt VALUES (2, 'm', 'x')",
        "INSERT INTO cosignature VALUES (2, 1, 'x')",
    ],
)
def test_nothing_is_changed_or_put_out_of_order(server: PostgresServer, one_record: str, statement: str) -> None:
    with pytest.raises(Unavailable, match="append-only"):
        server.sql(one_record, statement)


def test_a_role_that_may_only_add_is_enough(server: PostgresServer, tmp_path: Path, url: str, capsys: Lines) -> None:
    assert cli.main(["log-tables", "--role", "sequencer"]) == 0
    server.sql(name_of(url), f"CREATE ROLE sequencer LOGIN; {capsys.readouterr().out}")
    mine = server.url(name_of(url), "sequencer")
    store = opened(tmp_path, mine)
    assert store.append([egress(1)]) == [1]
    store.close()
    role = "SET ROLE sequencer; "
    for statement in ("DELETE FROM event", "TRUNCATE hash", "UPDATE receipt SET msg_id = ''",
                      "DROP TRIGGER event_change ON event", "ALTER TABLE event DISABLE TRIGGER ALL"):  # fmt: skip
        with pytest.raises(Unavailable, match=r"permission denied|must be owner"):
            server.sql(name_of(url), role + statement)
    assert cli.main(["log-tables", "--role", 'x"; DROP TABLE event; --']) == 2


def test_a_role_that_may_not_make_tables_is_told(server: PostgresServer, tmp_path: Path, url: str) -> None:
    server.sql(name_of(url), "CREATE ROLE stranger LOGIN")
    with pytest.raises(InputError) as caught:
        opened(tmp_path, server.url(name_of(url), "stranger"))
    assert one_line(caught.value, "log-unusable") and "permission denied" in caught.value.message


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP TRIGGER event_change ON event", "found 9 append-only triggers"),
        ("ALTER TABLE hash DISABLE TRIGGER hash_insert", "found 9 append-only triggers"),
        ("ALTER DATABASE {} SET session_replication_role = replica", "session_replication_role = replica"),
    ],
)
def test_a_log_without_its_guards_is_not_opened(
    server: PostgresServer, tmp_path: Path, url: str, change: str, told: str
) -> None:
    opened(tmp_path, url).close()
    server.sql(name_of(url), change.format(name_of(url)))
    with pytest.raises(InputError) as caught:
        opened(tmp_path, url)
    assert one_line(caught.value, "log-unusable") and told in caught.value.message


def test_a_server_that_does_not_sync_is_refused(server: PostgresServer, tmp_path: Path, url: str) -> None:
    server.stop()
    server.start("fsync=off")
    try:
        with pytest.raises(InputError) as caught:
            opened(tmp_path, url)
    finally:
        server.stop()
        server.start()
    assert one_line(caught.value, "log-unusable") and "fsync = off" in caught.value.message


@pytest.fixture
def operator(tmp_path: Path, url: str) -> Operator:
    made = make_operator(tmp_path)
    with made.config.open("a", encoding="utf-8") as stream:
        stream.write(f'\n[log]\nurl = "{url}"\n')
    return made


def export(operator: Operator, out: Path) -> int:
    return cli.main(["export", "--config", str(operator.config), "--out", str(out), "--who", "auditor-7"])


def test_an_export_of_many_rows_verifies(operator: Operator, tmp_path: Path, url: str, capsys: Lines) -> None:
    from coordinator import config, service

    settings = config.load(operator.config)
    store = service.open_log(settings, os.urandom(32))
    many: list[Entry] = [egress(number) for number in range(2500)]
    store.append(many)
    store.close()
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    assert export(operator, first) == 0 and export(operator, second) == 0
    assert "2502 records" in capsys.readouterr().out
    assert audit(["verify", "--no-state", str(first), str(second)]) == 0
    assert not list(tmp_path.rglob("log.db"))
    lines = first.read_text("utf-8").splitlines()
    first.write_text("\n".join([*lines[:2000], *lines[2001:]]) + "\n", encoding="utf-8")
    assert audit(["verify", "--no-state", str(first)]) == 1
    capsys.readouterr()


def test_a_restored_dump_is_told_from_the_log(
    server: PostgresServer, operator: Operator, tmp_path: Path, url: str, capsys: Lines
) -> None:
    assert export(operator, tmp_path / "first.jsonl") == 0
    dump = server.dump(name_of(url))
    assert export(operator, tmp_path / "second.jsonl") == 0
    server.sql("postgres", f"DROP DATABASE {name_of(url)} WITH (FORCE); CREATE DATABASE {name_of(url)}")
    server.sql(name_of(url), dump)
    capsys.readouterr()
    assert export(operator, tmp_path / "third.jsonl") == 4
    assert capsys.readouterr().err.count("\n") == 1


def test_a_whole_dump_goes_on_with_its_guards(server: PostgresServer, tmp_path: Path, url: str) -> None:
    opened(tmp_path, url).close()
    dump = server.dump(name_of(url))
    server.sql("postgres", f"DROP DATABASE {name_of(url)} WITH (FORCE); CREATE DATABASE {name_of(url)}")
    server.sql(name_of(url), dump)
    store = opened(tmp_path, url)
    assert store.append([egress(1)]) == [2]
    store.close()


def test_no_server_is_one_line(operator: Operator, tmp_path: Path, url: str, capsys: Lines) -> None:
    text = operator.config.read_text("utf-8").replace("?host=", "?host=/nowhere")
    operator.config.write_text(text, encoding="utf-8")
    assert export(operator, tmp_path / "first.jsonl") == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "the log cannot be used" in told


def test_a_missing_driver_is_one_line(
    operator: Operator, tmp_path: Path, capsys: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "coordinator.postgres")
    assert export(operator, tmp_path / "first.jsonl") == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "install creditmesh[postgres]" in told
