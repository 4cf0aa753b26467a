"""Spell a frame of the link that carries chunks, without copying their data more than once.

Every other frame goes through protobuf, as does whatever is read. Theory: protobuf takes about a
millisecond to copy half a megabyte into a message and out of it again, more than encrypting it; the bytes here are
those of `link.proto` (protobuf's encoding: a tag is number << 3 | type, the order of fields is free), which a test
holds against the generated code.
"""

import struct
from collections.abc import Sequence

from privacy.channel import Chunk

__all__ = ["spell_chunks"]

_FIXED64, _BYTES = 1, 2
# `chunk` and `chunks` of NodeFrame and of CoordinatorFrame, `chunks` of Chunks.
_FRAME_CHUNK, _FRAME_CHUNKS, _CHUNKS_CHUNK = (bytes([number << 3 | _BYTES]) for number in (3, 5, 1))
_NUMBERS = struct.Struct("<BQBQBQBQ")
_NUMBER, _OFFSET, _TOTAL, _DELIVERED = (number << 3 | _FIXED64 for number in (1, 2, 3, 5))
_DATA = bytes([4 << 3 | _BYTES])


def spell_chunks(chunks: Sequence[Chunk]) -> bytes:
    """Return the frame of one chunk, or of several that go together, as both ends write it."""
    if len(chunks) == 1:
        return b"".join(_field(_FRAME_CHUNK, _spell(chunks[0])))
    parts = [part for chunk in chunks for part in _field(_CHUNKS_CHUNK, _spell(chunk))]
    return b"".join(_field(_FRAME_CHUNKS, parts))


def _spell(chunk: Chunk) -> list[bytes | memoryview]:
    numbers = _NUMBERS.pack(
        _NUMBER, chunk.number, _OFFSET, chunk.offset, _TOTAL, chunk.total, _DELIVERED, chunk.delivered
    )
    return [numbers, _DATA, _varint(len(chunk.data)), chunk.data]


def _field(tag: bytes, parts: list[bytes | memoryview]) -> list[bytes | memoryview]:
    return [tag, _varint(sum(map(len, parts))), *parts]


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
