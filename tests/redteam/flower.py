"""The same questions asked of Flower's SecAgg+: its own functions are called, with what a malicious server may send.

It runs no Flower network. Each question is one of the suite's attacks, reduced to the function that would have to
refuse it; the answer says what that function did. Questions about what SecAgg+ has no message for (votes, verified
sums, derived requests) cannot be put to a function and are not here.
"""

import base64
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Answer", "Flower", "ask_all"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What Flower did when it was asked. number: of the attack in our suite. refused: whether a function said no."""

    number: str
    question: str
    refused: bool
    answer: str


class Flower:
    """The parts of flwr that the questions need; `ImportError` where it is not installed or has moved them."""

    def __init__(self) -> None:
        home = "flwr.common.secure_aggregation"
        self.mod: Any = importlib.import_module("flwr.client.mod.secure_aggregation.secaggplus_mod")
        self.utils: Any = importlib.import_module(f"{home}.secaggplus_utils")
        self.words: Any = importlib.import_module(f"{home}.secaggplus_constants")
        self.shamir: Any = importlib.import_module(f"{home}.crypto.shamir")
        self.cipher: Any = importlib.import_module(f"{home}.crypto.symmetric_encryption")
        self.keys: Any = importlib.import_module("flwr.supercore.primitives.asymmetric")
        self.version: str = importlib.import_module("flwr").__version__

    def configs(self, **changes: object) -> dict[str, Any]:
        """Return what a server sends for the set-up of four clients."""
        key = self.words.Key
        values = {
            key.STAGE: self.words.Stage.SETUP, key.SAMPLE_NUMBER: 4, key.SHARE_NUMBER: 4, key.THRESHOLD: 3,
            key.CLIPPING_RANGE: 8.0, key.TARGET_RANGE: 1 << 22, key.MOD_RANGE: 1 << 32, key.MAX_WEIGHT: 1000.0,
        }  # fmt: skip
        return values | {getattr(key, name): value for name, value in changes.items()}

    def client(self, nid: int = 1, **changes: object) -> tuple[Any, dict[str, Any]]:
        """Return a client that has done its set-up, and what it answered."""
        state = self.mod.SecAggPlusState()
        state.nid = nid
        configs = self.configs(**changes)
        self.mod.check_configs(configs[self.words.Key.STAGE], configs)
        return state, self.mod._setup(state, configs)


def _seeds(flower: Flower) -> str:
    varying, fixed = 0, 0xFFFFFFFF
    for _ in range(2000):
        text, folded = base64.urlsafe_b64encode(os.urandom(32)), 0
        for at in range(0, len(text), 4):
            folded ^= int.from_bytes(text[at : at + 4], "little")
        varying, fixed = varying | folded, fixed & folded
    seed = bytearray(base64.urlsafe_b64encode(bytes(32)))
    other = bytearray(seed)
    other[0], other[4] = other[0] ^ 1, other[4] ^ 1
    one, two = (flower.utils.pseudo_rand_gen(bytes(each), 1 << 32, [(64,)])[0] for each in (seed, other))
    assert np.array_equal(one, two)
    return f"a pair's seed has {(varying & ~fixed).bit_count()} bits that vary; two seeds two bits apart make one mask"


def _both_shares(flower: Flower) -> str:
    state, key = flower.mod.SecAggPlusState(), flower.words.Key
    state.nid, state.threshold = 1, 2
    state.rd_seed_share_dict, state.sk1_share_dict = {1: b"b1", 2: b"b2"}, {1: b"s1", 2: b"s2"}
    answer = flower.mod._unmask(state, {key.ACTIVE_NODE_ID_LIST: [1, 2], key.DEAD_NODE_ID_LIST: [2]})
    assert {b"b2", b"s2"} <= set(answer[key.SHARE_LIST])
    return "hands over both shares of client 2"


