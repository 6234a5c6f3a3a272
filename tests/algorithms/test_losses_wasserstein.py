"""The critic: its penalty in closed form, and the distance it finds against POT's exact one."""

import numpy as np
import ot
import pytest
import torch

from transfer_sweep.algorithms.losses.wasserstein import gradient_penalty
from transfer_sweep.algorithms.networks import Critic


def test_a_linear_critic_is_penalised_by_how_far_its_slope_is_from_one() -> None:
    weight = torch.tensor([3.0, 4.0], dtype=torch.float64, requires_grad=True)
    x, y = torch.randn(6, 2, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)
    penalty = gradient_penalty(lambda h: h @ weight, x, y)
    assert float(penalty.detach()) == pytest.approx((5 - 1) ** 2)
    # d/dw (‖w‖ − 1)² = 2 (‖w‖ − 1) w / ‖w‖
    (slope,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(slope, torch.tensor([4.8, 6.4], dtype=torch.float64))


def test_a_critic_of_slope_one_costs_nothing() -> None:
    x = torch.randn(5, 3)
    assert float(gradient_penalty(lambda h: h[:, 0], x, x + 1)) == pytest.approx(0, abs=1e-6)


def test_a_trained_critic_finds_the_exact_wasserstein_distance() -> None:
    # Kantorovich duality: sup over 1-Lipschitz f of E_s f − E_t f is the earth mover's distance W. The penalty is
    # soft: a slope L earns L·W − γ (L − 1)², which is most at L = 1 + W / 2γ.
    torch.manual_seed(0)
    x, y = torch.randn(64, 2), torch.randn(64, 2) + torch.tensor([3.0, 0.0])
    exact = ot.emd2([], [], ot.dist(x.numpy().astype(np.float64), y.numpy().astype(np.float64), metric="euclidean"))
    critic = Critic(2, 32)
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.01)
    for _ in range(300):
        gap = critic(x).mean() - critic(y).mean()
        optimizer.zero_grad()
        (-gap + 10 * gradient_penalty(critic, x, y)).backward()
        optimizer.step()
    assert float(gap.detach()) == pytest.approx(exact * (1 + exact / 20), rel=0.03)
