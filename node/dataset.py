"""What names a bank's rows: the dictionary they are read by, and the digest of both.

It reads no row. Theory: two runs on the same bytes and the same dictionary are runs on the same dataset, which is what
permits and replays count by.
"""

import hashlib
from pathlib import Path

from node.toml_file import read_document
from privacy.keys import expand
from risk.dictionary import Dictionary, parse_dictionary

__all__ = ["dataset_digest", "pseudonym", "read_dictionary"]


def read_dictionary(path: Path) -> Dictionary:
    """Return the data dictionary in the schema file at `path`; raises an `InputError` that names file and key."""
    return parse_dictionary(read_document(Path(path)), str(path))


def dataset_digest(table: Path, dictionary_sha256: str) -> str:
    """Return the name of the rows in a file: 64 hex digits over its bytes and the dictionary."""
    state = hashlib.sha256(dictionary_sha256.encode())
    with table.open("rb") as stream:
        while block := stream.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def pseudonym(secret: bytes, dataset: str) -> str:
    """Return the name that a dataset has in the log; it tells nobody who holds the file that it is this one.

    secret: the bank's 32 bytes of `commit.key`. dataset: what `dataset_digest` returned.
    """
    return "dataset-" + expand(secret, "dataset-pseudonym", bytes.fromhex(dataset))[:16].hex()
