"""The recipe `towers`: a scorecard first, then four small torch networks on top of it, averaged by Flower.

The generator trains a scorecard by sums (its cuts, WOE and logit are the towers' start), runs a Flower strategy whose
every round is one sum of weight updates, and calibrates the outcome. A member answers a round with one local epoch in
a Flower `ClientApp`. torch and flwr are loaded by the first round that needs them: a process that only decodes and
scores a model loads neither, one that only derives requests does not load torch.

Theory: federated averaging of AdamW epochs (McMahan 2017; Loshchilov 2019) of an additive network with one tower a
dimension, warm-started from the scorecard so that ten rounds are enough and members' drift stays small. An update is no
sum over rows: nothing but the clip bounds what one borrower's record moves in it, so a request declares the whole clip
in every entry. That is true and too much for any noise; a job with differential privacy takes `risk.private_towers`.
"""

import hashlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from risk.book import Book
from risk.calibration import calibration_part, calibration_rounds
from risk.card import Scorecard
from risk.coding import Coding, unmerged
from risk.errors import InputError
from risk.model import OwnModels, Trained
from risk.parameters import TRAIN_UNTIL, parameters_in_range
from risk.private_towers import contribute_private_towers, private_tower_rounds, tower_releases
from risk.recipe import Ask, run_plain
from risk.release import Release
from risk.scorecard import ScorecardRecipe
from risk.sketch import contribute_sketch, sketch_rounds
from risk.spec import PARTS, JobSpec
from risk.tower_inputs import TowerInputs, tower_inputs
from risk.tower_model import TowerModel, initial_weights, model_from_document, tower_outputs, weight_shapes
from risk.tower_rows import MemberRows, asked_weights, member_rows, start_array
from risk.update import UpdateLayout, check_strategy

if TYPE_CHECKING:
    from flwr.clientapp import ClientApp

    from risk.flower_link import Request

__all__ = ["TowersRecipe"]

_PARAMETERS = {
    "rounds": (10, 1, 200),
    "hidden": (32, 1, 256),
    "batch": (256, 8, 65_536),
    "rate_ppm": (5_000, 1, 1_000_000),
    "full_rate_bads": (2_000, 1, 1_000_000),
    "decay_ppm": (10_000, 0, 1_000_000),
    "proximal_ppm": (10_000, 0, 100_000_000),
    "server_rate_ppm": (30_000, 1, 1_000_000),
    "tau_ppm": (10_000, 1, 1_000_000),
}
"""Default, smallest and largest value: rounds; units of a hidden layer; rows of a batch; AdamW's rate, the bads from
which on it is used in full, and its weight decay; FedProx's proximal weight; FedAdam's rate and tau (ppm: millionths).
`strategy` and the scorecard's parameters stand beside them."""


@dataclass(frozen=True, slots=True)
class _Epoch:
    """Say how one local epoch runs; seed is the member's own for this round."""

    batch: int
    rate: float
    decay: float
    proximal: float
    seed: int


