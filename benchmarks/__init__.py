"""Speed, measured as ratios in one run. ``python -m benchmarks`` runs what takes minutes; each file runs alone."""
