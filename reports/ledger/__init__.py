"""The ledger: what ran, and what is kept of it."""
