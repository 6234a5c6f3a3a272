"""What an attacker would put in a file."""

import os
from pathlib import Path
from typing import Any


class Malicious:
    """Unpickling it makes a folder.

    Args:
        victim: the folder.
    """

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.victim),)
