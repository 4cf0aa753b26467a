"""PMML4S, DuckDB and PostgreSQL score 10 000 awkward rows as the scorecard does.

`make accept` installs the first two apart from ours.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from risk.card import Scorecard
from risk.export_pmml import pmml_document
from risk.export_sql import sql_query
from risk.table import Table
from tests.postgres_server import PostgresServer, Unavailable
from tests.risk.awkward import TRADE, applicants, models, plain_rows

SCRIPT = Path(__file__).with_name("export_scores.py")
PYTHON = Path(__file__).resolve().parents[2] / ".venv-accept" / "bin" / "python"
pytestmark = pytest.mark.slow


def card() -> Scorecard:
    found = models()["scorecard"]
    assert isinstance(found, Scorecard)
    return found


def needs(package: str) -> None:
    """Skip where the second implementation is not installed, and say so."""
    line = [str(PYTHON), "-c", f"import {package}"]
    if not PYTHON.exists() or subprocess.run(line, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip(f"{package} is not here; `make accept` installs it apart from ours")


def scored(engine: str, export: bytes, table: Table, folder: Path) -> np.ndarray:
    """Return what another program makes of an export and these rows."""
    (folder / "export").write_bytes(export)
    kinds = ["text" if name == TRADE else "number" for name in table.columns]
    rows = [list(row.values()) for row in plain_rows(table)]
    document = {"names": list(table.columns), "kinds": kinds, "rows": rows}
    (folder / "rows.json").write_text(json.dumps(document, allow_nan=engine != "pmml"), "utf-8")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    line = [str(each) for each in (PYTHON, SCRIPT, engine, folder / "export", folder / "rows.json")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False, env=clean)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.array(json.loads(done.stdout.splitlines()[-1]))


def test_pmml4s_gives_the_same_points(tmp_path: Path) -> None:
    needs("pypmml")
    if shutil.which("java") is None:
        pytest.skip("there is no Java here, which PMML4S runs on")
    table = applicants(infinite=False)  # JSON, in which the rows travel, has no infinity
    points = scored("pmml", pmml_document(card()), table, tmp_path)
    assert np.array_equal(points, card().score(table)) and len(np.unique(points)) > 50


def test_duckdb_gives_the_same_points_and_log_odds(tmp_path: Path) -> None:
    needs("duckdb")
    table = applicants()
    check(scored("duckdb", sql_query(card(), "applicants").encode(), table, tmp_path), table)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    try:
        made = PostgresServer()
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield made
    made.close()


@pytest.mark.parametrize("kind", ["double precision", "numeric"])
def test_postgresql_gives_the_same_points_and_log_odds(server: PostgresServer, kind: str) -> None:
    table = applicants()
    names = ['"' + name.replace('"', '""') + '"' for name in table.columns]
    kinds = ["text" if name == TRADE else kind for name in table.columns]
    database = server.database()
    declared = ", ".join(f"{name} {each}" for name, each in zip(names, kinds, strict=True))
    rows = "\n".join("\t".join(map(_copied, row.values())) for row in plain_rows(table))
    made = f"CREATE TABLE applicants (row_number serial, {declared});\n"
    filled = f"COPY applicants ({', '.join(names)}) FROM stdin;\n{rows}\n\\.\n"
    query = sql_query(card(), "applicants")
    asked = f"SELECT json_agg(json_build_array(score, logit, pd) ORDER BY row_number) FROM ({query}) AS answer;\n"
    check(np.array(json.loads(server.sql(database, f"SET client_encoding = 'UTF8';\n{made}{filled}{asked}"))), table)


def check(found: np.ndarray, table: Table) -> None:
    """Compare [score, logit, pd] of every row with the scorecard's own."""
    assert np.array_equal(found[:, 0], card().score(table)) and len(np.unique(found[:, 0])) > 50
    assert np.array_equal(found[:, 1], card().logit(table))
    assert np.abs(found[:, 2] - card().pd(table)).max() <= 1e-12


def _copied(value: float | str | None) -> str:
    """Return a cell in the text form of COPY."""
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    return repr(value)
