"""How a run stands."""

import transfer_sweep

transfer_sweep.refuse_bare(__name__)
