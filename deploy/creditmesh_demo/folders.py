"""Where a run keeps what, and the settings of its nodes and jobs as text.

It makes no key and imports nothing large. Theory: a node's folder is its state folder, and so is the coordinator's, so
`creditmesh-audit verify` takes either as it is.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from creditmesh_demo.room_folder import RoomFolder

__all__ = ["JobFacts", "RunFolders", "write_job", "write_node_settings"]

NODE_TOML = """\
[member]
id = {member}

[coordinator]
endpoint = {endpoint}

[tls]
ca = "keys/ca.pem"
certificate = "keys/certificate.pem"
key = "keys/tls.key"

[identity]
key = "keys/identity.key"
peers = "keys/members.json"

[source]
table = {table}
schema = {schema}

[permit]
recipes = {recipes}
allow_exclusion = 1
exact_trees = true
epsilon_cap = {cap}

[state]
dir = "."
"""

JOB_TOML = """\
[job]
recipe = {recipe}
schema = {schema}
seed = {seed}
holdout = {holdout}
"""


@dataclass(frozen=True, slots=True)
class RunFolders:
    """Name the folders of a run: the coordinator's, and each member's by name."""

    out: Path
    members: tuple[str, ...]

    @property
    def coordinator(self) -> Path:
        """Return the coordinator's state folder."""
        return self.out / "coordinator"

    @property
    def nodes(self) -> dict[str, Path]:
        """Return the members' state folders."""
        return {member: self.out / "nodes" / member for member in self.members}


@dataclass(frozen=True, slots=True)
class JobFacts:
    """Say what a job file says: recipe, data dictionary, seed of the split, share of rows held out.

    epsilon: what the job may cost a record, a decimal; None for exact sums.
    """

    recipe: str
    schema: Path
    seed: int
    holdout: float
    epsilon: str | None


def write_node_settings(
    run: RunFolders, room: RoomFolder, endpoint: str, recipes: Sequence[str], cap: str = "8"
) -> None:
    """Write every member's node.toml; endpoint: "host:port" of the coordinator; cap: epsilon of all jobs together."""
    for member, folder in run.nodes.items():
        text = NODE_TOML.format(
            member=_toml(member),
            endpoint=_toml(endpoint),
            table=_toml(str(room.tables[member])),
            schema=_toml(str(room.schema)),
            recipes=json.dumps(list(recipes)),
            cap=_toml(cap),
        )
        (folder / "node.toml").write_text(text, encoding="utf-8")


def write_job(run: RunFolders, job: JobFacts) -> Path:
    """Write a job file into the coordinator's folder and return its path."""
    path = run.coordinator / f"{job.recipe}.toml"
    text = JOB_TOML.format(
        recipe=_toml(job.recipe), schema=_toml(str(job.schema)), seed=job.seed, holdout=repr(job.holdout)
    )
    if job.epsilon is not None:
        text += f'\n[privacy]\nepsilon = "{job.epsilon}"\n'
    path.write_text(text, encoding="utf-8")
    return path


def _toml(text: str) -> str:
    # A JSON string is a TOML basic string, but for the escape of one control character that no name here has.
    return json.dumps(text, ensure_ascii=False)
