"""``python -m sweep``."""

import sys


def main() -> None:
    """Check that ``datasets`` is ours before anything imports it, then hand over to the command line."""
    import datasets  # noqa: PLC0415 - the check has to come before the other imports

    if getattr(datasets, "PROJECT", None) != "transfer-sweep":
        found = getattr(datasets, "__file__", None) or "a folder without __init__.py"
        print(
            f"error: `import datasets` finds another package ({found}): install transfer-sweep in a fresh environment "
            "(`make install`), or run from its folder",
            file=sys.stderr,
        )
        sys.exit(2)
    from sweep import reading  # noqa: PLC0415

    if sys.argv[1:2] and sys.argv[1] in reading.names():
        reading.refusing(reading.app)
    else:
        from sweep.cli import run_app  # noqa: PLC0415

        run_app()


if __name__ == "__main__":
    main()
