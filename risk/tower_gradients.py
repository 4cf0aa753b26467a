"""Each row's own gradient of the four-tower network, by torch: clipped, in whole grid units, added up.

It takes no step and draws no row. Theory: clipping bounds what one record changes only if every row's gradient is known
apart (Abadi et al., 2016); `torch.func` maps the gradient of one row's log-loss over many. torch is loaded by the first
row that needs it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from risk.tower_rows import MemberRows

__all__ = ["gradient_sum"]

_CHUNK = 512


def gradient_sum(
    rows: MemberRows, weights: Mapping[str, np.ndarray], whole_rows: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return the sum over rows of what `whole_rows` makes of their gradients, (n_weights,) int64.

    weights: float64 arrays; gradients come in the order of their names, each in C order. whole_rows: maps gradients
    (n_rows, n_weights) float64 to int64 of that shape.
    """
    import torch
    from torch.func import grad, vmap

    torch.set_num_threads(1)
    network = {name: torch.tensor(array, dtype=torch.float32) for name, array in weights.items()}
    each = vmap(grad(_loss), in_dims=(None, 0, 0, 0))
    total = np.zeros(sum(array.size for array in weights.values()), dtype=np.int64)
    for first in range(0, len(rows.target), _CHUNK):
        part = slice(first, first + _CHUNK)
        columns = {name: torch.from_numpy(x) for name, x in rows.inputs.features(rows.codes[part]).items()}
        start = torch.from_numpy(rows.start[part]).float()
        found = each(network, columns, start, torch.from_numpy(rows.target[part]).float())
        flat = torch.cat([found[name].reshape(len(start), -1) for name in sorted(found)], dim=1)
        total += whole_rows(flat.numpy().astype(np.float64)).sum(axis=0)
    return total


def _loss(network: Mapping[str, Any], columns: Mapping[str, Any], start: Any, target: Any) -> Any:
    """Return the log-loss of one row: columns (width,) by dimension, start and target scalars, all torch tensors."""
    import torch

    logit = start + network["intercept"][0]
    for name, x in columns.items():
        hidden = (x @ network[f"{name}.hidden"] + network[f"{name}.shift"]).relu()
        logit = logit + x @ network[f"{name}.line"] + hidden @ network[f"{name}.output"]
    return torch.nn.functional.binary_cross_entropy_with_logits(logit, target)
