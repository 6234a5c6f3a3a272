"""The ledger of trials and all that is read out of it; no ray, no torch."""