class TowersRecipe:
    """Train the four-tower network by sums."""

    name = "towers"
    version = 1

    def parse_parameters(self, document: Mapping[str, Any]) -> dict[str, int | str]:
        """Return the parameters with defaults filled in; raise `InputError` for any that is unknown or unusable."""
        strategy = check_strategy(document.get("strategy", "FedAvg"))
        parsed = {"strategy": strategy, **parameters_in_range(_PARAMETERS, document)}
        others = {key: value for key, value in document.items() if key not in parsed}
        card = ScorecardRecipe()
        unknown = [key for key in others if key not in card.parse_parameters({}) and key != TRAIN_UNTIL]
        if unknown:
            known = ", ".join((*parsed, *card.parse_parameters({})))
            raise InputError("parameter-unknown", f"[parameters]: unknown key '{unknown[0]}'; towers knows {known}")
        return {**parsed, **card.parse_parameters(others)}

    def rounds(self, spec: JobSpec) -> Generator[Ask, np.ndarray, Trained]:
        """Ask for the sums that train the full federation's network."""
        if spec.private:
            return (yield from private_tower_rounds(spec))
        card = yield from ScorecardRecipe().rounds(spec)
        model = yield from _tower_rounds(spec, "full", card.carry, cast(Scorecard, card.model))
        return Trained(model, card)

    def half_rounds(self, spec: JobSpec, trained: Trained) -> Generator[Ask, np.ndarray, tuple[TowerModel, TowerModel]]:
        """Ask for the sums that train the networks of half a and half b."""
        card: Trained = trained.carry
        card_a, card_b = yield from ScorecardRecipe().half_rounds(spec, card)
        half_a = yield from _tower_rounds(spec, "half-a", card.carry, card_a)
        half_b = yield from _tower_rounds(spec, "half-b", card.carry, card_b)
        return half_a, half_b

    def releases(self, spec: JobSpec) -> tuple[Release, ...]:
        """Return what training with differential privacy releases; raise `InputError` for a setting it has no use for.

        Its steps, towers and rates are fixed where their price is.
        """
        changed = [key for key, (default, _, _) in _PARAMETERS.items() if spec.parameters[key] != default]
        if changed or spec.parameters["strategy"] != "FedAvg":
            key = changed[0] if changed else "strategy"
            raise InputError(
                "dp-parameter",
                f"[parameters]: '{key}' steers exact towers alone; leave it out of a job with an epsilon",
            )
        return tower_releases(spec)

    def contribute(self, ask: Ask, book: Book) -> np.ndarray:
        """Return a member's part of an asked sum, (ask.length,) int64, no entry larger than `ask.bound`."""
        if ask.noise:
            return contribute_private_towers(ask, book)
        if ask.name.startswith("average-"):
            return _contribute_average(ask, book)
        if ask.name.startswith("calibrate-"):
            return _contribute_calibration(ask, book)
        return ScorecardRecipe().contribute(ask, book)

    def own(self, book: Book) -> OwnModels:
        """Train networks on one bank's rows alone, on its own scorecards and cuts."""
        cards = ScorecardRecipe().own(book)
        full, half_a, half_b = (
            self._alone(book, part, card)
            for part, card in zip(PARTS, (cards.full, cards.half_a, cards.half_b), strict=True)
        )
        folds = []
        for rows, card in cards.folds:
            others = book.table.select(np.setdiff1d(book.rows("train"), rows))
            folds.append(
                (rows, self._alone(Book(others, replace(book.spec, holdout_ppm=0, multiplier=0)), "full", card))
            )
        return OwnModels(full, half_a, half_b, tuple(folds))

    def _alone(self, book: Book, part: str, card: Any) -> TowerModel:
        """Train the network of one part of one book on top of that part's own card."""
        # Nothing of it leaves the bank, so it needs no noise.
        spec = replace(book.spec, members=1, multiplier=0)
        cuts = run_plain(sketch_rounds(spec, "full", "train"), lambda ask: contribute_sketch(ask, book))
        codings = tuple(unmerged(field, cuts.get(field.name, ())) for field in spec.dictionary.model_fields)
        model: TowerModel = run_plain(_tower_rounds(spec, part, codings, card), lambda ask: self.contribute(ask, book))
        return model

    def decode_model(self, document: Mapping[str, Any]) -> TowerModel:
        """Return the network of a document; raise `InputError` for any that is none."""
        return model_from_document(f"{self.name}/{self.version}", document)


def _tower_rounds(
    spec: JobSpec, part: str, codings: Sequence[Coding], card: Scorecard
) -> Generator[Ask, np.ndarray, TowerModel]:
    """Train the towers of one federation on top of its scorecard, then calibrate."""
    inputs = tower_inputs(spec.dictionary, codings, card)
    start = start_array(inputs, card)
    weights = yield from _average_rounds(spec, part, inputs, card, start)
    arrays = {"start": start, **{f"weights.{name}": array for name, array in weights.items()}}
    line = yield from calibration_rounds(spec, part, arrays)
    # The card's rows, split and job are the network's too; without them nobody could tell its hold-out later.
    training = {**card.training, "parameters": dict(spec.parameters), "part": part}
    return TowerModel(spec.label, card, inputs, weights, line, training)


def _average_rounds(
    spec: JobSpec, part: str, inputs: TowerInputs, card: Scorecard, start: np.ndarray
) -> Generator[Ask, np.ndarray, dict[str, np.ndarray]]:
    """Run the job's Flower strategy on summed updates; return its final arrays."""
    from risk.flower_link import Mean, StrategyChoice, build_strategy, strategy_requests

    values = spec.parameters
    hidden = int(values["hidden"])
    layout = UpdateLayout(weight_shapes(inputs.widths, hidden), spec.members, spec.max_rows)
    mu, rate, tau = (int(values[name]) / 1e6 for name in ("proximal_ppm", "server_rate_ppm", "tau_ppm"))
    strategy = build_strategy(StrategyChoice(str(values["strategy"]), spec.members, mu, rate, tau))
    first = initial_weights(inputs.widths, hidden, spec.seed)
    config = _epoch_config(values, card)
    requests = strategy_requests(strategy, first, int(values["rounds"]), spec.members, config)
    try:
        request = next(requests)
        while True:
            total = yield _average_ask(spec, part, layout, request, start)
            request = requests.send(Mean(*layout.mean(request.arrays, total)))
    except StopIteration as stop:
        return dict(stop.value)
    finally:
        requests.close()


def _epoch_config(values: Mapping[str, int | str], card: Scorecard) -> dict[str, int]:
    """Return what the strategy tells every client app about its epoch, in whole numbers.

    The rate falls in proportion where the federation has fewer of the rarer class than `full_rate_bads`: Adam's first
    steps have the same length whatever the evidence, and would bury a small network's scorecard in noise.
    """
    bads, full = int(card.training["bads"]), int(values["full_rate_bads"])
    rarer = max(min(bads, int(card.training["rows"]) - bads), 1)
    rate = int(values["rate_ppm"]) * 1000 * min(rarer, full) // full
    return {"batch": int(values["batch"]), "decay-ppm": int(values["decay_ppm"]), "rate-ppb": max(rate, 1)}


