"""The frames that are spelt by hand, read by the generated code of both ends."""

import pytest
from creditmesh_wire.v1 import link_pb2
from hypothesis import given
from hypothesis import strategies as st

from privacy.channel import Chunk
from privacy.chunk_frame import spell_chunks

NUMBERS = st.integers(0, 2**64 - 1)
CHUNKS = st.builds(Chunk, NUMBERS, NUMBERS, NUMBERS, st.binary(max_size=300), NUMBERS)
FRAMES = (link_pb2.NodeFrame, link_pb2.CoordinatorFrame)


def read(proto: link_pb2.Chunk) -> Chunk:
    return Chunk(proto.number, proto.offset, proto.total, proto.data, proto.delivered)


@given(CHUNKS)
def test_protobuf_reads_a_chunk_that_was_spelt_by_hand(chunk: Chunk) -> None:
    for kind in FRAMES:
        frame = kind.FromString(spell_chunks([chunk]))
        assert frame.WhichOneof("frame") == "chunk"
        assert read(frame.chunk) == chunk


@given(st.lists(CHUNKS, min_size=2, max_size=5))
def test_protobuf_reads_chunks_that_were_spelt_by_hand(chunks: list[Chunk]) -> None:
    for kind in FRAMES:
        frame = kind.FromString(spell_chunks(chunks))
        assert frame.WhichOneof("frame") == "chunks"
        assert [read(each) for each in frame.chunks.chunks] == chunks


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 2**20])
def test_every_length_of_a_length_is_spelt_right(size: int) -> None:
    data = bytes(size)
    frame = link_pb2.NodeFrame.FromString(spell_chunks([Chunk(1, 0, size, memoryview(data), 0)]))
    assert frame.chunk.data == data
