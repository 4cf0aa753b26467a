"""Soft information from account managers: coded, bounded, and never part of the score.

Theory: what a visitor sees moves the grade by the effects that the policy fixes, at most by the policy's bound, and any
application that carries some goes to a person; free text has no place here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from risk.lending_policy import LendingPolicy

__all__ = ["SoftEffect", "soft_effect"]


@dataclass(frozen=True, slots=True)
class SoftEffect:
    """Hold the grades gained (negative: lost), the codes that count, and the codes or levels that the policy lacks."""

    grades: int
    codes: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...]


def soft_effect(policy: LendingPolicy, given: Mapping[str, str]) -> SoftEffect:
    """Return the effect of soft information; given: code to level. Parts of a grade count for nothing."""
    if not given:
        return SoftEffect(0, (), ())
    known = {code.name: code for code in policy.soft}
    total, counted, unknown = 0.0, [], []
    for name, level in given.items():
        code = known.get(name)
        if code is None or level not in code.levels:
            unknown.append(name)
            continue
        counted.append((name, level))
        total += code.effects[code.levels.index(level)]
    whole = int(total)
    return SoftEffect(max(-policy.soft_bound, min(policy.soft_bound, whole)), tuple(counted), tuple(unknown))
