"""Soft labels: what a network says of a class's source samples on average, taught to the target's (Tzeng 2015)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, one_hot


def soft_labels(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """l^(k) = mean over the samples of class k of softmax(z / τ)   (Tzeng 2015, section 3.2).

    Args:
        logits: (n, K) z of source samples.
        labels: (n,) their classes.
        temperature: τ; the higher, the softer.

    Returns:
        (K, K), a distribution in the row of each class; a class without samples has the uniform one.
    """
    classes = logits.shape[1]
    member = one_hot(labels, classes).to(logits.dtype)
    counts = member.sum(dim=0).unsqueeze(1)
    means = member.T @ torch.softmax(logits / temperature, dim=1) / counts.clamp_min(1)
    return torch.where(counts > 0, means, torch.full_like(means, 1 / classes))


def soft_label_loss(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """L_soft = −mean_i Σ_k l_ik log p_ik with p = softmax(z / τ)   (Tzeng 2015, equation 7).

    Args:
        logits: (n, K) z of labelled target samples.
        targets: (n, K) l, the soft label of each sample's class.
        temperature: τ, that of the soft labels.

    Returns:
        A scalar.
    """
    return -(targets * log_softmax(logits / temperature, dim=1)).sum(dim=1).mean()
