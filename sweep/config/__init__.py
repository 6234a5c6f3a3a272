"""What an experiment file says."""

import transfer_sweep

transfer_sweep.refuse_bare(__name__)
