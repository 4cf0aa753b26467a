"""One synthetic bank from its own tables to a scorecard: the index finds again what the tables were made from."""

import json
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from creditmesh_demo.bank_tables import draw_firms, write_bank

from node.cli import main
from node.connectors.applicant import read_applicant
from node.connectors.build import Plan, build_index
from node.dataset import read_dictionary
from node.scorer.bodies import DECISION, application_of
from node.source import read_table
from risk.applicant import RecordReader
from risk.bank import own_models
from risk.book import Book
from risk.catalogue import recipe
from risk.evidence import EvidenceReader
from risk.lending_policy import EvidenceRules
from risk.ranking import auc
from risk.spec import JobSpec

pytestmark = pytest.mark.slow
ROWS = 900


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    write_bank(folder, draw_firms("city_bank", ROWS, seed=5))
    (folder / "node.toml").write_text(
        '[member]\nid = "city_bank"\n[coordinator]\nendpoint = "127.0.0.1:9"\n'
        '[tls]\nca = "a"\ncertificate = "b"\nkey = "c"\n[identity]\nkey = "d"\npeers = "e"\n'
        '[source]\ntable = "built/table.parquet"\nschema = "schema.toml"\n[state]\ndir = "state"\n'
    )
    files = ["--config", str(folder / "node.toml"), "--connectors", str(folder / "connectors.toml")]
    assert main(["index", "check", *files, "--json"]) == 0
    assert main(["index", "build", *files, "--out", str(folder / "built")]) == 0
    assert main(["check", "--config", str(folder / "node.toml")]) == 0
    return folder


def test_the_index_finds_the_drawn_values_again(bank: Path) -> None:
    firms = draw_firms("city_bank", ROWS, seed=5)
    built = pl.read_parquet(bank / "built" / "lineage.parquet").join(
        pl.read_parquet(bank / "built" / "table.parquet").with_row_index("place").with_columns(
            pl.Series("application", pl.read_parquet(bank / "built" / "lineage.parquet")["application"])
        ),
        on="application",
    )  # fmt: skip
    exact = [
        *("vat_revenue_12m", "gross_margin", "invoice_void_rate", "employees_insured", "months_since_registration"),
        *("tax_credit_rating", "tax_arrears_count_24m", "bureau_max_dpd_24m", "bureau_utilisation", "active_lenders"),
        *("bureau_inquiries_6m", "enforcement_cases_36m", "settle_inflow_outflow", "cash_buffer_days"),
        *("returned_payment_rate", "pos_night_share", "owner_card_utilisation", "related_party_transfer_share"),
        *("account_tenure_months", "buyer_payment_delay_days", "platform_order_growth", "electricity_kwh_trend"),
        *("balance_low_days_90d", "loan_amount", "loan_term", "debt_to_revenue"),
    ]
    for name in exact:
        found = built[name].to_numpy().astype(np.float64)
        drawn = firms.columns[name]
        there = ~np.isnan(found)
        if name == "bureau_inquiries_6m":  # whoever is in the bureau's reports has a count, if only of none
            there &= ~np.isnan(drawn)
        assert there.sum() > 0.3 * found.size, name
        np.testing.assert_allclose(found[there], drawn[there], rtol=2e-3, atol=2e-3, err_msg=name)
    trade = built["industry"].to_list()
    levels = next(field.levels for field in read_dictionary(bank / "schema.toml").fields if field.name == "industry")
    drawn_trade = firms.columns["industry"]
    assert all(each is None or each == levels[int(drawn_trade[place])] for place, each in enumerate(trade))


def test_without_consent_a_source_gives_nothing_and_is_counted(bank: Path) -> None:
    manifest = json.loads((bank / "built" / "manifest.json").read_text())

    dropped = manifest["sources"]["utility_bills"]["dropped"]["consent"]
    assert dropped > 0 and manifest["fields"]["electricity_kwh_trend"]["no-record"] > 0
    lineage = pl.read_parquet(bank / "built" / "lineage.parquet")
    used = lineage.filter(pl.col("as_of.utility_bills").is_not_null())
    assert used["consent.utility_bills"].null_count() == 0


