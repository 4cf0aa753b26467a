"""A node's link alone in its own process: it echoes every message; the test freezes and kills it."""

import asyncio
import json
import os
import sys
from pathlib import Path

from node.grpc_link import GrpcLink
from node.link import ControlBlock, LinkSettings


async def echo(settings: LinkSettings) -> None:
    """Send each message back until the process is killed."""
    inbox: asyncio.Queue[bytes] = asyncio.Queue()
    link = GrpcLink(
        settings,
        boot=os.urandom(16),
        authorise_control=lambda: ControlBlock(1_000, 1 << 20),
        on_message=inbox.put_nowait,
        on_up=lambda boot, fresh: None,
        on_down=lambda reason: None,
    )
    running = asyncio.create_task(link.run())
    while not running.done():
        await link.send(await inbox.get())


if __name__ == "__main__":
    document = json.loads(Path(sys.argv[1]).read_text())
    pems = {name: document.pop(name).encode() for name in ("ca_pem", "certificate_pem", "key_pem")}
    asyncio.run(echo(LinkSettings(**document, **pems)))
