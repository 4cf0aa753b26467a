"""Trees that stand before a row is seen: a card's fields as trees, and trees whose splits are drawn by hash.

It sums nothing and adds no noise. Theory: a split that is chosen from rows must be paid for, one that is drawn is free,
and leaves that few rows share are what noise hurts least (Fan, Wang, Yu and others, 2003: random decision trees). All
nodes of a level split the same column at the same place, so every row is in one of 2**depth leaves. A scorecard is a
forest already: each field is a tree with a leaf for every bin, in the same steps of 2**-30.
"""

import hashlib
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from risk.card import CardField, Scorecard
from risk.coding import Coding
from risk.dictionary import Dictionary
from risk.forest import Column

__all__ = ["card_columns", "card_trees", "draw_tree", "risk_order", "risk_column"]


def risk_order(item: CardField) -> tuple[int, ...]:
    """Return all bins of a field, special and missing ones among them, by rising risk."""
    return tuple(sorted(range(item.coding.bins), key=lambda place: (-item.woe[place], place)))


def risk_column(coding: Coding, order: Sequence[int], dictionary: Dictionary) -> Column:
    """Return the column whose places are a field's bins in this order; no row is missing in it."""
    declared = dictionary.field(coding.name)
    return Column(coding, tuple((place,) for place in order), declared.dimension, 0, declared.levels)


def card_columns(card: Scorecard, dictionary: Dictionary) -> tuple[Column, ...]:
    """Return the column of every field of a card."""
    return tuple(risk_column(item.coding, risk_order(item), dictionary) for item in card.fields)


def card_trees(card: Scorecard) -> list[np.ndarray]:
    """Return one tree a field, (nodes, 6) int64 as in `risk.forest`: together they add what the card adds."""
    trees = []
    for number, item in enumerate(card.fields):
        values = [-item.weight * item.woe[place] for place in risk_order(item)]
        nodes: list[list[int]] = []
        _grow(nodes, number, values, 0)
        trees.append(np.array(nodes, dtype=np.int64))
    return trees


def _grow(nodes: list[list[int]], column: int, values: Sequence[int], first: int) -> int:
    """Add the tree of these leaves, the first of them at place `first`; return its root's number."""
    number, half = len(nodes), len(values) // 2
    if not half:
        nodes.append([0, 0, 0, 0, 0, values[0]])
        return number
    nodes.append([column, first + half - 1, 0, 0, 0, 0])
    nodes[number][3] = _grow(nodes, column, values[:half], first)
    nodes[number][4] = _grow(nodes, column, values[half:], first + half)
    return number


def draw_tree(label: str, card: Scorecard, columns: Sequence[int], depth: int) -> np.ndarray:
    """Return a tree with 2**depth empty leaves at the end, (2**(depth + 1) - 1, 6) int64.

    label: names the draw. columns: numbers of the card's fields that may be split, at least one. Each is split once
    before any is split twice; cuts that part the rows evenly, as far as the card knows them, are drawn most often.
    """
    turn = sorted(columns, key=lambda number: (_drawn(f"{label}|column|{number}"), number))
    nodes = []
    for level in range(depth):
        number = turn[level % len(turn)]
        cut = _cut(f"{label}|cut|{level}", card.fields[number])
        for node in range((1 << level) - 1, (2 << level) - 1):
            nodes.append([number, cut, 0, 2 * node + 1, 2 * node + 2, 0])
    return np.array(nodes + [[0] * 6] * (1 << depth), dtype=np.int64)


def _cut(label: str, item: CardField) -> int:
    counted = [item.rows[place] for place in risk_order(item)]
    total = sum(counted)
    chances = [left * (total - left) + 1 for left in list(accumulate(counted))[:-1]]
    drawn = _drawn(label) % sum(chances)
    return next(place for place, below in enumerate(accumulate(chances)) if drawn < below)


def _drawn(label: str) -> int:
    return int.from_bytes(hashlib.sha256(f"creditmesh random tree/1|{label}".encode()).digest(), "big")
