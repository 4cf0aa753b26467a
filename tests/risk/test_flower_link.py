"""Flower's strategies over sums: same model as Flower's own aggregation, no leak of threads, metrics or packets."""

import gc
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flwr", reason="the towers extra (flwr) is not installed")

import flwr.supercore.telemetry
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from risk.errors import InputError, MisuseError, RefusalError
from risk.flower_link import Mean, Request, StrategyChoice, SumGrid, build_strategy, client_reply, strategy_requests
from risk.update import STRATEGIES, UpdateLayout, on_grid

MEMBERS = 5
EXAMPLES = (120, 3_000, 77, 640, 15_000)
SHAPES = {"tower.hidden": (4, 3), "tower.shift": (3,), "scale": (1,)}


def choice(name: str, members: int = MEMBERS) -> StrategyChoice:
    return StrategyChoice(name, members, proximal_mu=0.1, server_rate=0.03, tau=0.01)


def first_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {name: on_grid(rng.standard_normal(shape)) for name, shape in SHAPES.items()}


def member_app(member: int, metrics: Mapping[str, Any] | None = None, seen: list[Any] | None = None) -> ClientApp:
    """Walk a third of the way to the member's own optimum, and tell more metrics than it should."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        if seen is not None:
            seen.append(dict(message.content["config"]))
        arrays = {}
        for name, array in message.content["arrays"].items():
            here = array.numpy()
            rng = np.random.default_rng([member, int(message.content["config"]["server-round"]), len(name)])
            arrays[name] = Array(here + (2.0 * rng.standard_normal(here.shape) - here) / 3.0)
        told = {"num-examples": EXAMPLES[member], **(metrics or {"loss": 0.5, "bads": 17})}
        return Message(RecordDict({"arrays": ArrayRecord(arrays), "metrics": MetricRecord(told)}), reply_to=message)

    return app


class ReplyGrid(SumGrid):
    """Answer with every member's own reply, as a Flower deployment does."""

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        replies = []
        for member, message in enumerate(messages):
            context = Context(run_id=1, node_id=member, node_config={}, state=RecordDict(), run_config={})
            replies.append(member_app(member)(message, context))
        return replies


def by_sums(name: str, rounds: int) -> dict[str, np.ndarray]:
    layout = UpdateLayout(SHAPES, MEMBERS, 20_000)
    requests = strategy_requests(build_strategy(choice(name)), first_arrays(), rounds, MEMBERS)
    try:
        request = next(requests)
        while True:
            total = np.zeros(layout.length, dtype=np.int64)
            for member in range(MEMBERS):
                reply = client_reply(member_app(member), request)
                total += layout.part(request.arrays, reply.arrays, reply.examples)[0]
            request = requests.send(Mean(*layout.mean(request.arrays, total)))
    except StopIteration as stop:
        return dict(stop.value)


def strategy_threads() -> int:
    return sum(thread.name == "flower-strategy" for thread in threading.enumerate())


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("rounds", [1, 4])
def test_sums_give_the_model_of_flowers_own_aggregation(name: str, rounds: int) -> None:
    record = ArrayRecord({key: Array(array) for key, array in first_arrays().items()})
    config = ConfigRecord()
    flowers = build_strategy(choice(name)).start(ReplyGrid(MEMBERS), record, rounds, train_config=config)
    ours = by_sums(name, rounds)
    moved = max(float(np.abs(ours[key] - array).max()) for key, array in first_arrays().items())
    assert moved > 1e-3
    for key in SHAPES:
        np.testing.assert_allclose(ours[key], flowers.arrays[key].numpy(), rtol=0.0, atol=1e-7)


@pytest.mark.parametrize("name", STRATEGIES)
def test_one_round_is_exact_to_the_grid(name: str) -> None:
    first = by_sums(name, 1)
    second = by_sums(name, 1)
    for key in SHAPES:
        assert first[key].tobytes() == second[key].tobytes()
        assert np.array_equal(on_grid(first[key]), first[key])


def test_strategies_differ() -> None:
    average, adaptive = by_sums("FedAvg", 2), by_sums("FedAdam", 2)
    assert float(np.abs(average["tower.hidden"] - adaptive["tower.hidden"]).max()) > 1e-3


def test_proximal_weight_reaches_every_client_as_flower_set_it() -> None:
    requests = strategy_requests(build_strategy(choice("FedProx")), first_arrays(), 1, MEMBERS)
    request = next(requests)
    assert request.config == {"proximal-mu": ("float", (0.1).hex()), "server-round": 1}
    seen: list[Any] = []
    client_reply(member_app(0, seen=seen), request)
    assert seen == [{"proximal-mu": 0.1, "server-round": 1}]
    requests.close()


def test_reply_keeps_arrays_and_examples_and_drops_every_other_metric() -> None:
    request = Request(first_arrays(), {"server-round": 1})
    reply = client_reply(member_app(2, {"loss": 0.25, "secret": 41}), request)
    assert reply.examples == EXAMPLES[2]
    assert set(reply.arrays) == set(SHAPES)
    assert Mean.__slots__ == ("arrays", "examples")


@pytest.mark.parametrize("examples", [0, -3, 12.0])
def test_client_without_a_positive_whole_number_of_examples_is_refused(examples: float) -> None:
    app = member_app(0, {"num-examples": examples})
    with pytest.raises(RefusalError) as caught:
        client_reply(app, Request(first_arrays(), {"server-round": 1}))
    assert caught.value.code == "client-examples"


