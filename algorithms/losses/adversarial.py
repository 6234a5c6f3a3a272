"""Domain-adversarial losses (Ganin 2016; Long 2018; Tzeng 2015)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid


def domain_confusion(source_logits: Tensor, target_logits: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of a discriminator that says *source* with probability σ(z).

    L = −½ [ mean_s log σ(z_s) + mean_t log(1 − σ(z_t)) ]   (Ganin 2016; ½ as in Long 2018's code)

    Args:
        source_logits: (n,) z_s.
        target_logits: (m,) z_t.
        weights: (n + m,) of the samples, source first; means become weighted means (Long 2018).

    Returns:
        A scalar; log 2 for a discriminator that cannot tell.
    """
    n = len(source_logits)
    logits = torch.cat([source_logits, target_logits])
    labels = torch.cat([torch.ones_like(source_logits), torch.zeros_like(target_logits)])
    each = binary_cross_entropy_with_logits(logits, labels, reduction="none")
    if weights is None:
        return 0.5 * (each[:n].mean() + each[n:].mean())
    source_weights, target_weights = weights[:n], weights[n:]
    return 0.5 * (
        (each[:n] * source_weights).sum() / source_weights.sum()
        + (each[n:] * target_weights).sum() / target_weights.sum()
    )


def uniform_confusion(logits: Tensor) -> Tensor:
    """Cross-entropy between the uniform distribution over both domains and what a discriminator says.

    L_conf = −½ mean [ log σ(z) + log σ(−z) ]   (Tzeng 2015, equation 4)

    Unlike minus the discriminator's loss, it has its minimum where the discriminator cannot tell.

    Args:
        logits: (n,) z of samples of either domain.

    Returns:
        A scalar, at least log 2.
    """
    return -0.5 * (logsigmoid(logits) + logsigmoid(-logits)).mean()
