"""Domains as arrays: each dataset of the field in one file, loaded from its published layout."""

import transfer_sweep

transfer_sweep.refuse_bare(__name__)
