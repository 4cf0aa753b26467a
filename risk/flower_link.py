"""Flower's strategies and client apps, run unchanged over secure sums.

`SumGrid` is a `flwr.serverapp.Grid` without a network: what a strategy sends to the nodes becomes one `Request`,
and what it gets back is one reply that holds the mean and the total of num-examples. `strategy_requests` turns
`Strategy.start`, which blocks, into a generator. `client_reply` runs a pre-installed `ClientApp` on one request.
Nothing here sends, listens, or loads code; whoever drives the generator decides what crosses a border.

Theory: FedAvg (McMahan 2017), FedProx (Li 2018) and FedAdam (Reddi 2021) are functions of the weighted mean of the
members' arrays, so one reply with that mean gives the model that the single replies would give. Strategies that
rank or trim single updates cannot be run on a sum and are refused by name. Arrays are rounded to a grid of 2**-24
before they leave a strategy: the last bit of a power function, which differs between processors, is lost there,
so that all members derive the same request.

Flower is pinned to 1.41; what is not in its public interface is used in this module alone: the identity that
`Message` needs, the logger's level and the telemetry switch.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import flwr.supercore.telemetry
import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MessageType, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAdam, FedAvg, FedProx, Strategy
from flwr.supercore.logger import FLOWER_LOGGER
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from risk.errors import InputError, MisuseError, RefusalError
from risk.update import check_strategy, on_grid

__all__ = ["Mean", "Request", "StrategyChoice", "SumGrid", "build_strategy", "client_reply", "strategy_requests"]

ConfigValue = int | str | tuple[str, ...]

_RUN = 1
_SERVER_NODE = 0
_NUM_EXAMPLES = "num-examples"

FLOWER_LOGGER.setLevel("ERROR")
flwr.supercore.telemetry.FLWR_TELEMETRY_ENABLED = "0"


@dataclass(frozen=True, slots=True)
class StrategyChoice:
    """Name a Flower strategy and its settings.

    name: `FedAvg`, `FedProx` or `FedAdam`. members: how many nodes answer, at least 1. proximal_mu: weight of
    FedProx's proximal term. server_rate, tau: FedAdam's server-side learning rate and its floor under the root.
    """

    name: str
    members: int
    proximal_mu: float
    server_rate: float
    tau: float


@dataclass(frozen=True, eq=False, slots=True)
class Request:
    """Hold what a strategy sent to every node.

    arrays: by name, float64 on the grid of 2**-24. config: integers and strings as they are, a float as
    `("float", hexadecimal)`, a truth value as `("bool", "true" or "false")`.
    """

    arrays: Mapping[str, np.ndarray]
    config: Mapping[str, ConfigValue]


@dataclass(frozen=True, eq=False, slots=True)
class Mean:
    """Hold the members' mean arrays (float64, shapes as requested) and their total num-examples, at least 1."""

    arrays: Mapping[str, np.ndarray]
    examples: int


@dataclass(frozen=True, eq=False, slots=True)
class _Finished:
    arrays: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False, slots=True)
class _Failed:
    error: Exception


class _Closed(BaseException):
    """Unwind a strategy whose generator was closed; no `except Exception` in a strategy may stop it."""


