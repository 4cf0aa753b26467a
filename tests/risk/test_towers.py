"""The recipe `towers` as a job runs it: deterministic requests, bounded parts, a model that adds up."""

import hashlib
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import risk.towers as towers_module
from node.source import read_table
from risk.book import Book
from risk.catalogue import recipe
from risk.dictionary import DIMENSIONS, parse_dictionary
from risk.errors import InputError, RefusalError
from risk.metrics import auc
from risk.modelfile import decode_model, encode_model
from risk.recipe import Ask, run_plain
from risk.scorecard import ScorecardRecipe
from risk.spec import JobSpec
from risk.table import concatenate
from risk.tower_model import TowerModel, tower_outputs
from risk.towers import TowersRecipe
from tests.risk.towers_room import books, member_tables, sum_of, tower_spec

torch = pytest.importorskip("torch", reason="the towers extra (torch) is not installed")
pytest.importorskip("flwr", reason="the towers extra (flwr) is not installed")

ROOT = Path(__file__).resolve().parents[2]


def trained(parameters: dict[str, int | str] | None = None) -> TowerModel:
    spec = tower_spec(parameters)
    members = books(spec)
    model: TowerModel = run_plain(recipe("towers").rounds(spec), lambda ask: sum_of(ask, members)).model
    return model


@pytest.fixture(scope="module")
def model() -> TowerModel:
    return trained()


def first_average(spec_parameters: dict[str, int | str] | None = None) -> tuple[Ask, list]:  # type: ignore[type-arg]
    spec = tower_spec(spec_parameters)
    members = books(spec)
    rounds = recipe("towers").rounds(spec)
    ask = next(rounds)
    while not ask.name.startswith("average-"):
        ask = rounds.send(sum_of(ask, members))
    rounds.close()
    return ask, members


def test_parameters_are_filled_in_and_contain_the_scorecards() -> None:
    parsed = TowersRecipe().parse_parameters({"rounds": 4, "max_bins": 5})
    assert parsed["strategy"] == "FedAvg" and parsed["rounds"] == 4 and parsed["max_bins"] == 5
    assert parsed["batch"] == 256
    assert ScorecardRecipe().parse_parameters({"max_bins": 5}).items() <= parsed.items()
    assert TowersRecipe().parse_parameters(parsed) == parsed


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("round", 4),
        ("rounds", 0),
        ("rounds", 4.0),
        ("rounds", True),
        ("rounds", "4"),
        ("batch", 1),
        ("hidden", 10_000),
        ("rate_ppm", 0),
        ("max_bins", 1),
        ("strategy", "FedMedian"),
        ("strategy", "avg"),
        ("strategy", 1),
    ],
)
def test_unusable_parameter_is_refused_by_its_name(key: str, value: object) -> None:
    with pytest.raises(InputError, match=key):
        TowersRecipe().parse_parameters({key: value})


