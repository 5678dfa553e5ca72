"""Generate: the pages of `docs/reference` that are made from the code. `make docs-reference`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol, cast

import typer.main

from mlforge.cli.app import app
from mlforge.errors import MlforgeError
from mlforge.flows.explain import Explanation, explanations

SECTIONS = {
    "01": "Declarations",
    "02": "References and names",
    "03": "Sources and data",
    "04": "Builds",
    "05": "Joins",
    "06": "History",
    "07": "Objects",
    "08": "Online stores",
    "09": "Configuration",
}
_HEAD = """\
<!-- Made from mlforge/errors.py by `make docs-reference`. -->
# Errors

An error says what is wrong, why, and what to type. It has a code that never changes.
`mlforge explain MLF0702` prints its entry of this page; `mlforge explain` lists all codes.

## Exit codes

| code | means |
|---|---|
| 0 | success |
"""


_CLI_HEAD = """\
<!-- Made from mlforge/cli by `make docs-reference`. -->
# Command line

Each command's `--help` says what is here. Configuration is found upwards from the current folder.
Data goes to stdout, messages to stderr; in a pipe there are no colours.
`mlforge --install-completion` teaches bash, zsh or fish the commands, options, and names and
versions of your features.

Wherever a `NAME` or `FEATURE@REF` is asked for, a [reference](../semantics.md#names) will do.
"""
_CLI_EXITS = """
## Exit codes

Every command ends with one of these. An [error](errors.md) says which, and why.

| code | means |
|---|---|
| 0 | success |
"""
# Where a code means something of the command's own, and its help does not say so.
EXITS: Mapping[str, Mapping[int, str]] = {
    "build": {
        1: "a feature failed; it keeps its head, and the others are committed",
        6: "with `--online`: it is built and committed, and the online store cannot be reached",
    },
    "validate": {1: "a validator does not hold"},
    "diff": {1: "with `--exit-code`: something differs"},
    "reproduce": {1: "something differs, or what is here does not give the rows"},
}


class _Parameter(Protocol):
    """What Typer knows of an option or an argument."""

    name: str
    param_type_name: str
    opts: Sequence[str]
    metavar: str | None
    default: object
    help: str
    required: bool
    hidden: bool


class _Command(Protocol):
    """What Typer knows of a command."""

    name: str
    help: str
    params: Sequence[_Parameter]
    hidden: bool
    rich_help_panel: str


class _Group(_Command, Protocol):
    commands: Mapping[str, _Command]


def cli_page() -> str:
    """docs/reference/cli.md."""
    group = cast("_Group", typer.main.get_command(app))
    shown = list(commands_of(group))
    page = _CLI_HEAD + "\n## Options of every command\n\nThey stand before the command.\n"
    page += "".join(_parameters(group))
    for panel in dict.fromkeys(panel for _, panel, _ in shown):
        chosen = [(name, command) for name, at, command in shown if at == panel]
        page += f"\n## {panel}\n" + "".join(part for c in chosen for part in _command(*c))
    return page + _CLI_EXITS + _exit_rows()


def commands_of(group: _Group) -> Iterator[tuple[str, str, _Command]]:
    """What is typed after `mlforge`, the panel, and the command, of all that are shown."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        inner = getattr(command, "commands", None)
        for more, found in {"": command}.items() if inner is None else inner.items():
            yield f"{name} {more}".strip(), command.rich_help_panel, found


def _command(name: str, command: _Command) -> Iterator[str]:
    summary, *more = command.help.split("\n\n")
    yield f"\n### mlforge {name}\n\n`mlforge {name}{_usage(command)} [OPTIONS]`\n"
    yield f"\n{summary}.\n"
    for paragraph in more:
        said, _, example = paragraph.partition("Example: ")
        yield f"\n{said.strip()}\n" if said.strip() else ""
        yield f"\n```bash\n{' '.join(example.split())}\n```\n" if example else ""
    yield from _parameters(command)
    exits = [f"{code}: {meaning}" for code, meaning in EXITS.get(name, {}).items()]
    yield f"\nExit {'; '.join(exits)}.\n" if exits else ""


def _usage(command: _Command) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument" and not p.hidden]
    values = [_value(p) if p.required else f"[{_value(p)}]" for p in arguments]
    return "".join(f" {value}" for value in values)


def _parameters(command: _Command) -> Iterator[str]:
    yield "\n| | |\n|---|---|\n"
    for parameter in command.params:
        if parameter.hidden or parameter.name in ("install_completion", "show_completion"):
            continue
        is_option = parameter.param_type_name == "option"
        spelled = ", ".join(f"`{spelling}`" for spelling in parameter.opts if is_option)
        if not getattr(parameter, "is_flag", False):
            spelled = f"{spelled} `{_value(parameter)}`".strip()
        notes = " (required)" if is_option and parameter.required else ""
        if isinstance(parameter.default, Enum):
            notes = f" (`{parameter.default.value}` unless said)"
        yield f"| {_cell(spelled)} | {_cell(parameter.help + notes)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _value(parameter: _Parameter) -> str:
    """What stands for the value: its choices, its metavar, or its name."""
    if isinstance(parameter.default, Enum):
        return "|".join(str(member.value) for member in type(parameter.default))
    value = parameter.metavar or parameter.name.upper()
    return value[1:-1] if value[0] in "[{" else value


def errors_page() -> str:
    """docs/reference/errors.md."""
    page = _HEAD + _exit_rows()
    found = explanations()
    for number, title in SECTIONS.items():
        chosen = [explanation for explanation in found if explanation.code[3:5] == number]
        page += f"\n## {title}\n" + "".join(_entries(chosen)) if chosen else ""
    return page


def _exit_rows() -> str:
    branches = {cls.exit_code: _first_line(cls) for cls in MlforgeError.__subclasses__()}
    lines = [f"| {code} | {meaning} |" for code, meaning in sorted(branches.items())]
    lines += ["| 130 | Ctrl-C |", "| 141 | whoever reads the output has gone away |"]
    return "\n".join(lines) + "\n"


def _entries(explanations: Iterable[Explanation]) -> Iterable[str]:
    for e in explanations:
        yield f"\n### {e.code} {e.name}\n\nExit {e.exit_code}. {e.meaning}\n"
        if e.remedy:
            yield f"\n{e.remedy}\n"


def _first_line(cls: type[MlforgeError]) -> str:
    return (cls.__doc__ or "").partition("\n")[0].rstrip(".")


if __name__ == "__main__":
    page = Path(__file__).parent / "reference" / "errors.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text(errors_page(), encoding="utf-8")
    page.with_name("cli.md").write_text(cli_page(), encoding="utf-8")
    # A file beside this one, which is on the path only while this one is run.
    from api_page import api_page

    page.with_name("api.md").write_text(api_page(), encoding="utf-8")
    from configuration_page import configuration_page, configuration_schema

    page.with_name("configuration.md").write_text(configuration_page(), encoding="utf-8")
    page.with_name("config.schema.json").write_text(configuration_schema(), encoding="utf-8")
