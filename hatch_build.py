"""How a wheel lies: all of it in transfer_sweep, beside a ``sweep`` of two files that forward to it."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_PARTS = ("sweep", "algorithms", "datasets", "reports", "search_spaces")
_THIN = ("sweep/__init__.py", "sweep/__main__.py")


class Layout(BuildHookInterface[Any]):
    """Moves the checkout's folders into the package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add them to what the wheel holds.

        Args:
            version: ``editable`` for ``pip install -e``, which puts the checkout on the path and copies nothing.
            build_data: of hatchling; ``force_include`` maps files and folders to their places in the wheel.
        """
        if version == "standard":
            build_data["force_include"] |= {part: f"transfer_sweep/{part}" for part in _PARTS}
            build_data["force_include"] |= {file: file for file in _THIN}
