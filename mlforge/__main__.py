"""The program `mlforge`: `python -m mlforge` is the same."""

from __future__ import annotations

from importlib import import_module

from mlforge.cli import interrupt


def main() -> None:
    """The entry point. Ctrl-C is told in one line, also while the commands are being loaded."""
    interrupt.end_at_once()
    import_module("mlforge.cli.streams").prepare()
    import_module("mlforge.cli.app").main()


if __name__ == "__main__":
    main()
