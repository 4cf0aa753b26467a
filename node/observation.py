"""Show Prometheus how the running node stands, if `[metrics]` asks for it.

It decides nothing and keeps nothing. Theory: the library of figures comes with an extra, so a node without it runs
and is told in one line when the settings want it.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from node.config import NodeConfig
from node.journal_line import say
from node.record_store import RecordStore
from privacy.errors import InputError

__all__ = ["observed"]


@contextmanager
def observed(config: NodeConfig, connected: Callable[[], bool], store: RecordStore) -> Iterator[None]:
    """Listen while the block runs; raises `InputError` if the port or the library is missing."""
    if config.metrics is None:
        yield
        return
    try:
        from node.metrics import MetricsPort, Reading
    except ImportError as error:
        text = f"[metrics] needs a library that is not here ({error}); install creditmesh[serve]"
        raise InputError("driver-missing", text) from error

    def head() -> tuple[int, int | None]:
        size = store.size
        newest = store.events(size - 1, size) if size else []
        return size, newest[0].utc_us if newest else None

    with closing(MetricsPort(config.metrics.listen, Reading(config, connected, head))) as port:
        say("metrics_listening", address=port.address)
        yield
