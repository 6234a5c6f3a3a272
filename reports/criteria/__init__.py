"""Scores of a trial: accuracy, and criteria that need no target labels.

Those on predictions look at logits on the unlabelled target training inputs alone, so that they can be computed
later from stored ones; the others look at features, or at what the model says of inputs that are mixed for it. For
all of them, higher is better. Logits or features that hold a NaN give NaN, never an exception, so that a diverged
trial is recorded like any other (and chosen last, see :mod:`transfer_sweep.reports.selection`).

scikit-learn is imported where it is called, and SciPy's parts are loaded where they are first used: they take
seconds, and commands that only read ledgers do without.
"""

from transfer_sweep.reports.criteria.accuracy import accuracy, confusion, leave_one_out_accuracy
from transfer_sweep.reports.criteria.clusters import class_cluster
from transfer_sweep.reports.criteria.distance import proxy_a_distance
from transfer_sweep.reports.criteria.ensemble import Ensemble, Predictions
from transfer_sweep.reports.criteria.importance import density_ratio, importance_weighted
from transfer_sweep.reports.criteria.mixing import mixed, partners
from transfer_sweep.reports.criteria.predictions import prediction_criteria, soft_neighborhood_density
from transfer_sweep.reports.criteria.reverse import reverse_neighbor
from transfer_sweep.reports.criteria.samples import some

__all__ = [
    "Ensemble",
    "Predictions",
    "accuracy",
    "class_cluster",
    "confusion",
    "density_ratio",
    "importance_weighted",
    "leave_one_out_accuracy",
    "mixed",
    "partners",
    "prediction_criteria",
    "proxy_a_distance",
    "reverse_neighbor",
    "soft_neighborhood_density",
    "some",
]
