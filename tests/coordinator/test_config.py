"""coordinator.toml: every key is checked, and what founding writes is what loading reads."""

from pathlib import Path

import pytest

from coordinator.config import load
from privacy.errors import InputError
from tests.coordinator.operator import make_operator


def test_reads_what_founding_wrote(tmp_path: Path) -> None:
    config = load(make_operator(tmp_path).config)

    assert (config.consortium.name, config.listen.grpc) == ("demo", "127.0.0.1:0")
    assert config.storage.url == f"sqlite:///{tmp_path}/coordinator.db"
    assert config.state.dir == tmp_path
    assert config.authority is not None
    assert config.authority.key == tmp_path / "keys" / "ca.key"
    policy = config.policy
    assert (policy.lost_after_s, policy.rejoin_s, policy.join_wait_s) == (5, 600, 30)
    assert (policy.round_deadline_s, policy.min_members) == (600, 4)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "demo"', 'name = "Demo Bank"', "consortium.name: found text, expected 1 to 63"),
        ("127.0.0.1:0", "127.0.0.1", "listen.grpc"),
        ("127.0.0.1:0", "127.0.0.1:99999", "listen.grpc"),
        ("sqlite:///coordinator.db", "mysql://x", "storage.url"),
        ("sqlite:///coordinator.db", "sqlite://", "storage.url"),
        ("sqlite:///coordinator.db", "sqlite:///:memory:", "storage.url"),
        (
            "[state]",
            "[policy]\nmin_members = 3\n[state]",
            "policy.min_members: found 3, expected greater than or equal",
        ),
        ("[state]", "[policy]\nlost_after_s = 0\n[state]", "policy.lost_after_s: found 0"),
        ("[state]", "[policy]\nlost_after_s = 2.5\n[state]", "policy.lost_after_s: found 2.5, expected"),
        ("[state]", "[policy]\nlost_after = 2\n[state]", "unknown key policy.lost_after"),
        ("[state]", "[stat]", "unknown key stat"),
        *(
            ("[state]", f'[log]\nurl = "{url}"\n[state]', f"log.url: found text, expected {expected}")
            for url, expected in (
                ("sqlite:///log.db", '"postgresql+psycopg://HOST/DATABASE"'),
                ("postgresql+psycopg://localhost", '"postgresql+psycopg://HOST/DATABASE"'),
                ("postgresql+psycopg://me:secret@localhost/log", "a URL without a password"),
                ("postgresql+psycopg:///log?password=secret", "a URL without a password"),
                ("postgresql+psycopg://db.example/log", "?sslmode=verify-full"),
                ("postgresql+psycopg:///log?host=db.example&sslmode=require", "?sslmode=verify-full"),
            )
        ),
    ],
)
def test_refuses_in_one_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    config = make_operator(tmp_path).config
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new), encoding="utf-8")

    with pytest.raises(InputError) as caught:
        load(config)

    assert says in caught.value.message
    assert str(config) in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg:///log?host=/run/postgresql&user=sequencer",
        "postgresql://sequencer@localhost/log?passfile=pass",
        "postgresql+psycopg://db.example/log?sslmode=verify-full",
    ],
)
def test_a_log_may_lie_on_a_server(tmp_path: Path, url: str) -> None:
    config = make_operator(tmp_path).config
    assert load(config).log is None
    config.write_text(config.read_text("utf-8") + f'\n[log]\nurl = "{url}"\n', encoding="utf-8")
    settings = load(config).log
    assert settings is not None and settings.url == url


def test_a_postgresql_url_is_taken_as_it_is(tmp_path: Path) -> None:
    config = make_operator(tmp_path).config
    url = "postgresql+psycopg://user@db.example/mesh"
    config.write_text(config.read_text("utf-8").replace("sqlite:///coordinator.db", url), encoding="utf-8")

    assert load(config).storage.url == url
