"""From an experiment to its trials."""

import transfer_sweep

transfer_sweep.refuse_bare(__name__)
