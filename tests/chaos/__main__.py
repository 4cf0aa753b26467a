"""A chaos run: eight nodes and a coordinator, 200 secure rounds, and bad luck drawn from a seed.

    python -m tests.chaos [--seed 1] [--rounds 200] [--members 8] [--kills 8]

Nodes are killed (SIGKILL) and started again, frozen (SIGSTOP) and thawed; frames are doubled, swapped, delayed, streams
cut (`tests.chaos.peer`). Afterwards: every opened sum equals the plain sum over its survivors, no round was opened
twice, the job is in a final state within ten seconds of the last event that matters (the last blow, or the last opened
sum), and memory has not grown. Exit 0 if all of that holds. Everything runs on loopback and ends by itself.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from creditmesh_demo.folders import RunFolders, write_node_settings
from creditmesh_demo.founding import found

from tests.bench.secure_round import JOB, room
from tests.chaos.peer import part_of

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
LIMIT_S = 600.0
FINAL_WITHIN_S = 10.0


@dataclass
class Network:
    """The processes of one run and what happened to them."""

    run: RunFolders
    numbers: list[str]
    children: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    blows: list[str] = field(default_factory=list)
    last_blow: float = 0.0
    last_opened: float = 0.0
    _seen: int = 0

    def start(self, name: str) -> None:
        """Start the coordinator or a node, again if need be."""
        role = "coordinator" if name == "coordinator" else "node"
        folder = self.run.coordinator if role == "coordinator" else self.run.nodes[name]
        command = [sys.executable, "-m", "tests.chaos.peer", role, str(folder / f"{role}.toml"), *self.numbers]
        with (folder / "output").open("ab") as output:
            self.children[name] = subprocess.Popen(command, env=ENVIRONMENT, stdout=output, stderr=output)

    def blow(self, what: str) -> None:
        """Write down what was done, and when."""
        self.last_blow = time.monotonic()
        self.blows.append(what)
        print(f"  {what}", flush=True)

    def opened(self) -> list[dict[str, object]]:
        """Return the sums opened so far."""
        path = self.run.coordinator / "sums.jsonl"
        sums = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        if len(sums) != self._seen:
            self._seen, self.last_opened = len(sums), time.monotonic()
        return sums

    def memory_kib(self, name: str) -> int:
        """Return the resident memory of a process now."""
        status = Path(f"/proc/{self.children[name].pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def stop(self) -> None:
        """End every process that is left."""
        for child in self.children.values():
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.terminate()
        for child in self.children.values():
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()


def trouble(network: Network, chance: random.Random, kills: int, rounds: int) -> tuple[int, int]:
    """Strike at random until the job has ended; return the coordinator's memory early and late, KiB."""
    members = list(network.run.nodes)
    due = sorted(chance.randrange(2, max(3, int(rounds * 0.9))) for _ in range(kills))
    returns: list[tuple[float, str, str]] = []
    early = late = 0
    begun = time.monotonic()
    ending = network.run.coordinator / "ending.json"
    while not ending.exists():
        now, done = time.monotonic(), len(network.opened())
        if now - begun > LIMIT_S:
            raise SystemExit(f"chaos: no final state after {LIMIT_S:.0f} s, {done} rounds opened")
        late = network.memory_kib("coordinator")
        early = early or (late if done > rounds // 4 else 0)
        for at, name, how in [each for each in returns if each[0] <= now]:
            returns.remove((at, name, how))
            if how == "thaw":
                network.children[name].send_signal(signal.SIGCONT)
            else:
                network.children[name].wait()
                network.start(name)
            network.blow(f"round {done}: {how} {name}")
        if due and done >= due[0] and len(returns) < 2:
            due.pop(0)
            name = chance.choice([each for each in members if each not in {back[1] for back in returns}])
            if chance.random() < 0.25:
                network.children[name].send_signal(signal.SIGSTOP)
                returns.append((now + chance.uniform(0.5, 4.0), name, "thaw"))
                network.blow(f"round {done}: freeze {name}")
            else:
                network.children[name].kill()
                returns.append((now + chance.uniform(0.1, 2.0), name, "start"))
                network.blow(f"round {done}: kill {name}")
        time.sleep(0.02)
    return early, late


def judge(network: Network, rounds: int, memory: tuple[int, int]) -> list[str]:
    """Return what went wrong."""
    faults = []
    ending = json.loads((network.run.coordinator / "ending.json").read_text())
    opened = network.opened()
    numbers = [sum_["round"] for sum_ in opened]
    if numbers != list(range(1, len(opened) + 1)):
        faults.append(f"rounds were opened out of order or twice: {numbers}")
    for sum_ in opened:
        survivors: list[str] = sum_["survivors"]  # type: ignore[assignment]  # parsed JSON
        plain = np.sum([part_of(member, f"chaos-{sum_['round']}") for member in survivors], axis=0)
        if hashlib.sha256(plain.tobytes()).hexdigest() != sum_["sha256"]:
            faults.append(f"round {sum_['round']} is not the plain sum of its survivors")
    if ending["state"] == "done" and len(opened) != rounds:
        faults.append(f"the job is done after {len(opened)} of {rounds} rounds")
    if ending["state"] not in ("done", "failed") or (ending["state"] == "failed" and not ending["reason"]):
        faults.append(f"the job ended {ending}")
    since = time.monotonic() - max(network.last_blow, network.last_opened)
    if since > FINAL_WITHIN_S + 1:
        faults.append(f"the job was final only {since:.1f} s after the last event")
    early, late = memory
    if early and late > 1.2 * early + 20_000:
        faults.append(f"the coordinator grew from {early} to {late} KiB")
    print(f"  ended {ending['state']} {ending['reason']}; {len(opened)} sums, {len(network.blows)} blows")
    print(f"  final {since:.1f} s after the last event, coordinator {early} -> {late} KiB")
    return faults


def main() -> int:
    """Run one seed and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--kills", type=int, default=8)
    options = parser.parse_args()
    print(
        f"chaos: seed {options.seed}, {options.members} nodes, {options.rounds} rounds, {options.kills} blows to deal"
    )
    names = tuple(f"bank-{number}" for number in range(options.members))
    with tempfile.TemporaryDirectory() as temporary:
        network = Network(RunFolders(Path(temporary) / "run", names), [str(options.seed), str(options.rounds)])
        data = room(Path(temporary) / "room", names)
        found(network.run)
        settings = network.run.coordinator / "coordinator.toml"
        settings.write_text(settings.read_text().replace("rejoin_s = 2", "rejoin_s = 8"))
        try:
            network.start("coordinator")
            listening = network.run.coordinator / "listening.json"
            while not listening.exists():
                time.sleep(0.05)
            write_node_settings(network.run, data, json.loads(listening.read_text())["grpc"], ["scorecard"])
            for name in names:
                network.start(name)
            job = network.run.coordinator / "job.toml"
            job.write_text(JOB.format(schema=json.dumps(str(data.schema))))
            submit = [str(Path(sys.executable).with_name("creditmesh-coordinator")), "submit", str(job), "--config"]
            subprocess.run([*submit, str(settings)], check=True, stdout=subprocess.DEVNULL)
            memory = trouble(network, random.Random(options.seed), options.kills, options.rounds)
            faults = judge(network, options.rounds, memory)
        finally:
            network.stop()
    for fault in faults:
        print(f"chaos: {fault}", file=sys.stderr)
    print("chaos: nothing wrong found" if not faults else f"chaos: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
