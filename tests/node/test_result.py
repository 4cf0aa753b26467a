"""A bank's result files: whole or not at all, the last job of each recipe beside one folder a job."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from node import model_store
from node.result import write_result, write_whole
from node.seat import Seat
from privacy.errors import InputError
from privacy.manifest import Manifest
from risk.job import contribute
from risk.lineage import figures_digest
from risk.modelfile import decode_head, decode_model
from tests.network import Network
from tests.privacy.table import refused


def learned(network: Network, manifest: Manifest) -> Seat:
    """Return the first member's seat at the end of a job, added up in the open."""
    seats = [network.seat(manifest, name) for name in network.names]
    while not seats[0].replay.done:
        request, plan = seats[0].replay.request, seats[0].replay.plan
        total = np.sum([plan.encode(contribute(request, seat.book)) for seat in seats], axis=0, dtype=None)
        for seat in seats:
            seat.replay.feed(plan.to_bytes(total.astype(plan.encode(contribute(request, seat.book)).dtype)))
    return seats[0]


@pytest.fixture(scope="module")
def seat(tmp_path_factory: pytest.TempPathFactory) -> Seat:
    network = Network.of(tmp_path_factory.mktemp("network"), 4)
    return learned(network, network.manifest())


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def test_a_job_that_is_done_leaves_figures_and_three_models(tmp_path: Path, seat: Seat) -> None:
    write_result(tmp_path, "done", seat)

    entry = read(tmp_path / "jobs" / "job-1" / "result.json")
    assert read(tmp_path / "result.json") == {"scorecard": entry}
    assert (entry["job"], entry["recipe"], entry["state"]) == ("job-1", "scorecard", "done")
    assert entry["rows_train"] + entry["rows_test"] == 120
    assert entry["chosen"] in ("own", "network", "mixed")
    assert sorted(path.name for path in (tmp_path / "models").glob("scorecard-*")) == [
        "scorecard-head.json", "scorecard-network.json", "scorecard-own.json", "scorecard-partner.json",
    ]  # fmt: skip
    assert sorted(set(entry["models"].values())) == model_store.names(tmp_path)
    file = decode_head(model_store.get(tmp_path, entry["models"]["head"]))
    assert [file.network, file.own, file.partner] == [entry["models"][name] for name in ("network", "own", "partner")]
    assert entry["models"]["partner"] == entry["models"]["own"]
    for name in ("network", "own", "partner", "head"):
        named = (tmp_path / "models" / f"scorecard-{name}.json").read_bytes()
        assert model_store.get(tmp_path, entry["models"][name]) == named
    figures = (tmp_path / "jobs" / "job-1" / "figures.json").read_bytes()
    assert hashlib.sha256(figures).hexdigest() == figures_digest(seat.outcome.metrics.to_document())
    table = seat.book.table
    own, network = (decode_model((tmp_path / "models" / f"scorecard-{name}.json").read_bytes())
                    for name in ("own", "network"))  # fmt: skip
    assert np.array_equal(network.logit(table), seat.outcome.model.logit(table))
    assert not np.array_equal(own.logit(table), network.logit(table))


@pytest.mark.parametrize("how", ["failed", "refused"])
def test_a_job_that_is_not_done_says_so_and_keeps_the_models_of_the_one_before(
    tmp_path: Path, seat: Seat, how: str
) -> None:
    write_result(tmp_path, "done", seat)
    before = {path.name: path.read_bytes() for path in (tmp_path / "models").iterdir()}

    write_result(tmp_path, how, seat)

    assert read(tmp_path / "jobs" / "job-1" / "result.json") == {"job": "job-1", "recipe": "scorecard", "state": how}
    assert read(tmp_path / "result.json")["scorecard"]["state"] == how
    assert {path.name: path.read_bytes() for path in (tmp_path / "models").iterdir()} == before


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    write_whole(path, b"the old one")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"the new one")

    assert path.read_bytes() == b"the old one"


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_damaged_overview_is_named_and_the_job_s_own_file_stands(tmp_path: Path, seat: Seat, text: str) -> None:
    (tmp_path / "result.json").write_text(text)

    with refused("result-malformed", InputError):
        write_result(tmp_path, "failed", seat)

    assert read(tmp_path / "jobs" / "job-1" / "result.json")["state"] == "failed"
