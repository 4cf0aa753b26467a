"""A bank of four firms with one source, written as files, and what may be asked of it."""

from pathlib import Path

from risk.dictionary import Dictionary, parse_dictionary

__all__ = ["FIELDS", "SETTINGS", "dictionary_of", "write_small_bank"]

SCHEMA = """
name = "room"
version = 1
title = "a room"
source = "made for tests"

[target]
field = "bad"
meaning = "1 = the loan went bad"

[time]
field = "month"
format = "%Y-%m"

[[field]]
name = "sales"
dimension = "operating"
type = "number"
unit = "CNY"
bounds = [0, 1000000]
risk_when_rising = "down"
text = "sales of a year"
max_age_days = 60

[[field]]
name = "trade"
dimension = "scenario"
type = "category"
levels = ["retail", "farm"]
risk_when_rising = "free"
text = "trade"

[[field]]
name = "sued"
dimension = "credit"
type = "flag"
risk_when_rising = "up"
text = "was sued"
"""

SETTINGS = """
[applications]
file = "applications.csv"
application = "id"
applicant = "firm"
decided = "decided"
target = "bad"

[source.vat]
file = "vat.csv"
key = "firm"
as_of = "day"
consent = "consent"
consent_required = true

[source.registry]
file = "registry.csv"
key = "firm"
as_of = "day"
consent_required = false

[source.court]
file = "court.csv"
key = "firm"
as_of = "filed"
known = "published"
consent_required = false
coverage = { file = "asked.csv", key = "firm", as_of = "day" }
"""

FIELDS = """
[field.sales]
source = "vat"
take = "sum"
column = "sales"
months = 12

[field.trade]
source = "registry"
take = "latest"
column = "code"
values = { R = "retail", F = "farm" }

[field.sued]
source = "court"
take = "exists"
months = 36
"""

TABLES = {
    "applications.csv": "id,firm,decided,bad\na1,f1,2024-03-10,0\na2,f2,2024-03-10,1\na3,f3,2024-03-10,0\n",
    "vat.csv": "firm,day,consent,sales\nf1,2024-02-15,c1,100\nf1,2023-12-15,c1,50\nf1,2023-03-09,c1,7\n"
    "f2,2024-02-15,,300\nf3,2023-11-01,c3,80\n,2024-02-15,c9,5\n",
    "registry.csv": "firm,day,code\nf1,2023-06-01,F\nf1,2024-01-01,R\nf2,2024-01-01,F\n",
    "court.csv": "firm,filed,published\nf1,2024-03-01,2024-03-12\nf2,2024-02-01,2024-02-20\n",
    "asked.csv": "firm,day\nf1,2024-03-08\nf2,2024-03-08\n",
}


def dictionary_of(text: str = SCHEMA) -> Dictionary:
    """Return the dictionary of a schema's text."""
    import tomllib

    return parse_dictionary(tomllib.loads(text), "schema.toml")


def write_small_bank(folder: Path, fields: str = FIELDS, settings: str = SETTINGS) -> tuple[Path, Path]:
    """Write the tables, `connectors.toml` and `schema.toml`; return the two."""
    for name, text in TABLES.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "schema.toml").write_text(SCHEMA, encoding="utf-8")
    (folder / "connectors.toml").write_text(settings + fields, encoding="utf-8")
    return folder / "connectors.toml", folder / "schema.toml"
