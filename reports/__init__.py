"""The ledger of trials and all that is read out of it; no ray, no torch."""

import transfer_sweep

transfer_sweep.refuse_bare(__name__)
