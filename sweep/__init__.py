"""Orchestration: experiment files, plans, Ray Tune, and the command line. The only package that imports ray."""


class SweepError(ValueError):
    """Bad input or a situation the user can mend. Its text is one line: the thing, what is allowed, the next step."""
