"""A SELECT runs read-only, its password stands nowhere, and a faulty one is told without a row's value."""

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.connectors.copies import open_rows
from node.connectors.database import BATCH_ROWS, read_rows
from node.connectors.settings import Database, Origin
from privacy.errors import InputError
from tests.postgres_server import PostgresServer, Unavailable

SECRET = "hunter2-very-secret"


def sqlite_bank(folder: Path, rows: int = 3) -> Database:
    with sqlite3.connect(folder / "bank.db") as connection:
        connection.execute("CREATE TABLE bills (firm TEXT, day TEXT, kwh REAL, number INTEGER)")
        lines = [(f"f{n % 3}", "2024-01-01", n / 2, n) for n in range(rows)]
        connection.executemany("INSERT INTO bills VALUES (?, ?, ?, ?)", lines)
    connection.close()
    return Database(url=f"sqlite:///{folder}/bank.db")


def test_rows_come_in_batches_as_texts(tmp_path: Path) -> None:
    database = sqlite_bank(tmp_path, BATCH_ROWS + 5)

    batches = list(read_rows("core", database, "SELECT firm, kwh FROM bills;"))

    assert [len(rows) for _, rows in batches] == [BATCH_ROWS, 5]
    assert batches[0][0] == ("firm", "kwh") and batches[0][1][1] == ("f1", "0.5")


def test_an_empty_answer_still_names_its_columns(tmp_path: Path) -> None:
    assert list(read_rows("core", sqlite_bank(tmp_path), "SELECT firm FROM bills WHERE 1 = 0")) == [(("firm",), [])]


@pytest.mark.parametrize(
    ("column", "value", "count"), [("firm", "f1", 2), ("number", "4", 1), ("firm", "' OR 1=1 --", 0)]
)
def test_one_applicants_rows_are_asked_by_a_bound_value(tmp_path: Path, column: str, value: str, count: int) -> None:
    database = sqlite_bank(tmp_path, 6)

    select = "SELECT firm, number FROM bills WHERE day <> ':x' -- all of them"
    rows = [row for _, batch in read_rows("core", database, select, (column, value)) for row in batch]

    assert len(rows) == count


@pytest.mark.parametrize(
    "statement",
    [
        "WITH gone AS (SELECT 1) DELETE FROM bills",
        "WITH more AS (SELECT 1) INSERT INTO bills SELECT 'x', 'y', 1, 1",
    ],
)
def test_a_statement_that_writes_changes_nothing(tmp_path: Path, statement: str) -> None:
    database = sqlite_bank(tmp_path)
    before = (tmp_path / "bank.db").read_bytes()

    with pytest.raises(InputError, match="database core"):
        list(read_rows("core", database, statement))

    assert (tmp_path / "bank.db").read_bytes() == before


def test_a_wrong_name_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no SQLite file"):
        list(read_rows("core", Database(url=f"sqlite:///{tmp_path}/other.db"), "SELECT 1"))

    assert not (tmp_path / "other.db").exists()


def test_a_faulty_statement_is_told_by_its_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such column: kilowatts"):
        list(read_rows("core", sqlite_bank(tmp_path), "SELECT kilowatts FROM bills"))


@pytest.mark.parametrize("url", [f"postgresql+psycopg://u:{SECRET}@127.0.0.1:1/x",
                                 f"postgresql+psycopg://u@127.0.0.1:1/x?password={SECRET}",
                                 f"postgresql+psycopg://u@127.0.0.1:1/x?sslpassword={SECRET}"])  # fmt: skip
def test_a_password_in_the_url_is_refused_unseen(url: str) -> None:
    with pytest.raises(InputError) as caught:
        list(read_rows("core", Database(url=url), "SELECT 1"))

    assert caught.value.code == "database-password" and SECRET not in caught.value.message


def test_a_password_is_never_in_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pass").write_text(SECRET)
    (tmp_path / "pass").chmod(0o644)
    url = "postgresql+psycopg://u@127.0.0.1:1/x"
    with pytest.raises(InputError, match="mode 0644, expected 0600"):
        list(
            read_rows(
                "core", Database.model_validate({"url": url, "password_file": str(tmp_path / "pass")}), "SELECT 1"
            )
        )
    monkeypatch.setenv("CORE_PASSWORD", SECRET)
    with pytest.raises(InputError) as caught:
        list(read_rows("core", Database(url=url, password_env="CORE_PASSWORD"), "SELECT 1"))
    assert caught.value.code in ("database", "database-driver") and SECRET not in caught.value.message
    monkeypatch.delenv("CORE_PASSWORD")
    with pytest.raises(InputError, match="CORE_PASSWORD is not set"):
        list(read_rows("core", Database(url=url, password_env="CORE_PASSWORD"), "SELECT 1"))


def test_without_sqlalchemy_a_select_is_told_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "node.connectors.database")
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)

    with pytest.raises(InputError, match=r"install creditmesh\[serve\]"):
        next(open_rows({}, Origin(sql="SELECT 1", database="core"), "bills"))


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg")
    try:
        running = PostgresServer()
    except Unavailable as error:
        pytest.skip(str(error))
    try:
        yield running
    finally:
        running.close()


@pytest.mark.slow
def test_postgresql_is_read_only_too(server: PostgresServer) -> None:
    name = server.database()
    server.sql(name, "CREATE TABLE bills (firm text, day date, at timestamptz, kwh numeric, number integer)")
    server.sql(name, "CREATE SEQUENCE turn")
    server.sql(name, "INSERT INTO bills VALUES ('f1', '2024-01-02', '2024-01-02T03:04:05+08', 1.5, 7)")
    server.sql(name, "INSERT INTO bills VALUES ('f2', NULL, NULL, 2, 8)")
    database = Database(url=server.url(name))

    rows = [row for _, batch in read_rows("core", database, "SELECT * FROM bills ORDER BY firm") for row in batch]
    one = [row for _, batch in read_rows("core", database, "SELECT * FROM bills", ("number", "8")) for row in batch]

    assert rows[0] == ("f1", "2024-01-02", "2024-01-01T19:04:05.000000", "1.5", "7")
    assert [row[0] for row in one] == ["f2"]
    for statement in (
        "WITH gone AS (DELETE FROM bills RETURNING 1) SELECT * FROM gone",
        "SELECT nextval('turn')",
    ):
        with pytest.raises(InputError, match="database core: the query failed"):
            list(read_rows("core", database, statement))
    with pytest.raises(InputError) as caught:
        list(read_rows("core", database, "SELECT firm::integer FROM bills"))
    assert "f1" not in caught.value.message
