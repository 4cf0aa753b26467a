"""The committed protobuf code is what the compiler writes from the committed `.proto` files."""

import re
from pathlib import Path

import pytest

from tests.floors.tree import ROOT
from tests.floors.wire_code import generate, generated_files


def drift(committed: dict[str, bytes], fresh: dict[str, bytes]) -> list[str]:
    """List the generated files that are missing, left over or different."""
    return sorted(name for name in committed.keys() | fresh.keys() if committed.get(name) != fresh.get(name))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("wire")
    generate(ROOT / "proto", out)
    return generated_files(out)


def test_committed_code_equals_regeneration(fresh: dict[str, bytes]) -> None:
    assert fresh
    assert drift(generated_files(ROOT / "proto"), fresh) == [], "run `make wire` and commit what it wrote"


def test_every_proto_has_its_files(fresh: dict[str, bytes]) -> None:
    for proto in (ROOT / "proto").rglob("*.proto"):
        stem = proto.relative_to(ROOT / "proto").as_posix().removesuffix(".proto")
        assert {f"{stem}_pb2.py", f"{stem}_pb2.pyi"} <= fresh.keys()
    assert "creditmesh_wire/v1/link_pb2_grpc.py" in fresh


def test_every_proto_declares_the_versioned_package() -> None:
    for proto in (ROOT / "proto").rglob("*.proto"):
        assert re.search(r"^package creditmesh_wire\.v\d+;$", proto.read_text("utf-8"), re.MULTILINE), proto.name


def test_a_changed_message_is_found(tmp_path: Path, fresh: dict[str, bytes]) -> None:
    name = sorted(name for name in fresh if name.endswith("_pb2.py"))[0]
    changed = {**fresh, name: fresh[name] + b"\n"}
    assert drift(changed, fresh) == [name]
    assert drift({**fresh, "left_over_pb2.py": b""}, fresh) == ["left_over_pb2.py"]
