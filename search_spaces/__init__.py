"""Experiments, as YAML; see the README beside this file for the format."""
