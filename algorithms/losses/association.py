"""Walker and visit losses: round trips from source to target and back (Haeusser 2017)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softmax

_SMALLEST = 1e-8  # keeps the logarithms finite, as in the authors' code


def walker_and_visit(source: Tensor, target: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """How often a walk source → target → source ends in its own class, and whether it visits every target sample.

    With M = A Bᵀ: P^ab = softmax_j(M), P^ba = softmax_i(Mᵀ), P^aba = P^ab P^ba;
    L_walker = H(T, P^aba), T_ij = 1/|class of i| within a class, else 0; L_visit = H(1/m, mean_i P^ab)
    (Haeusser 2017).

    Args:
        source: (n, d) embeddings A.
        target: (m, d) embeddings B.
        labels: (n,) of the source.

    Returns:
        Two scalars; at their least the entropy of T (mean over rows) and log m.
    """
    similarity = source @ target.T
    there, back = softmax(similarity, dim=1), softmax(similarity.T, dim=1)
    same = (labels.unsqueeze(1) == labels).to(source.dtype)
    wanted = same / same.sum(dim=1, keepdim=True)
    walker = -(wanted * torch.log(there @ back + _SMALLEST)).sum(dim=1).mean()
    visit = -torch.log(there.mean(dim=0) + _SMALLEST).mean()
    return walker, visit