class SumGrid(Grid):
    """Carry a strategy's messages to whoever takes the requests, and the mean back.

    It has one strategy thread, which blocks in `send_and_receive`, and one taker, which calls `take`, `give` and
    `close`.
    """

    def __init__(self, members: int) -> None:
        if members < 1:
            raise MisuseError("grid-members", f"a grid needs at least 1 member, not {members}")
        _identify()
        self._members = members
        self._events: SimpleQueue[Request | _Finished | _Failed] = SimpleQueue()
        self._means: SimpleQueue[Mean | None] = SimpleQueue()

    def take(self) -> Request | _Finished | _Failed:
        """Wait for what the strategy does next."""
        return self._events.get()

    def give(self, mean: Mean) -> None:
        """Answer the request that was taken last."""
        self._means.put(mean)

    def close(self) -> None:
        """Let a waiting strategy end."""
        self._means.put(None)

    def serve(self, start: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Run a strategy to its end in the calling thread and report how it ended."""
        try:
            self._events.put(_Finished(start()))
        except _Closed:
            return
        except Exception as error:
            self._events.put(_Failed(error))

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Hand over one request for all messages, wait for its mean, and return it as one reply.

        timeout is not used: the secure round has its own deadline, and ends a strategy by `close`.
        """
        sent = list(messages)
        if not sent:
            return []
        self._events.put(_request(sent))
        mean = self._means.get()
        if mean is None:
            raise _Closed
        content = RecordDict(
            {"arrays": _record(mean.arrays), "metrics": MetricRecord({_NUM_EXAMPLES: int(mean.examples)})}
        )
        return [Message(content, reply_to=sent[0])]

    def get_node_ids(self) -> Iterable[int]:
        """Return one number a member, from 1."""
        return range(1, self._members + 1)

    @property
    def run(self) -> Run:
        """Return an empty run: there is no SuperLink."""
        return Run.create_empty(_RUN)

    def set_run(self, run: Run) -> None:
        """Refuse: there is no SuperLink whose run could be set."""
        raise MisuseError("grid-run", "a sum grid belongs to no Flower run")

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Return a message with this content, as Flower's own grids do."""
        return Message(content, dst_node_id, message_type, group_id=group_id, ttl=ttl)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Refuse: a sum is one exchange, so a message cannot be pushed now and pulled later."""
        raise MisuseError("grid-push", "a sum grid only answers send_and_receive")

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Refuse, as `push_messages` does."""
        raise MisuseError("grid-pull", "a sum grid only answers send_and_receive")


def build_strategy(choice: StrategyChoice) -> Strategy:
    """Return Flower's own strategy of that name; raise `InputError` as `check_strategy` does."""
    check_strategy(choice.name)
    nodes: dict[str, Any] = {
        "fraction_evaluate": 0.0,
        "min_train_nodes": choice.members,
        "min_available_nodes": choice.members,
    }
    if choice.name == "FedProx":
        return FedProx(**nodes, proximal_mu=choice.proximal_mu)
    if choice.name == "FedAdam":
        return FedAdam(**nodes, eta=choice.server_rate, tau=choice.tau)
    return FedAvg(**nodes)


def strategy_requests(
    strategy: Strategy,
    initial: Mapping[str, np.ndarray],
    rounds: int,
    members: int,
    config: Mapping[str, int] | None = None,
) -> Generator[Request, Mean, dict[str, np.ndarray]]:
    """Run `strategy.start` and yield its requests, one a round; return the final arrays.

    initial: float64 arrays by name. config: what every train message tells the client apps besides. The strategy
    runs in a thread of its own, which ends with this generator, finished or closed.
    """
    grid = SumGrid(members)

    def start() -> dict[str, np.ndarray]:
        settings = ConfigRecord(dict(config or {}))
        result = strategy.start(grid, _record(initial), num_rounds=rounds, train_config=settings)
        return _arrays(result.arrays)

    worker = threading.Thread(target=grid.serve, args=(start,), name="flower-strategy", daemon=True)
    worker.start()
    try:
        while isinstance(event := grid.take(), Request):
            grid.give((yield event))
    finally:
        grid.close()
        worker.join()
    if isinstance(event, _Failed):
        raise event.error
    return dict(event.arrays)


def client_reply(app: ClientApp, request: Request) -> Mean:
    """Run a client app's train function on one request; return its arrays and its own num-examples.

    Every other metric of the reply is dropped here and goes nowhere. Raises `RefusalError` for arrays that do not
    match the request, and for num-examples that is not a positive integer.
    """
    _identify()
    config = ConfigRecord({name: _config_value(value) for name, value in request.config.items()})
    content = RecordDict({"arrays": _record(request.arrays), "config": config})
    message = Message(content, 1, MessageType.TRAIN)
    context = Context(run_id=_RUN, node_id=1, node_config={}, state=RecordDict(), run_config={})
    reply = app(message, context).content
    arrays = _only(reply.array_records, "ArrayRecord")
    metrics = _only(reply.metric_records, "MetricRecord")
    examples = metrics.get(_NUM_EXAMPLES)
    if isinstance(examples, bool) or not isinstance(examples, int) or examples < 1:
        raise RefusalError("client-examples", f"the client app's {_NUM_EXAMPLES} must be a positive integer")
    trained = {name: np.asarray(array.numpy(), dtype=np.float64) for name, array in arrays.items()}
    shapes = {name: array.shape for name, array in trained.items()}
    if shapes != {name: array.shape for name, array in request.arrays.items()}:
        raise RefusalError("client-arrays", "the client app answered with arrays of other names or shapes")
    return Mean(trained, examples)


def _request(sent: list[Message]) -> Request:
    first = sent[0]
    if any(message.metadata.message_type != MessageType.TRAIN for message in sent):
        raise InputError("strategy-message", "a strategy over secure sums can only send train messages")
    if any(message.content is not first.content and message.content != first.content for message in sent):
        raise InputError("strategy-per-node", "a strategy over secure sums must send the same to every node")
    arrays = _only(first.content.array_records, "ArrayRecord")
    config = _only(first.content.config_records, "ConfigRecord")
    return Request(_arrays(arrays), {name: _plain_value(name, value) for name, value in config.items()})


def _only(records: Mapping[str, Any], kind: str) -> Any:
    if len(records) != 1:
        raise InputError("message-records", f"a message must hold one {kind}, not {len(records)}")
    return next(iter(records.values()))


def _arrays(record: ArrayRecord) -> dict[str, np.ndarray]:
    return {name: on_grid(array.numpy()) for name, array in record.items()}


def _record(arrays: Mapping[str, np.ndarray]) -> ArrayRecord:
    return ArrayRecord({name: Array(np.asarray(array, dtype=np.float64)) for name, array in arrays.items()})


def _plain_value(name: str, value: object) -> ConfigValue:
    if isinstance(value, bool):
        return ("bool", "true" if value else "false")
    if isinstance(value, int | str):
        return value
    if isinstance(value, float):
        return ("float", value.hex())
    raise InputError("strategy-config", f"config value {name!r} is {type(value).__name__}, expected a number or text")


def _config_value(value: ConfigValue) -> int | float | str | bool:
    if isinstance(value, tuple):
        kind, text = value
        return text == "true" if kind == "bool" else float.fromhex(text)
    return value


def _identify() -> None:
    # `Message` takes run and node from the process, not from its caller. All our messages stay in this process,
    # so the same constants serve the server's and the client's side.
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = _RUN, _SERVER_NODE, 0
