"""One trial, without Ray."""

import transfer_sweep

transfer_sweep.refuse_bare(__name__)
