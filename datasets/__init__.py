"""Domains as arrays: each dataset of the field in one file, loaded from its published layout.

This is the ``datasets`` package of transfer-sweep, not the PyPI package of the same name.
"""

PROJECT = "transfer-sweep"  # what start-up looks for, to tell this package from its namesake
