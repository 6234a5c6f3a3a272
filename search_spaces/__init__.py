"""Experiments, as YAML; see the README beside this file for the format."""

import transfer_sweep

transfer_sweep.refuse_bare(__name__)
