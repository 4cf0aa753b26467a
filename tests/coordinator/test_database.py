"""The database's schema: migrations make what the tables declare, and carry every row of an older release along."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text

from coordinator import database, tables
from coordinator.store import Member, ModelRecord, RoundRecord, Store
from privacy.errors import InputError
from tests.postgres_server import PostgresServer, Unavailable

ROOT = Path(__file__).resolve().parents[2]

# What the first release's `create_all` made, as SQLite's own dump wrote it, with a row in each table.
FIRST_RELEASE = """
CREATE TABLE members (id VARCHAR(63) NOT NULL, identity VARCHAR(64) NOT NULL, certificate_serial VARCHAR(48) NOT NULL,
    status VARCHAR(16) NOT NULL, PRIMARY KEY (id), UNIQUE (identity), UNIQUE (certificate_serial));
CREATE TABLE member_keys (member VARCHAR(63) NOT NULL, log TEXT NOT NULL, witness TEXT NOT NULL, PRIMARY KEY (member),
    FOREIGN KEY(member) REFERENCES members (id));
CREATE TABLE jobs (number {serial} NOT NULL, id VARCHAR(63) NOT NULL, recipe VARCHAR(63) NOT NULL, spec TEXT NOT NULL,
    state VARCHAR(16) NOT NULL, reason TEXT NOT NULL, created BIGINT NOT NULL, ended BIGINT, PRIMARY KEY (number),
    UNIQUE (id));
CREATE TABLE rounds (job VARCHAR(63) NOT NULL, number INTEGER NOT NULL, position INTEGER NOT NULL,
    name VARCHAR(127) NOT NULL, state VARCHAR(16) NOT NULL, survivors TEXT NOT NULL, bytes BIGINT NOT NULL,
    started BIGINT NOT NULL, ended BIGINT, PRIMARY KEY (job, number), FOREIGN KEY(job) REFERENCES jobs (id));
CREATE TABLE events (seq {serial} NOT NULL, job VARCHAR(63) NOT NULL, t BIGINT NOT NULL, kind VARCHAR(63) NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (seq), FOREIGN KEY(job) REFERENCES jobs (id));
CREATE INDEX ix_events_job ON events (job);
CREATE TABLE models (sha256 VARCHAR(64) NOT NULL, job VARCHAR(63) NOT NULL, path TEXT NOT NULL,
    PRIMARY KEY (sha256, job), FOREIGN KEY(job) REFERENCES jobs (id));
CREATE TABLE releases (sha256 VARCHAR(64) NOT NULL, job VARCHAR(63) NOT NULL, released BIGINT NOT NULL,
    PRIMARY KEY (sha256, job), FOREIGN KEY(job) REFERENCES jobs (id));
INSERT INTO members VALUES ('alpha', '{key}', 'ff', 'suspended');
INSERT INTO member_keys VALUES ('alpha', 'log-key', 'witness-key');
INSERT INTO jobs (id, recipe, spec, state, reason, created, ended)
    VALUES ('job-0001-aa', 'scorecard', '{{"job":{{}}}}', 'done', '', 5, 9);
