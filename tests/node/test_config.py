"""node.toml: every key is checked, defaults are those of the permit, and one line says what is wrong."""

from pathlib import Path

import pytest

from node.config import PermitSettings, load
from privacy.errors import InputError
from tests.node.bank import make_bank


def test_reads_a_whole_file(tmp_path: Path) -> None:
    config = load(make_bank(tmp_path).config)

    assert config.member.id == "alpha"
    assert config.source.table == tmp_path / "alpha.csv"
    assert config.source.schema_file == tmp_path / "schema.toml"
    assert config.state.dir == tmp_path / "state"
    assert (config.permit.min_rows, config.permit.min_cohort) == (1, 4)


def test_permit_defaults_are_strict() -> None:
    permit = PermitSettings()

    assert (permit.min_cohort, permit.min_rows, permit.min_bads, permit.allow_exclusion) == (4, 100, 10, 0)
    assert permit.purposes == ("credit-risk-model",)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('id = "alpha"', 'id = "Alpha"', "member.id: found text, expected 1 to 63"),
        ('id = "alpha"', 'id = "../alpha"', "member.id"),
        ('id = "alpha"', f'id = "{"a" * 64}"', "member.id"),
        ("127.0.0.1:8443", "127.0.0.1", "coordinator.endpoint"),
        ("127.0.0.1:8443", "127.0.0.1:0", "coordinator.endpoint"),
        ("127.0.0.1:8443", "127.0.0.1:65536", "coordinator.endpoint"),
        ("127.0.0.1:8443", "http://127.0.0.1:80", "coordinator.endpoint"),
        ("min_rows = 1", "min_rows = 0", "permit.min_rows: found 0, expected greater than or equal to 1"),
        ("min_rows = 1", "min_cohort = 3", "permit.min_cohort: found 3, expected greater than or equal to 4"),
        ("min_rows = 1", "allow_exclusion = 2", "permit.allow_exclusion: found 2, expected less than or equal to 1"),
        ("min_rows = 1", "allow_exclusion = true", "permit.allow_exclusion"),
        ("min_rows = 1", "purposes = []", "permit.purposes"),
        ("min_rows = 1", 'recipes = ["a", "a"]', "permit.recipes"),
        ("min_rows = 1", "recipes = [1]", "permit.recipes"),
        ("min_rows = 1", "min_row = 1", "unknown key permit.min_row"),
        ("[state]", "[states]", "unknown key states"),
        ('dir = "state"', "", "key state.dir is missing"),
    ],
)
def test_refuses_in_one_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    config = make_bank(tmp_path).config
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new), encoding="utf-8")

    with pytest.raises(InputError) as caught:
        load(config)

    assert says in caught.value.message
    assert str(config) in caught.value.message
    assert "\n" not in caught.value.message
