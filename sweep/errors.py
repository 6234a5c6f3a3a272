"""What the user is told."""

from __future__ import annotations

import transfer_sweep

transfer_sweep.refuse_bare(__name__)


class SweepError(transfer_sweep.UserError, ValueError):
    """Bad input or a situation the user can mend. Its text is one line: the thing, what is allowed, the next step."""
