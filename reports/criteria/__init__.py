"""Scores of a trial that need no target labels, a file each: :mod:`.base` says what a criterion is.

A file ``NAME.py`` with a class whose ``name`` is ``NAME`` makes a criterion, which :mod:`.registry` finds: experiments
may name it, trials compute it, rungs and reports use it. The other modules are the mathematics that criteria share.
:mod:`.accuracy`, which looks at labels, and :mod:`.proxy_a_distance` are measures that nothing is chosen by.

scikit-learn is imported where it is called, and SciPy's parts are loaded where they are first used: they take
seconds, and commands that only read ledgers do without.
"""
