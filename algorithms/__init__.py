"""The transfer-learning methods, each in a file of its own; no ray, no file paths, no global state."""
