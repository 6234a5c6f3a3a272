"""Losses: pure functions on tensors, each with its formula, shapes and source."""
