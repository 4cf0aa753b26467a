"""Score rows by an export, with programs that know nothing of us; run by the interpreter that has them.

    python export_scores.py pmml FILE.pmml ROWS.json     points, by PMML4S on a Java virtual machine
    python export_scores.py duckdb QUERY.sql ROWS.json   [score, logit, pd], by DuckDB

ROWS is JSON: names, kinds (text or number) and rows (lists). Prints one JSON list.
"""

import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main(engine: str, export: Path, rows: Path) -> int:
    table = json.loads(rows.read_text("utf-8"))
    found = _pmml(export, table) if engine == "pmml" else _duckdb(export, table)
    print(json.dumps(found))
    return 0


def _pmml(export: Path, table: dict[str, Any]) -> list[Any]:
    from pypmml import Model

    model = Model.fromFile(str(export))
    try:
        place = [table["names"].index(name) for name in model.inputNames]
        data = [[row[at] for at in place] for row in table["rows"]]
        answer = json.loads(model.predict(json.dumps({"columns": model.inputNames, "data": data})))
        at = answer["columns"].index("points")
        return [row[at] for row in answer["data"]]
    finally:
        Model.close()


def _duckdb(export: Path, table: dict[str, Any]) -> list[Any]:
    import duckdb

    database = duckdb.connect()
    kinds = {"text": "VARCHAR", "number": "DOUBLE"}
    names = ['"' + name.replace('"', '""') + '"' for name in table["names"]]
    declared = ", ".join(f"{name} {kinds[kind]}" for name, kind in zip(names, table["kinds"], strict=True))
    database.execute(f"CREATE TABLE applicants ({declared}, row_number BIGINT)")
    columns = [list(column) for column in zip(*table["rows"], strict=True)] + [list(range(len(table["rows"])))]
    types = [kinds[kind] for kind in table["kinds"]] + ["BIGINT"]
    unnested = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in types)
    database.execute(f"INSERT INTO applicants SELECT {unnested}", columns)
    query = export.read_text("utf-8")
    return [
        list(row) for row in database.execute(f"SELECT score, logit, pd FROM ({query}) ORDER BY row_number").fetchall()
    ]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
