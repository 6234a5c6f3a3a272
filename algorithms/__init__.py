"""Transfer-learning methods: no Ray, no file paths, no global state."""

import transfer_sweep

transfer_sweep.refuse_bare(__name__)
