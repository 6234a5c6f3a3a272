"""Files of the checkout that one process has loaded under two names: two classes of one error, and a missed except."""

import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("algorithms", "datasets", "reports", "search_spaces", "sweep")


def loaded_twice(root: Path = ROOT) -> dict[str, list[str]]:
    """What was loaded more than once.

    Args:
        root: of the checkout, or of a wheel's files.

    Returns:
        path below the root → its modules' names. ``sweep/__init__.py`` is left out: ``python -m sweep`` imports it as
        ``sweep``, too, and it holds nothing.
    """
    names: dict[str, list[str]] = defaultdict(list)
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        path = Path(file).resolve() if file else None
        if path and path.is_relative_to(root) and path.relative_to(root).parts[0] in (*PARTS, "transfer_sweep"):
            names[str(path.relative_to(root))].append(name)
    return {file: own for file, own in names.items() if len(own) > 1 and file != "sweep/__init__.py"}
