"""What trials take of cores and GPUs."""

import transfer_sweep

transfer_sweep.refuse_bare(__name__)
