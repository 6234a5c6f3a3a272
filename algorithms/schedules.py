"""Schedules over the progress p ∈ [0, 1] of training: of the learning rate, and of a trade-off λ."""

from __future__ import annotations

import math
from typing import Literal

LearningRateSchedule = Literal["ganin", "cosine", "step", "constant"]
LambdaSchedule = Literal["ganin", "constant"]


def learning_rate_factor(
    schedule: LearningRateSchedule, progress: float, alpha: float, beta: float, step: float, decay: float
) -> float:
    """What the learning rate is multiplied with at ``progress``.

    ``ganin``: (1 + αp)^−β (Ganin 2016, section 5.2, with α = 10, β = 0.75); ``cosine``: (1 + cos πp) / 2
    (Loshchilov 2017, eq. 5, one cycle down to zero); ``step``: decay to the power of ⌊p / step⌋ (Long 2018's
    code on digits: ½, every 5 to 6 of 10 epochs); ``constant``: 1.
    """
    if schedule == "step":
        return float(decay ** math.floor(progress / step + 1e-9))  # 0.3 / 0.1 is a little less than 3
    if schedule == "ganin":
        return float((1.0 + alpha * progress) ** -beta)
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * progress))
    return 1.0


def lambda_factor(schedule: LambdaSchedule, progress: float, gamma: float) -> float:
    """What a trade-off λ is multiplied with at ``progress``.

    ``ganin``: 2 / (1 + e^(−γp)) − 1, from 0 towards 1 (Ganin 2016, section 5.2, with γ = 10); ``constant``: 1.
    """
    if schedule == "ganin":
        return 2.0 / (1.0 + math.exp(-gamma * progress)) - 1.0
    return 1.0