def _average_ask(spec: JobSpec, part: str, layout: UpdateLayout, request: "Request", start: np.ndarray) -> Ask:
    config = {f"config.{name}": value for name, value in request.config.items()}
    return Ask(
        recipe=spec.label,
        part=part,
        name=f"average-{request.config['server-round']}",
        rows=PARTS[part],
        length=layout.length,
        word_bits=64,
        bound=layout.bound,
        row_linf=2 * layout.bound,
        row_l1=2 * layout.bound * layout.length,
        parameters=config,
        arrays={"start": start, **{f"weights.{name}": array for name, array in request.arrays.items()}},
    )


def _contribute_calibration(ask: Ask, book: Book) -> np.ndarray:
    """Return the line's gradient and Hessian; the raw logits are kept from round to round."""
    rows, weights = member_rows(ask, book), asked_weights(ask)

    def build() -> np.ndarray:
        outputs = tower_outputs(rows.inputs, weights, rows.codes)
        return np.asarray(rows.start + (outputs.sum(axis=1) + weights["intercept"][0]))

    key = (ask.rows, ask.arrays["start"].tobytes(), *(weights[name].tobytes() for name in sorted(weights)))
    return calibration_part(ask, book.recall("tower-logits", key, build), rows.target)


def _contribute_average(ask: Ask, book: Book) -> np.ndarray:
    """Train one local epoch and return the update's part; zeros from a member without rows."""
    from risk.flower_link import Request, client_reply

    rows = member_rows(ask, book)
    if not len(rows.target):
        return np.zeros(ask.length, dtype=np.int64)
    before = asked_weights(ask)
    prefix = "config."
    config: dict[str, Any] = {
        name.removeprefix(prefix): value for name, value in ask.parameters.items() if name.startswith(prefix)
    }
    app = _client_app(rows, book, ask.part)
    reply = client_reply(app, Request(before, config))
    shapes = {name: array.shape for name, array in before.items()}
    layout = UpdateLayout(shapes, book.spec.members, book.spec.max_rows)
    vector, _ = layout.part(before, reply.arrays, reply.examples)
    return vector


def _client_app(rows: MemberRows, book: Book, part: str) -> "ClientApp":
    """Return the installed Flower app of a member: it trains one epoch on the member's rows of this federation."""
    from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp

    app = ClientApp()

    @app.train()  # type: ignore[untyped-decorator]
    def train(message: Message, context: Context) -> Message:
        config = message.content["config"]
        sign = f"{book.spec.seed}|{book.table.member}|{part}|{config['server-round']}"
        epoch = _Epoch(
            batch=int(config["batch"]),
            rate=int(config["rate-ppb"]) / 1e9,
            decay=int(config["decay-ppm"]) / 1e6,
            proximal=float(config.get("proximal-mu", 0.0)),
            seed=int.from_bytes(hashlib.sha256(sign.encode()).digest()[:7], "big"),
        )
        arrays = message.content["arrays"]
        after = _train_epoch(rows, {name: array.numpy() for name, array in arrays.items()}, epoch)
        content = RecordDict(
            {
                "arrays": ArrayRecord({name: Array(array) for name, array in after.items()}),
                "metrics": MetricRecord({"num-examples": len(rows.target)}),
            }
        )
        return Message(content, reply_to=message)

    return app


def _train_epoch(rows: MemberRows, weights: Mapping[str, np.ndarray], epoch: _Epoch) -> dict[str, np.ndarray]:
    """Return the weights after one epoch of AdamW on the log-loss plus the proximal term, float64."""
    import torch

    torch.set_num_threads(1)
    network = {name: torch.tensor(array, dtype=torch.float32, requires_grad=True) for name, array in weights.items()}
    anchor = {name: tensor.detach().clone() for name, tensor in network.items()}
    optimiser = torch.optim.AdamW(list(network.values()), lr=epoch.rate, weight_decay=epoch.decay)
    order = torch.randperm(len(rows.target), generator=torch.Generator().manual_seed(epoch.seed)).numpy()
    for chosen in np.array_split(order, -(-len(order) // epoch.batch)):
        logit = torch.from_numpy(rows.start[chosen]).float() + network["intercept"]
        for name, columns in rows.inputs.features(rows.codes[chosen]).items():
            logit = logit + _tower(torch.from_numpy(columns), network, name)
        target = torch.from_numpy(rows.target[chosen]).float()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, target)
        if epoch.proximal:
            distance = sum(((tensor - anchor[name]) ** 2).sum() for name, tensor in network.items())
            loss = loss + epoch.proximal / 2.0 * distance
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {name: tensor.detach().numpy().astype(np.float64) for name, tensor in network.items()}


def _tower(x: Any, network: Mapping[str, Any], name: str) -> Any:
    """Return one tower's output (n_rows,) for the inputs x (n_rows, width), both torch tensors."""
    hidden = (x @ network[f"{name}.hidden"] + network[f"{name}.shift"]).relu()
    return x @ network[f"{name}.line"] + hidden @ network[f"{name}.output"]
