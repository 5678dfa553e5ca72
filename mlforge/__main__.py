"""`python -m mlforge` is `mlforge`."""

from mlforge.cli.app import main

main()
