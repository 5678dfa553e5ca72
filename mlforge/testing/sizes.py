"""Sizes: how much a suite does; who wants another size sets it before the suite is imported."""

ORACLE_EXAMPLES = 200
LEAK_EXAMPLES = 100
ONLINE_ROWS = 20_000
# Chooses the examples.
SEED = 20240501
