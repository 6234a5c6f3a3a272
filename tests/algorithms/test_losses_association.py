"""Walker and visit losses: probabilities of walks counted out, and the cases where they are at their least."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from transfer_sweep.algorithms.losses.association import walker_and_visit


def test_they_are_cross_entropies_of_walks_summed_over_every_path() -> None:
    rng = np.random.default_rng(0)
    a, b, labels = rng.normal(size=(5, 3)), rng.normal(size=(4, 3)), np.array([0, 0, 1, 1, 1])
    there, back = softmax(a @ b.T, axis=1), softmax(b @ a.T, axis=1)
    walker = 0.0
    for i in range(5):
        for j in range(5):
            if labels[i] == labels[j]:
                walk = sum(there[i, k] * back[k, j] for k in range(4))
                walker -= np.log(walk) / (labels == labels[i]).sum() / 5
    visit = -np.mean([np.log(np.mean(there[:, k])) for k in range(4)])
    result = walker_and_visit(torch.tensor(a), torch.tensor(b), torch.tensor(labels))
    np.testing.assert_allclose([float(r) for r in result], [walker, visit], rtol=1e-6)


def test_walks_that_come_home_cost_the_entropy_of_the_class_and_no_more() -> None:
    # Two classes of two samples, targets far apart and each by its class: a walk ends on either of two.
    anchors = 50 * torch.eye(2).repeat_interleave(2, dim=0)
    walker, visit = walker_and_visit(anchors, anchors, torch.tensor([0, 0, 1, 1]))
    assert float(walker) == pytest.approx(np.log(2), abs=1e-5)
    assert float(visit) == pytest.approx(np.log(4), abs=1e-5)


def test_a_target_sample_that_no_walk_visits_costs_visit_loss() -> None:
    source = 50 * torch.eye(2)
    everywhere = walker_and_visit(source, 50 * torch.eye(2), torch.tensor([0, 1]))[1]
    left_out = walker_and_visit(source, torch.tensor([[50.0, 0.0], [-50.0, -50.0]]), torch.tensor([0, 1]))[1]
    assert float(left_out) > float(everywhere) + 1


def test_gradient() -> None:
    a = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    b = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 0, 1])
    assert torch.autograd.gradcheck(lambda x, y: walker_and_visit(x, y, labels), (a, b))
