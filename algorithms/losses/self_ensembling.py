"""Losses of self-ensembling: what student and teacher say of the target (French 2018, sections 3.2–3.4)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy


def confident(teacher: Tensor, threshold: float) -> Tensor:
    """(n, K) probabilities of the teacher → (n,) 1 where its largest one exceeds ``threshold``, else 0."""
    return (teacher.max(dim=1).values > threshold).to(teacher.dtype)


def consistency(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Mean over samples of mask · (1/K) Σ_k (p_student,k − p_teacher,k)².

    Args:
        student: (n, K) probabilities.
        teacher: (n, K) probabilities, which carry no gradient.
        mask: (n,) of :func:`confident`.
    """
    return ((student - teacher.detach()).square().mean(dim=1) * mask).mean()


def class_balance(student: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy of the mean prediction of each class with 1/K, summed over classes.

    Weighed by the share of confident samples, as the consistency loss is.

    Args:
        student: (n, K) probabilities.
        mask: (n,) of :func:`confident`.
    """
    mean = student.mean(dim=0).clamp(1e-6, 1 - 1e-6)
    uniform = mean.new_full(mean.shape, 1 / len(mean))
    return binary_cross_entropy(mean, uniform, reduction="sum") * mask.mean()
