"""Manifest: the time of parsing one, beside that of `json.loads` of the same bytes.

    python benchmarks/manifest.py

Prints microseconds, the least of many runs, and their ratio. A manifest is decoded, checked and
encoded again, which is how it is known to be what mlforge writes. Aim: under 100 microseconds.
"""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mlforge.manifest import Manifest
from mlforge.schema import Column
from mlforge.types import DataType

GOLDEN = Path(__file__).parents[1] / "tests/golden/manifest.json"


def microseconds(run: Callable[[], object]) -> float:
    return min(timeit.repeat(run, number=200, repeat=25)) / 200 * 1e6


def manifests() -> dict[str, bytes]:
    data = GOLDEN.read_bytes()
    manifest = Manifest.decode(data, "golden")
    columns = [Column(f"x{n}", DataType.parse("float64")) for n in range(40)]
    schema = replace(manifest.schema, columns=(*manifest.schema.columns, *columns))
    return {
        f"{len(manifest.schema.columns)} columns": data,
        f"{len(schema.columns)} columns": replace(manifest, schema=schema).encode(),
    }


def main() -> None:
    print(f"{'manifest':16}{'bytes':>8}{'json us':>10}{'manifest us':>14}{'ratio':>8}{'aim us':>9}")
    for name, data in manifests().items():
        plain = microseconds(lambda data=data: json.loads(data))
        parsed = microseconds(lambda data=data: Manifest.decode(data, "golden"))
        print(f"{name:16}{len(data):8,}{plain:10.1f}{parsed:14.1f}{parsed / plain:8.1f}{100:9}")


if __name__ == "__main__":
    main()
