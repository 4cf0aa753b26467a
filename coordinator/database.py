"""Open the coordinator's database from its URL: the engine, SQLite's settings, and the schema brought up to date.

It knows no table's meaning (`coordinator.store` does). Theory: the schema is what the migrations in
`migrations/versions` make, one after the other, never what happens to be declared; a database of an older release is
brought up in one transaction while other processes wait, and one that a newer release made is refused, since this
software does not know what it would break. A database of the first release has no version yet: migration 0001 makes
only what is missing, so it adopts such a database.

SQLite runs in WAL mode and syncs every commit (`synchronous=FULL`): a job goes on after a crash from what is here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from privacy.errors import InputError, MisuseError

__all__ = ["Opened", "explained", "newest_revision", "open_database", "relax", "upgrade"]

_MIGRATIONS = Path(__file__).with_name("migrations")
_VERSION = "alembic_version"
# Names whoever migrates among the users of a PostgreSQL server: seven bytes of SHA-256("creditmesh/schema").
_LOCK = 0xDD9CDC180FAFF0


@dataclass(frozen=True, slots=True)
class Opened:
    """An engine with its schema up to date; migrated: revisions before ("" for none) and after, None if none ran."""

    engine: Engine
    migrated: tuple[str, str] | None


def open_database(url: str) -> Opened:
    """Open the database at an SQLAlchemy URL, SQLite or PostgreSQL, and bring its schema up to date.

    Raises `InputError`: `database-unusable`, `database-url`, or `database-newer` if later software made it.
    """
    with explained():
        engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _prepare_sqlite)
        try:
            return Opened(engine, upgrade(engine))
        except BaseException:
            engine.dispose()
            raise


def relax(connection: Connection) -> None:
    """Let this connection's next transaction return before it is on disk: for what a crash may lose."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA synchronous=NORMAL")
    else:
        connection.exec_driver_sql("SET synchronous_commit = off")
    connection.commit()
    connection.detach()  # it is closed afterwards, so that no other work gets it from the pool


def newest_revision() -> str:
    """Return the revision that this software's migrations end at: four digits, as in the names of their files."""
    return max(path.name[1:5] for path in (_MIGRATIONS / "versions").glob("v[0-9][0-9][0-9][0-9]_*.py"))


def upgrade(engine: Engine, target: str | None = None) -> tuple[str, str] | None:
    """Run the migrations up to `target` (the newest if None) that have not run; return revisions before and after.

    All of them happen or none does. Returns None if there was nothing to do.
    """
    wanted = target or newest_revision()
    with engine.connect() as connection:
        if _revision(connection) == wanted:
            return None
    alone = _engine_alone(engine)
    try:
        with alone.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            before = _revision(connection)  # again: another process may have been faster
            if before == wanted:
                return None
            _check_known(before)
            _migrate(connection, wanted)
            return before, wanted
    finally:
        alone.dispose()


def _migrate(connection: Connection, target: str) -> None:
    # Imported here: it takes a moment, and most starts find nothing to do.
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(_MIGRATIONS))
    steps = MigrationContext.configure(
        connection,
        opts={"fn": lambda revision, _steps: scripts._upgrade_revs(target, revision)},
    )
    with Operations.context(steps):
        steps.run_migrations()


def _check_known(revision: str) -> None:
    newest = newest_revision()
    if revision > newest:
        message = f"the database has schema {revision}, this software knows up to {newest}"
        raise InputError("database-newer", f"{message}; install the release that made it, or a later one")


def _revision(connection: Connection) -> str:
    """Return the database's revision, "" if it has none."""
    if not inspect(connection).has_table(_VERSION):
        return ""
    return connection.execute(text(f"SELECT version_num FROM {_VERSION}")).scalar() or ""  # noqa: S608 - a constant


def _engine_alone(engine: Engine) -> Engine:
    """Return an engine whose transactions cover changes of the schema too and, on SQLite, wait for each other."""
    alone = create_engine(engine.url, poolclass=NullPool)
    if alone.dialect.name == "sqlite":
        event.listen(alone, "connect", _prepare_sqlite_alone)
        event.listen(alone, "begin", _begin_immediate)
    return alone


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _prepare_sqlite_alone(connection: Any, _record: Any) -> None:
    # Python's driver would commit before a change of the schema; foreign keys stay off, since a table that is rebuilt
    # is dropped for a moment.
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=60000").close()


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def explained() -> Iterator[None]:
    """Turn the errors of SQLAlchemy and its drivers into ours, one line each."""
    try:
        yield
    except IntegrityError as error:
        raise MisuseError("store-integrity", "a row repeats a key or names a job that is not there") from error
    except DBAPIError as error:
        reason = str(error.orig).splitlines()[0] if error.orig else type(error).__name__
        raise InputError("database-unusable", f"the database cannot be used: {reason}") from error
    except (SQLAlchemyError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise InputError("database-url", f"[storage] url cannot be used: {reason}") from error
