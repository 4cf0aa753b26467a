"""A log as a directory of tiles that programs other than ours can verify (C2SP tlog-tiles v0.1.0).

Files: `checkpoint` with all cosignatures, `tile/...`, and `log.vkey` for convenience. Records after the newest
checkpoint stand under no signature; they are left out and counted.
"""

from itertools import islice
from pathlib import Path

from audit.opened import OpenLog
from audit.prover import signed_head
from privacy.errors import VerificationError
from privacy.log.checkpoint import Checkpoint, parse_checkpoint
from privacy.log.tiles import tile_files
from privacy.log.tree import CompactTree, leaf_hash

__all__ = ["write_tiles"]


def write_tiles(log: OpenLog, folder: Path) -> Checkpoint:
    """Write the tiles of the tree under the log's newest checkpoint into a folder that does not exist yet.

    Raises:
        InputError: `no-checkpoint`.
        VerificationError: `log-short` or `root-mismatch` when the records do not make the signed root.
        OSError: when the folder exists or cannot be written.
    """
    newest = max((parse_checkpoint(each)[0].size for each in log.bare().checkpoints), default=0)
    checkpoint, note = signed_head(log.bare(), log.key, newest)
    tree = CompactTree()
    for event in islice(log.events(), checkpoint.size):
        tree, _ = tree.append(leaf_hash(event))
    if tree.size < checkpoint.size:
        raise VerificationError("log-short", f"the log shows {tree.size} records of {checkpoint.size}")
    if tree.root() != checkpoint.root:
        raise VerificationError("root-mismatch", f"the records do not make the signed root at {checkpoint.size}")
    folder.mkdir(parents=True)
    for name, content in tile_files(islice(log.events(), checkpoint.size)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "log.vkey").write_text(log.key.encode() + "\n", "ascii")
    (folder / "checkpoint").write_bytes(note)
    return checkpoint
