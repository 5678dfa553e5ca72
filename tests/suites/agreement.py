"""Agreement: in a process of its own, what each engine makes of every feature of a file.

    python -m tests.suites.agreement FEATURES DATA

Prints a line of JSON: by feature, the content, the horizon and the counts of each engine.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from mlforge.content import hash_content
from mlforge.definitions.feature import Feature, parse, recorded_in
from mlforge.engines.base import Engine
from mlforge.engines.duckdb import DuckDBEngine
from mlforge.engines.polars import PolarsEngine
from mlforge.flows.sources import find_files
from mlforge.testing.engines import run


def features_of(file: Path) -> list[Feature]:
    spec = spec_from_file_location("agreed", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["agreed"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    parsed = [parse(declaration)[0] for declaration in recorded_in(module)]
    return [feature for feature in parsed if feature is not None]


def made(engine: Engine, feature: Feature, root: Path) -> list[object]:
    built = run(engine, feature, find_files(feature.source, root, feature.name))
    content = hash_content(built.rows, built.schema).hash
    return [str(content), built.horizon, built.excluded, built.rows.num_rows]


def main(file: str, root: str) -> None:
    # As many as Polars takes from its variable: blocks are computed by threads of ours, too.
    os.cpu_count = lambda: int(os.environ.get("POLARS_MAX_THREADS", "2"))
    engines: list[Engine] = [PolarsEngine(), DuckDBEngine(megabytes=256)]
    found = {
        feature.name: {engine.name: made(engine, feature, Path(root)) for engine in engines}
        for feature in features_of(Path(file))
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
