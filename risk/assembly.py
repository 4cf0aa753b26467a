"""A scorecard put together from its bins, its evidence and its weights.

It decides nothing: which fields are used and how much each counts is given. Theory: points to double the odds, as in
`risk.card`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from risk.binning import Binned
from risk.card import CardField, Scaling, Scorecard
from risk.newton import Fitted
from risk.spec import JobSpec

__all__ = ["assemble"]


def assemble(
    spec: JobSpec,
    used: Sequence[Binned],
    fitted: Fitted,
    dropped: Sequence[tuple[str, str | None]],
    training: Mapping[str, Any],
) -> Scorecard:
    """Return the card of the fields in use that kept a weight.

    fitted: intercept, and a weight for each of `used`. dropped: (field, reason) of the others. training: facts of the
    training, beside those of the job.
    """
    values = spec.parameters
    scaling = Scaling(int(values["points"]), int(values["odds"]), int(values["pdo"]))
    fields = []
    for item, weight in zip(used, fitted.weights, strict=True):
        if weight == 0:
            continue
        declared = spec.dictionary.field(item.coding.name)
        points = tuple(scaling.bin_points(weight, steps) for steps in item.woe)
        fields.append(
            CardField(
                name=declared.name,
                dimension=declared.dimension,
                coding=item.coding,
                levels=declared.levels,
                woe=item.woe,
                weight=weight,
                points=points,
                rows=item.rows,
                bads=item.bads,
                iv=item.iv,
            )
        )
    job = {"holdout_ppm": spec.holdout_ppm, "max_rows": spec.max_rows, "members": spec.members, "seed": spec.seed}
    stated = {} if spec.promise is None else {"privacy": spec.promise}
    return Scorecard(
        recipe=spec.label,
        fields=tuple(fields),
        dropped=tuple((name, str(reason)) for name, reason in dropped),
        intercept=fitted.intercept,
        base_points=scaling.offset(fitted.intercept),
        scaling=scaling,
        dictionary=spec.dictionary.digest(),
        training={**job, **training, **stated, "parameters": dict(values)},
    )
