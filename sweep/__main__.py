"""``python -m sweep``."""

from transfer_sweep.sweep.cli.main import run_app

if __name__ == "__main__":
    run_app()