INSERT INTO rounds VALUES ('job-0001-aa', 1, 0, 'bins', 'opened', '["alpha"]', 77, 6, 8);
INSERT INTO events (job, t, kind, body) VALUES ('job-0001-aa', 6, 'job-started', '{{"members":["alpha"]}}');
INSERT INTO models VALUES ('{sha}', 'job-0001-aa', 'models/x.json');
INSERT INTO releases VALUES ('{sha}', 'job-0001-aa', 10);
"""
KEY, SHA = "0a" * 32, "0b" * 32


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg", reason="the extra [postgres] is not installed")
    try:
        server = PostgresServer()
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield server
    server.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/c.db"
    server: PostgresServer = request.getfixturevalue("server")
    return server.url(server.database())


def make_first_release(url: str) -> None:
    engine = create_engine(url)
    serial = "INTEGER" if engine.dialect.name == "sqlite" else "BIGSERIAL"
    with engine.begin() as connection:
        for statement in FIRST_RELEASE.format(serial=serial, key=KEY, sha=SHA).split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        steps = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(steps, tables.metadata))


def test_the_migrations_make_exactly_the_declared_tables(url: str) -> None:
    opened = database.open_database(url)
    assert opened.migrated == ("", database.newest_revision())
    assert differences(opened.engine) == []
    opened.engine.dispose()


def test_a_column_that_no_migration_makes_is_found(url: str) -> None:
    opened = database.open_database(url)
    with opened.engine.begin() as connection:
        connection.execute(text("ALTER TABLE members ADD COLUMN planted INTEGER"))
    assert differences(opened.engine) != []
    opened.engine.dispose()


def test_a_database_of_the_first_release_comes_up_without_loss(url: str) -> None:
    make_first_release(url)
    store = Store(url)
    assert store.migrated == ("", database.newest_revision())
    assert differences(store.engine) == []
    assert store.members() == [Member("alpha", KEY, 255, "suspended", "log-key", "witness-key")]
    (job,) = store.jobs()
    assert (job.id, job.state, job.spec, job.created, job.ended) == ("job-0001-aa", "done", {"job": {}}, 5, 9)
    assert store.rounds(job.id) == [RoundRecord(job.id, 1, 0, "bins", "opened", ("alpha",), 77, 6, 8)]
    assert [(each.t, each.kind, each.body) for each in store.job_events(job.id)] == [
        (6, "job-started", {"members": ["alpha"]})
    ]
    assert store.models(job.id) == [ModelRecord(SHA, job.id, "models/x.json", 10)]
    assert store.add_job("scorecard", {}).startswith("job-0002-")
    store.close()


def test_an_older_release_with_tables_missing_gets_them(url: str) -> None:
    make_first_release(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE releases"))
        connection.execute(text("DROP TABLE member_keys"))
    engine.dispose()
    store = Store(url)
    assert differences(store.engine) == []
    assert [member.id for member in store.members()] == ["alpha"]
    store.close()


def test_opening_again_changes_nothing(url: str) -> None:
    Store(url).close()
    store = Store(url)
    assert store.migrated is None
    store.close()


def test_a_database_of_later_software_is_refused_untouched(url: str) -> None:
    store = Store(url)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(InputError, match="schema 9999, this software knows up to") as caught:
        Store(url)
    assert caught.value.code == "database-newer"
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
    engine.dispose()


def test_a_migration_that_fails_leaves_the_database_as_it_was(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("planted")

    make_first_release(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE member_keys"))
    before = set(inspect(engine).get_table_names())
    monkeypatch.setattr(op, "create_index", fails)
    with pytest.raises(RuntimeError):
        Store(url)
    assert set(inspect(engine).get_table_names()) == before
    engine.dispose()
    monkeypatch.undo()
    Store(url).close()


def test_processes_that_start_at_once_migrate_once(url: str) -> None:
    code = "import sys; from coordinator.store import Store; s = Store(sys.argv[1]); print(s.migrated); s.close()"
    running = [
        subprocess.Popen([sys.executable, "-c", code, url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    told = sorted(process.communicate(timeout=120)[0].strip() for process in running)
    assert [process.returncode for process in running] == [0, 0, 0]
    assert told == [str(("", database.newest_revision())), "None", "None"]


def test_the_migrations_are_one_line() -> None:
    scripts = ScriptDirectory(str(ROOT / "coordinator" / "migrations"))
    assert scripts.get_heads() == [database.newest_revision()]
    assert scripts.get_base() == "0001"
    for script in scripts.walk_revisions():
        assert Path(script.path).name.startswith(f"v{script.revision}_")


def test_sqlite_syncs_every_commit(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/c.db")
    with store.engine.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    store.close()