def test_client_that_answers_with_other_arrays_is_refused() -> None:
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        content = RecordDict(
            {"arrays": ArrayRecord({"rows": Array(np.zeros(3))}), "metrics": MetricRecord({"num-examples": 3})}
        )
        return Message(content, reply_to=message)

    with pytest.raises(RefusalError) as caught:
        client_reply(app, Request(first_arrays(), {"server-round": 1}))
    assert caught.value.code == "client-arrays"


def test_refused_strategy_never_starts() -> None:
    with pytest.raises(InputError, match="single members' updates"):
        build_strategy(choice("Krum"))
    with pytest.raises(InputError, match="not offered"):
        build_strategy(choice("FedYogi"))
    assert strategy_threads() == 0


@pytest.mark.parametrize("taken", [1, 2])
def test_closing_the_generator_ends_its_thread(taken: int) -> None:
    requests = strategy_requests(build_strategy(choice("FedAvg")), first_arrays(), 9, MEMBERS)
    request = next(requests)
    for _ in range(taken - 1):
        request = requests.send(Mean(request.arrays, 10))
    assert strategy_threads() == 1
    requests.close()
    assert strategy_threads() == 0


def test_dropped_generator_and_finished_one_leave_no_thread() -> None:
    requests = strategy_requests(build_strategy(choice("FedAvg")), first_arrays(), 1, MEMBERS)
    next(requests)
    del requests
    gc.collect()
    assert strategy_threads() == 0
    by_sums("FedAvg", 1)
    assert strategy_threads() == 0


def test_error_thrown_into_the_generator_ends_its_thread() -> None:
    requests = strategy_requests(build_strategy(choice("FedAvg")), first_arrays(), 3, MEMBERS)
    next(requests)
    with pytest.raises(MisuseError, match="the round failed"):
        requests.throw(MisuseError("round", "the round failed"))
    assert strategy_threads() == 0


def test_strategy_sees_one_reply_with_mean_and_total_alone() -> None:
    seen: list[RecordDict] = []

    class Watching(FedAvg):
        def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Any:
            got = list(replies)
            seen.extend(message.content for message in got)
            return super().aggregate_train(server_round, got)

    strategy = Watching(fraction_evaluate=0.0, min_train_nodes=MEMBERS, min_available_nodes=MEMBERS)
    requests = strategy_requests(strategy, first_arrays(), 1, MEMBERS)
    request = next(requests)
    with pytest.raises(StopIteration):
        requests.send(Mean(request.arrays, 42))
    assert len(seen) == 1
    assert dict(seen[0]["metrics"]) == {"num-examples": 42}
    assert set(seen[0]["arrays"]) == set(SHAPES) and set(seen[0]) == {"arrays", "metrics"}


def test_error_inside_a_strategy_comes_out_of_the_generator() -> None:
    class Broken(FedAvg):
        def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Any:
            raise ArithmeticError("broken strategy")

    strategy = Broken(fraction_evaluate=0.0, min_train_nodes=MEMBERS, min_available_nodes=MEMBERS)
    requests = strategy_requests(strategy, first_arrays(), 2, MEMBERS)
    request = next(requests)
    with pytest.raises(ArithmeticError, match="broken strategy"):
        requests.send(Mean(request.arrays, 1))
    assert strategy_threads() == 0


def test_strategy_that_sends_members_different_things_is_refused() -> None:
    class Favourite(FedAvg):
        def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Any) -> Any:
            messages = list(super().configure_train(server_round, arrays, config, grid))
            other = RecordDict({"arrays": ArrayRecord({"scale": Array(np.ones(1))}), "config": ConfigRecord()})
            messages[0].content = other
            return messages

    strategy = Favourite(fraction_evaluate=0.0, min_train_nodes=MEMBERS, min_available_nodes=MEMBERS)
    with pytest.raises(InputError) as caught:
        next(strategy_requests(strategy, first_arrays(), 1, MEMBERS))
    assert caught.value.code == "strategy-per-node"


def test_strategy_that_evaluates_is_refused() -> None:
    strategy = FedAvg(min_train_nodes=MEMBERS, min_evaluate_nodes=MEMBERS, min_available_nodes=MEMBERS)
    requests = strategy_requests(strategy, first_arrays(), 1, MEMBERS)
    request = next(requests)
    with pytest.raises(InputError) as caught:
        requests.send(Mean(request.arrays, 1))
    assert caught.value.code == "strategy-message"
    assert strategy_threads() == 0


def test_grid_offers_no_second_way_out() -> None:
    grid = SumGrid(MEMBERS)
    assert list(grid.get_node_ids()) == [1, 2, 3, 4, 5]
    for call in (lambda: grid.push_messages([]), lambda: grid.pull_messages([]), lambda: grid.set_run(grid.run)):
        with pytest.raises(MisuseError):
            call()
    with pytest.raises(MisuseError):
        SumGrid(0)


def test_flower_neither_calls_home_nor_prints() -> None:
    assert flwr.supercore.telemetry.FLWR_TELEMETRY_ENABLED == "0"
    code = (
        "import sys\n"
        "calls = []\n"
        "sys.addaudithook(lambda event, args: calls.append(event) if event.startswith('socket.') else None)\n"
        "import numpy as np\n"
        "from risk.flower_link import *\n"
        "choice = StrategyChoice('FedAdam', 4, 0.0, 0.1, 0.001)\n"
        "steps = strategy_requests(build_strategy(choice), {'w': np.zeros(3)}, 2, 4)\n"
        "request = next(steps)\n"
        "request = steps.send(Mean({'w': request.arrays['w'] + 1.0}, 8))\n"
        "try:\n    steps.send(Mean({'w': request.arrays['w'] + 1.0}, 8))\n"
        "except StopIteration:\n    pass\n"
        "assert not [call for call in calls if call != 'socket.__new__'], calls\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