@pytest.mark.parametrize("strategy", ["FedAvg", "FedProx", "FedAdam"])
def test_requests_are_the_same_bytes_in_another_process(strategy: str) -> None:
    code = (
        "import hashlib, sys\n"
        "from risk.catalogue import recipe\n"
        "from risk.recipe import run_plain\n"
        "from tests.risk.towers_room import books, sum_of, tower_spec\n"
        "spec = tower_spec({'strategy': sys.argv[1]})\n"
        "members, digest = books(spec), hashlib.sha256()\n"
        "def add(ask):\n    digest.update(ask.encode())\n    return sum_of(ask, members)\n"
        "towers = recipe('towers')\n"
        "trained = run_plain(towers.rounds(spec), add)\n"
        "run_plain(towers.half_rounds(spec, trained), add)\n"
        "print(digest.hexdigest())\n"
    )
    spec = tower_spec({"strategy": strategy})
    members, digest = books(spec), hashlib.sha256()
    names = []

    def add(ask: Ask) -> np.ndarray:
        digest.update(ask.encode())
        names.append((ask.part, ask.name))
        return sum_of(ask, members)

    towers = recipe("towers")
    outcome = run_plain(towers.rounds(spec), add)
    run_plain(towers.half_rounds(spec, outcome), add)
    assert len(names) == len(set(names))
    assert ("half-b", "average-3") in names
    done = subprocess.run([sys.executable, "-c", code, strategy], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == digest.hexdigest(), done.stderr


def test_request_of_an_average_says_what_it_may_reveal() -> None:
    ask, members = first_average()
    assert ask.word_bits == 64 and ask.bound == 4096 * 8 * 2**24
    assert ask.row_linf == 2 * ask.bound and ask.row_l1 == ask.length * ask.row_linf
    for book in members:
        part = TowersRecipe().contribute(ask, book)
        assert part.shape == (ask.length,) and part.dtype == np.int64
        assert int(np.abs(part).max()) <= ask.bound
        assert part[-1] == len(book.rows("train"))
        assert np.count_nonzero(part) > 5
    assert len(members) * ask.bound < 2**63


def test_member_trains_the_same_epoch_twice_and_another_in_the_next_round() -> None:
    ask, members = first_average()
    first = TowersRecipe().contribute(ask, members[0])
    assert np.array_equal(first, TowersRecipe().contribute(ask, members[0]))
    later = Ask(
        **{
            **{name: getattr(ask, name) for name in ask.__slots__},
            "parameters": {**ask.parameters, "config.server-round": 2},
        }
    )
    assert not np.array_equal(first, TowersRecipe().contribute(later, members[0]))


def test_rate_falls_with_the_evidence_and_is_told_to_every_client() -> None:
    ask, members = first_average({"full_rate_bads": 1})
    bads = sum(int(book.table.target[book.rows("train")].sum()) for book in members)
    rarer = min(bads, sum(len(book.rows("train")) for book in members) - bads)
    assert ask.parameters["config.rate-ppb"] == 5_000_000
    weaker, _ = first_average({"full_rate_bads": 100_000})
    assert weaker.parameters["config.rate-ppb"] == 5_000_000 * rarer // 100_000
    strong, weak = (TowersRecipe().contribute(each, members[0])[:-1] for each in (ask, weaker))
    assert int(np.abs(weak).max()) < 0.1 * int(np.abs(strong).max())


def test_training_that_diverges_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ask, members = first_average()
    real = towers_module._train_epoch

    def diverging(*arguments: object) -> dict[str, np.ndarray]:
        weights = real(*arguments)  # type: ignore[arg-type]
        weights["intercept"][0] = np.nan
        return weights

    monkeypatch.setattr(towers_module, "_train_epoch", diverging)
    with pytest.raises(RefusalError) as caught:
        TowersRecipe().contribute(ask, members[0])
    assert caught.value.code == "update-not-finite"


def test_proximal_term_pulls_local_weights_back() -> None:
    # AdamW's step does not shrink with the gradient, so the pull shows once an epoch has several steps.
    weak, members = first_average({"strategy": "FedProx", "proximal_ppm": 0, "batch": 8})
    strong, others = first_average({"strategy": "FedProx", "proximal_ppm": 100_000_000, "batch": 8})
    assert weak.arrays["weights.operating.hidden"].tobytes() == strong.arrays["weights.operating.hidden"].tobytes()
    free = np.linalg.norm(TowersRecipe().contribute(weak, members[1])[:-1].astype(float))
    held = np.linalg.norm(TowersRecipe().contribute(strong, others[1])[:-1].astype(float))
    assert held < 0.5 * free


def test_federation_equals_the_sum_over_any_order_of_members() -> None:
    spec = tower_spec()
    members = books(spec)
    towers = recipe("towers")
    one = run_plain(towers.rounds(spec), lambda ask: sum_of(ask, members)).model
    other = run_plain(towers.rounds(spec), lambda ask: sum_of(ask, members[::-1])).model
    assert encode_model(one) == encode_model(other)


def test_towers_learn_what_a_scorecard_cannot() -> None:
    model = trained({"rounds": 8, "hidden": 16, "batch": 32, "rate_ppm": 10_000})
    spec = tower_spec()
    held_out = concatenate([book.table.select(book.rows("holdout")) for book in books(spec)])
    card, network = auc(held_out.target, model.card.logit(held_out)), auc(held_out.target, model.logit(held_out))
    assert card is not None and network is not None
    assert network > card + 0.02


def test_four_parts_add_to_the_logit_and_points_to_the_score_exactly(model: TowerModel) -> None:
    table = concatenate(member_tables())
    parts = model.dimension_logits(table)
    logit = model.logit(table)
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        total = np.full(table.rows, model.intercept)
        for place in order:
            total = total + parts[:, place]
        assert np.array_equal(total, logit)
    assert np.array_equal(model.base_points + model.subscores(table).sum(axis=1), model.score(table))
    assert not parts[:, DIMENSIONS.index("scenario")].any()
    exact = 600.0 - 20.0 / np.log(2.0) * (np.log(30.0) + logit)
    assert float(np.abs(model.score(table) - exact).max()) <= 2.5


def test_numpy_scorer_equals_the_torch_network(model: TowerModel) -> None:
    table = concatenate(member_tables())
    codes = model.inputs.codes(table)
    outputs = tower_outputs(model.inputs, model.weights, codes)
    weights = {name: torch.tensor(array, dtype=torch.float32) for name, array in model.weights.items()}
    for name, x in model.inputs.features(codes).items():
        expected = towers_module._tower(torch.from_numpy(x), weights, name).numpy()
        np.testing.assert_allclose(outputs[:, DIMENSIONS.index(name)], expected, rtol=0.0, atol=1e-5)
    assert float(np.abs(outputs).max()) > 0.01


def test_model_file_keeps_every_bit_and_refuses_changes(model: TowerModel) -> None:
    raw = encode_model(model)
    again = decode_model(raw)
    table = member_tables()[0]
    assert encode_model(again) == raw
    assert np.array_equal(again.logit(table), model.logit(table))


def test_own_models_are_trained_on_one_banks_rows() -> None:
    spec = tower_spec()
    book = books(spec)[0]
    own = recipe("towers").own(book)
    logits = [each.logit(book.table) for each in (own.full, own.half_a, own.half_b)]
    assert all(bool(np.isfinite(logit).all()) for logit in logits)
    assert not np.array_equal(logits[0], logits[1])
    assert not np.array_equal(logits[1], logits[2])
    assert np.array_equal(np.sort(np.concatenate([rows for rows, _ in own.folds])), book.rows("train"))
    for rows, model in own.folds:
        assert isinstance(model, TowerModel)
        assert model.card.training["rows"] == len(book.rows("train")) - len(rows)


def test_scoring_a_model_loads_neither_torch_nor_flower(model: TowerModel, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(encode_model(model))
    code = (
        "import pathlib, sys\n"
        "from risk.modelfile import decode_model\n"
        "from tests.risk.towers_room import member_tables\n"
        "decode_model(pathlib.Path(sys.argv[1]).read_bytes()).pd(member_tables()[0])\n"
        "sys.exit(len({'torch', 'flwr'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model.json")], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_generator_alone_does_not_load_torch() -> None:
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from risk.catalogue import recipe\n"
        "from tests.risk.towers_room import tower_spec\n"
        "rounds = recipe('towers').rounds(tower_spec())\n"
        "ask = next(rounds)\n"
        "while not ask.name.startswith('average-'):\n    ask = rounds.send(np.full(ask.length, 400, dtype=np.int64))\n"
        "rounds.close()\n"
        "sys.exit('torch' if 'torch' in sys.modules else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_real_borrowers_are_ranked_better_than_by_the_scorecard() -> None:
    room = ROOT.parent / "shared" / "data" / "uci"
    if not room.is_dir():
        pytest.skip("the room ../shared/data/uci is not on this machine")
    document = parse_dictionary(tomllib.loads((room / "schema.toml").read_text("utf-8")), "schema.toml")
    towers = recipe("towers")
    names = sorted(path.stem for path in room.glob("*.csv"))
    spec = JobSpec("towers", 1, towers.parse_parameters({}), document, len(names), 1 << 20, 0, 300_000)
    members = [Book(read_table(room / f"{name}.csv", document, name), spec) for name in names]
    model: TowerModel = run_plain(towers.rounds(spec), lambda ask: sum_of(ask, members)).model
    held_out = concatenate([book.table.select(book.rows("holdout")) for book in members])
    card, network = auc(held_out.target, model.card.logit(held_out)), auc(held_out.target, model.logit(held_out))
    assert card is not None and network is not None
    assert network >= 0.77 and network > card + 0.005
