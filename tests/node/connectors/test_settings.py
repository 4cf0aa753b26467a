"""The mappings are strict: what is unknown, doubled, missing or impossible is refused in one line."""

from pathlib import Path

import pytest

from node.connectors.settings import load_connectors
from privacy.errors import InputError
from tests.node.connectors.small_bank import FIELDS, SETTINGS, dictionary_of, write_small_bank

CASES = [
    ("take = \"sum\"", "take = \"median\"", "field.sales: found"),
    ("months = 12", "months = 0", "months"),
    ("months = 12", "", "take sum with either months or days"),
    ("months = 12", "months = 12\ndays = 3", "take sum with either months or days"),
    ('column = "sales"', "", "take sum with a column"),
    ('take = "exists"', 'take = "exists"\ncolumn = "filed"', "take exists without a column"),
    ('[field.sales]', '[field.sails]', "field.sails: the data dictionary declares no such field"),
    ('source = "vat"', 'source = "tva"', "field.sales: source tva is not declared"),
    ('F = "farm"', 'F = "form"', "field.trade: values: 1 are no level"),
    ('take = "exists"\nmonths = 36', 'take = "count"\nmonths = 36', "field.sued: the dictionary calls it a flag"),
    ("consent_required = true", "", "consent_required is missing"),
    ('consent = "consent"\n', "", "a column consent, since consent_required is true"),
    ('file = "vat.csv"', 'file = "vat.csv"\nsql = "SELECT 1"', "either file, or sql with database"),
    ('file = "vat.csv"', 'sql = "SELECT 1"\ndatabase = "core"', "database core is not declared"),
    ('file = "vat.csv"', 'sql = "DELETE FROM x"\ndatabase = "core"', "one SELECT without ';' inside"),
    ('file = "vat.csv"', 'sql = "SELECT 1; DELETE FROM x"\ndatabase = "core"', "one SELECT without ';' inside"),
    ("months = 12", 'months = 12\nformula = "1+1"', "unknown key field.sales"),
    ("months = 12", 'months = 12\nwhere = { column = "a" }', "one of equals, above and below"),
    ("months = 12", 'months = 12\nwhere = { column = "sales", equals = "x" }', "read as text"),
    ("months = 12", "months = 12\ngroup = \"a\"\ntop = 3", "group and top with take top_share"),
]  # fmt: skip


def test_the_small_bank_is_fine(tmp_path: Path) -> None:
    path, _ = write_small_bank(tmp_path)

    connectors = load_connectors(path, dictionary_of())

    assert set(connectors.field) == {"sales", "trade", "sued"}
    assert [name for name, _ in connectors.origins()] == ["applications", "vat", "registry", "court", "court-coverage"]


@pytest.mark.parametrize(("old", "new", "said"), CASES)
def test_a_faulty_mapping_is_refused_in_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in SETTINGS + FIELDS
    path, _ = write_small_bank(tmp_path)
    path.write_text((SETTINGS + FIELDS).replace(old, new, 1))

    with pytest.raises(InputError) as caught:
        load_connectors(path, dictionary_of())

    assert said in caught.value.message and "\n" not in caught.value.message
    assert caught.value.message.startswith(str(path))