def test_one_applicant_online_is_its_row_of_the_table(bank: Path) -> None:
    connectors, dictionary = Plan(bank / "connectors.toml", bank / "schema.toml").load()
    table = pl.read_parquet(bank / "built" / "table.parquet")
    asked = pl.read_csv(bank / "tables" / "applications.csv")
    for place in range(0, ROWS, 180):
        application = asked.row(place, named=True)
        decided = datetime.fromisoformat(application["decided_on"]).replace(tzinfo=UTC)
        given = {"trade": application["trade"] or "", "application_id": application["application_id"]}

        record = read_applicant(connectors, dictionary, application["firm_id"], decided, given)

        row = table.row(place, named=True)
        assert record.fields == {name: row[name] for name in record.fields}


def test_removing_every_later_record_changes_nothing(bank: Path, tmp_path: Path) -> None:
    firms = draw_firms("city_bank", ROWS, seed=5)
    write_bank(tmp_path, firms)
    decided = pl.read_csv(tmp_path / "tables" / "applications.csv").select("firm_id", "decided_on")
    removed = 0
    document = tomllib.loads((tmp_path / "connectors.toml").read_text())
    for source in document["source"].values():
        if "file" not in source or source["key"] != "firm_id":
            continue
        path, day = tmp_path / source["file"], source.get("known", source["as_of"])
        table = pl.read_csv(path, infer_schema=False)
        kept = table.join(decided, on="firm_id", how="left", maintain_order="left").filter(
            pl.col(day) < pl.col("decided_on")
        )
        removed += table.height - kept.height
        kept.drop("decided_on").write_csv(path)

    build_index(
        Plan(tmp_path / "connectors.toml", tmp_path / "schema.toml"), tmp_path / "built", lambda: datetime.now(UTC)
    )

    assert removed > 5 * ROWS
    assert (tmp_path / "built" / "table.parquet").read_bytes() == (bank / "built" / "table.parquet").read_bytes()


def test_a_scorecard_of_its_own_is_trained_from_the_bare_tables(bank: Path) -> None:
    dictionary = read_dictionary(bank / "schema.toml")
    table = read_table(bank / "built" / "table.parquet", dictionary, "city_bank")
    spec = JobSpec("scorecard", 1, recipe("scorecard").parse_parameters({}), dictionary, 4, 1 << 16, 0, 300_000)
    book = Book(table, spec)

    model = own_models(book).full

    held = book.table.select(book.rows("holdout"))
    figure = auc(held.target, model.logit(held))
    assert figure is not None and figure > 0.6


def test_the_decision_api_takes_an_applicants_record_as_it_is_shown(
    bank: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = pl.read_csv(bank / "tables" / "applications.csv").row(3, named=True)
    files = ["--config", str(bank / "node.toml"), "--connectors", str(bank / "connectors.toml")]
    show = ["index", "show", asked["firm_id"], "--on", asked["decided_on"], *files]
    assert main(show) == 2
    assert "--given application_id=VALUE --given trade=VALUE" in capsys.readouterr().err

    code = main([*show, "--application", asked["application_id"], "--given", f"trade={asked['trade']}"])

    assert code == 0
    raw = capsys.readouterr().out
    assert "loan_amount" in json.loads(raw)["fields"]  # its source is matched by the application's own number
    application = application_of(DECISION.validate_json(raw))
    dictionary = read_dictionary(bank / "schema.toml")
    reader = EvidenceReader(dictionary.model_fields, EvidenceRules(1.0, True, False, ()))
    notes = {note.source: note for note in application.sources}
    unusable = reader.unusable(notes, date.fromisoformat(asked["decided_on"]))
    assert len(application.record) > 20 and not set(unusable) & set(application.record)
    assert notes["bureau"].consent == f"bureau-{asked['firm_id']}" and reader.unknown(notes) == []
    reading = RecordReader(dictionary).read(application.record, unusable)
    assert [why for why in reading.faults if why[1] != "no-as-of"] == []
