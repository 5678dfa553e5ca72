"""Configuration page: `docs/reference/configuration.md` and the JSON Schema, from the settings."""

from __future__ import annotations

import json

from mlforge.settings import SETTINGS, json_schema

_HEAD = """\
<!-- Made from mlforge/settings.py by `make docs-reference`. -->
# Configuration

A project needs none: a folder with `features.py` in a git repository is one. What differs from the
defaults stands in `mlforge.toml`, or in `pyproject.toml` below `[tool.mlforge]`. The nearest one at
or above the current folder counts; `mlforge -C DIR` looks from another folder. If a folder has
both, `mlforge.toml` counts alone.

```toml
default_profile = "default"

[project]
name = "shop"
definitions = "features"

[profiles.default.offline_store]
path = "feature_store"

[profiles.shared.offline_store]
path = "feature_store"
objects = "${SHOP_OBJECTS:-/mnt/shop/objects}"

[profiles.shared.online_store]
kind = "redis"
url = "rediss://mirror:${REDIS_PASSWORD}@redis.example:6379/0"

[git]
require_clean = true
```

A flag goes before a variable, a variable before the file, and the file before the default. A key
that is not in this table, or a value of a wrong type, is an error: all of them are told at once,
with file and line (`mlforge explain MLF0901`).

## Settings

`*` stands for the name of a profile.

| key | variable | is | default | means |
|---|---|---|---|---|
"""
_TAIL = """
## Profiles

A profile says where things are: on this machine, on a shared disk. `mlforge --profile NAME` chooses
one, else `MLFORGE_PROFILE`, else `default_profile`. The profile `default` is always there, and
needs no server. Variables of `offline_store` and `online_store` count for the profile that is
chosen. Definitions that name a store themselves cannot be run with a profile that is named.

`online_store` is where [rows are served from](../guides/serving.md): a file unless its `kind` is
`redis`. Its keys are read when something is pushed, served or looked at there, so who only builds
needs none of its variables. A password may stand in `url`, but a file is committed: write
`${NAME}`. Whatever mlforge prints or logs has none. `ttl` and `grace` are
[durations](../semantics.md#time), `0s` among them. A file of SQLite lies beside the objects in
git's own folder: linked work trees share it, other stores of the repository have their own, at
`mlforge/online/FOLDER.db`.

`objects` moves the Parquet files out of git's own folder, say to a larger disk. Outside of `.git`
the folder gets a `.gitignore` that hides it from git.

## Variables in values

`${NAME}` in a text is the variable's value; `${NAME:-default}` has a default for a variable that is
not set or empty. A variable that is not set is an error, but only where it is needed: other
profiles may use variables that you do not have.

## Other variables

| variable | means |
|---|---|
| `MLFORGE_DEBUG` | `1` is `--debug`: errors show a traceback, without values of variables |
| `NO_COLOR` | no colours, whatever else is set |
| `FORCE_COLOR` | colours in a pipe, too |
| `TERM` | `dumb`: no colours, no progress line, no boxes |
| `COLUMNS` | the width of help texts |

## For editors

[config.schema.json](config.schema.json) is the JSON Schema of `mlforge.toml`. Editors that know
TOML complete and check by it, if the file's first line names a copy of it:

```toml
#:schema ./config.schema.json
```
"""


def configuration_page() -> str:
    """docs/reference/configuration.md."""
    rows = []
    for setting in SETTINGS:
        kind = "`true`, `false`" if setting.is_flag else "text"
        allowed = ", ".join(f'`"{choice}"`' for choice in setting.choices) or kind
        default = setting.default if "`" in setting.default or " " in setting.default else None
        shown = default or f"`{setting.default}`"
        cells = [f"`{setting.name}`", f"`{setting.variable}`", allowed, shown, setting.meaning]
        rows.append("| " + " | ".join(cells) + " |\n")
    return _HEAD + "".join(rows) + _TAIL


def configuration_schema() -> str:
    """docs/reference/config.schema.json."""
    return json.dumps(json_schema(), indent=2) + "\n"