def _swapped_keys(flower: Flower) -> str:
    key, keys, cipher = flower.words.Key, flower.keys, flower.cipher
    victim, own = flower.client(1)
    mine = {nid: (keys.generate_key_pairs(), keys.generate_key_pairs()) for nid in (2, 3, 4)}
    shown = {"1": [own[key.PUBLIC_KEY_1], own[key.PUBLIC_KEY_2]]}
    for nid, pairs in mine.items():
        shown[str(nid)] = [keys.public_key_to_bytes(public) for _, public in pairs]
    flower.mod.check_configs(flower.words.Stage.SHARE_KEYS, shown)
    sent = flower.mod._share_keys(victim, shown)
    shares = []
    for nid, sealed in zip(sent[key.DESTINATION_LIST], sent[key.CIPHERTEXT_LIST], strict=True):
        secret, public = mine[nid][1][0], keys.bytes_to_public_key(own[key.PUBLIC_KEY_2])
        plain = cipher.decrypt(cipher.generate_shared_key(secret, public), sealed)
        shares.append(flower.utils.share_keys_plaintext_separate(plain)[2])
    assert flower.shamir.combine_shares(shares) == victim.rd_seed
    return "seals its shares to the server's keys: the server has rebuilt its self-mask's seed"


def _threshold(flower: Flower) -> str:
    state, _ = flower.client(THRESHOLD=1)
    assert state.threshold == 1
    return "takes threshold 1 of 4 from the server"


def _alone(flower: Flower) -> str:
    state, key = flower.client(THRESHOLD=1)[0], flower.words.Key
    state.rd_seed_share_dict = {1: b"b1"}
    answer = flower.mod._unmask(state, {key.ACTIVE_NODE_ID_LIST: [1], key.DEAD_NODE_ID_LIST: []})
    assert answer[key.SHARE_LIST] == [b"b1"]
    return "unmasks a cohort of one"


def _modulus(flower: Flower) -> str:
    state, _ = flower.client(MOD_RANGE=2)
    mask = flower.utils.pseudo_rand_gen(os.urandom(32), state.mod_range, [(256,)])[0]
    assert not mask.any()
    return "takes modulus 2 from the server; every mask is zero"


def _again(flower: Flower) -> str:
    stage = flower.words.Stage
    flower.mod.check_stage(stage.UNMASK, {flower.words.Key.STAGE: stage.SETUP})
    state, _ = flower.client(SAMPLE_NUMBER=3, SHARE_NUMBER=3)
    assert state.sample_num == 3
    return "sets up again with one client fewer; it keeps no cohort"


def _second_unmask(flower: Flower) -> str:
    stage = flower.words.Stage
    flower.mod.check_stage(stage.UNMASK, {flower.words.Key.STAGE: stage.UNMASK})
    return "answers a second unmasking"


def _one_key_twice(flower: Flower) -> str:
    key = flower.words.Key
    victim, own = flower.client(1)
    shown = [own[key.PUBLIC_KEY_1], own[key.PUBLIC_KEY_2]]
    flower.mod._share_keys(victim, {"1": shown, "2": shown, "3": shown})
    return "takes one key under several names"


_QUESTIONS: tuple[tuple[str, str, Callable[[Flower], str]], ...] = (
    ("3", "other clients' keys are the server's own", _swapped_keys),
    ("5b", "one key stands under several names", _one_key_twice),
    ("6", "one client is in the active and in the dead list", _both_shares),
    ("7", "unmask a second time", _second_unmask),
    ("10", "unmask a cohort below any sensible size", _alone),
    ("14", "run the same round again without one client", _again),
    ("15b", "a lowered threshold", _threshold),
    ("34", "related seeds", _seeds),
    ("36", "a modulus that holds nothing", _modulus),
)


def ask_all() -> tuple[str, list[Answer]]:
    """Return Flower's version and its answers; `ImportError` where it cannot be asked."""
    flower, answers = Flower(), []
    for number, question, ask in _QUESTIONS:
        try:
            answers.append(Answer(number, question, False, ask(flower)))
        except (ValueError, TypeError, KeyError) as refusal:
            answers.append(Answer(number, question, True, f"refuses: {refusal}"))
    return flower.version, answers
