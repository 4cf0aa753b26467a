"""Ask the running node to renew its certificate now, and wait until it has.

It renews nothing itself: the request goes over the connection that the running node holds. Theory: a command and the
running process meet in the state folder; a file there is the wish, and its disappearance, with a new certificate in
place, is the answer.
"""

import time
from collections.abc import Callable
from pathlib import Path

from node.config import NodeConfig
from privacy.errors import InputError

__all__ = ["ROTATE_FILE", "ask_rotation"]

ROTATE_FILE = "rotate.request"
_PATIENCE_S = 30.0
_LOOK_S = 0.1


def ask_rotation(config: NodeConfig, say: Callable[[str], object]) -> int:
    """Leave the wish and wait; return 0 once the certificate changed, 3 if it waits for the node to connect."""
    wish, certificate = config.state.dir / ROTATE_FILE, config.tls.certificate
    before = _read(certificate)
    try:
        wish.touch(mode=0o600)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("state-unwritable", f"{config.state.dir}: cannot be written ({reason})") from error
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        if not wish.exists() and _read(certificate) != before:
            say("the certificate is renewed, with a new key; the old one is refused from now on")
            return 0
        time.sleep(_LOOK_S)
    say("the wish is noted, but no connected node took it up yet; start it (creditmesh-node run), or see doctor")
    return 3


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
