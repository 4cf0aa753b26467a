"""Imports go down the floors only, and the pure floors stay pure."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.floors.imports import import_findings, purity_findings
from tests.floors.tree import PACKAGES, ROOT, plant


def test_imports_go_down_only() -> None:
    assert import_findings(ROOT) == []


def test_pure_floors_reach_for_nothing() -> None:
    assert purity_findings(ROOT) == []


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("privacy/mask.py", "from risk.recipe import Ask"),
        ("risk/split.py", "import privacy.field"),
        ("risk/split.py", "import polars"),
        ("risk/scorecard.py", "def train():\n    import torch"),
        ("risk/scorecard.py", "from flwr.app import Context"),
        ("risk/split.py", "import risk.towers"),
        ("risk/split.py", "import importlib\nimportlib.import_module('torch.nn')"),
        ("risk/split.py", "from cryptography import x509"),
        ("privacy/mask.py", "from creditmesh_wire.v1 import link_pb2"),
        ("privacy/mask.py", "from google.protobuf import message"),
        ("privacy/log/tree.py", "import numpy"),
        ("privacy/log/tree.py", "from privacy.keys import Identity"),
        ("privacy/errors.py", "from privacy import field"),
        ("audit/cli.py", "from privacy.secagg import client"),
        ("audit/cli.py", "import node.config"),
        ("audit/cli.py", "import rich"),
        ("node/session.py", "from coordinator.config import load"),
        ("node/session.py", "from node.grpc_link import GrpcLink"),
        ("node/session.py", "from node import grpc_link"),
        ("node/session.py", "import grpc.aio"),
        ("node/session.py", "from . import gate"),
        ("node/session.py", "import sqlalchemy"),
        ("coordinator/session.py", "import node"),
        ("coordinator/session.py", "import polars"),
        ("coordinator/session.py", "import fastapi"),
        ("coordinator/session.py", "import creditmesh_demo"),
        ("deploy/creditmesh_demo/cli.py", "import tests.floors.tree"),
        ("deploy/creditmesh_demo/cli.py", "import torch"),
        ("proto/creditmesh_wire/__init__.py", "import numpy"),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, where: str, line: str) -> None:
    findings = import_findings(plant(tmp_path, {where: line + "\n"}))
    inside = where.removeprefix("deploy/").removeprefix("proto/")
    assert findings
    assert all(finding.startswith(f"{inside}:") for finding in findings)


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("privacy/wire.py", "from creditmesh_wire.v1 import link_pb2"),
        ("node/gate.py", "from node.grpc_link import GrpcLink"),
        ("node/grpc_link.py", "import grpc"),
        ("risk/towers.py", "import torch\nfrom risk import recipe"),
        ("audit/cli.py", "from privacy.log.tree import root\nfrom privacy.errors import InputError\nimport argparse"),
        ("node/source.py", "import polars as pl\nimport numpy as np\nfrom risk.table import Table"),
    ],
)
def test_what_the_tables_allow_passes(tmp_path: Path, where: str, line: str) -> None:
    assert import_findings(plant(tmp_path, {where: line + "\n"})) == []


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "import os.path",
        "from random import Random",
        "import secrets",
        "import logging",
        "import sqlite3",
        "import asyncio",
        "from pathlib import Path",
        "open('rows.csv')",
        "print('x')",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime\ndatetime.now(tz=None)",
        "import numpy as np\nnp.random.default_rng()",
        "import numpy as np\nnp.random.rand(3)",
        "import numpy as np\nnp.load('x')",
        "from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey\nX25519PrivateKey.generate()",
    ],
)
@pytest.mark.parametrize("floor", ["privacy", "risk"])
def test_a_planted_impurity_is_found(tmp_path: Path, floor: str, line: str) -> None:
    assert purity_findings(plant(tmp_path, {f"{floor}/planted.py": line + "\n"}))


def test_a_seeded_generator_is_pure(tmp_path: Path) -> None:
    text = "import numpy as np\nrng = np.random.default_rng([1, 2])\n"
    assert purity_findings(plant(tmp_path, {"risk/split.py": text})) == []


def heavy_at_start(modules: list[str], folder: Path) -> str:
    """Import modules in a fresh interpreter and return which of torch and flwr that loaded, in words."""
    code = f"import {', '.join([*modules, 'sys'])}; print(*sorted({{'torch', 'flwr'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_command_loads_torch_or_flower_at_start() -> None:
    heads = [f"{name}.cli" for name in PACKAGES if (ROOT / PACKAGES[name] / "cli.py").exists()]
    assert heavy_at_start([*heads, "risk.catalogue"], ROOT) == ""


def test_a_heavy_start_is_found(tmp_path: Path) -> None:
    plant(tmp_path, {"torch.py": "", "planted.py": "import torch\n"})
    assert heavy_at_start(["planted"], tmp_path) == "torch"
