"""Boundary: where a command ends. What went wrong becomes words on stderr and an exit code."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, redirect_stdout, suppress
from typing import Protocol

import typer
from typer.core import TyperCommand, TyperGroup

from mlforge.cli import interrupt
from mlforge.cli.render import Screen
from mlforge.cli.streams import flush
from mlforge.errors import InvalidUsage, MlforgeError, StorageFailed

# As a shell tells that SIGPIPE ended git: whoever read has read enough.
PIPE_CLOSED = 141
# ClickException: Typer brings its own Click, or takes the one that is installed; both have this.
_Refused: type[Exception] = typer.BadParameter.__mro__[2]
_DISK_HINT = "check free space and permissions, then run the same command again"


class Formatter(Protocol):
    """What lays out a help text."""

    width: int
    write_dl: Callable[..., None]

    def section(self, name: str) -> AbstractContextManager[None]: ...


class Helpful(TyperCommand):
    """A command whose help says what is typed, and fits a narrow terminal."""

    def collect_usage_pieces(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Brackets around what may be left out, whatever marks this version of Typer makes."""
        arguments = [p for p in self.params if p.param_type_name == "argument"]
        typed = [(str(getattr(p, "metavar", None) or p.name).upper(), p) for p in arguments]
        return ["[OPTIONS]", *(name if p.required else f"[{name}]" for name, p in typed)]

    def format_help(self, ctx: typer.Context, formatter: Formatter) -> None:  # type: ignore[override]
        _fit(formatter)
        super().format_help(ctx, formatter)  # type: ignore[arg-type]


class Command(Helpful):
    """A command whose data is its own: what user code prints while it runs goes to stderr."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        with redirect_stdout(sys.stderr):
            return super().invoke(ctx)


class Group(TyperGroup):
    """All commands. Every way to end is an exit code; only mlforge's own bugs show a traceback."""

    # Typer hands its own Context to every group, and types it as the vendored base class.
    def main(self, *arguments: object, **named: object) -> object:
        named |= {"prog_name": "mlforge", "standalone_mode": False}
        run = super().main
        raise SystemExit(_ended(lambda: run(*arguments, **named)))  # type: ignore[arg-type]

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except (MlforgeError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise typer.Exit(PIPE_CLOSED) from error
            told = error if isinstance(error, MlforgeError) else _of_the_disk(error, "the disk")
            screen = ctx.obj if isinstance(ctx.obj, Screen) else Screen()
            screen.error(told)
            raise typer.Exit(told.exit_code) from error

    def format_help(self, ctx: typer.Context, formatter: Formatter) -> None:  # type: ignore[override]
        _fit(formatter)
        super().format_help(ctx, formatter)  # type: ignore[arg-type]

    def format_commands(self, ctx: typer.Context, formatter: Formatter) -> None:  # type: ignore[override]
        """Commands by task, each line whole: pipes and files get this one."""
        for panel in dict.fromkeys(panel for panel, _, _ in self._shown()):
            with formatter.section(panel):
                formatter.write_dl(
                    [(name, help) for at, name, help in self._shown() if at == panel]
                )

    def _shown(self) -> Iterator[tuple[str, str, str]]:
        for name, command in self.commands.items():
            if not command.hidden:
                panel = getattr(command, "rich_help_panel", None)
                yield str(panel or "Commands"), name, command.get_short_help_str(limit=200)


def _fit(formatter: Formatter) -> None:
    """Help as wide as the terminal; left alone it takes 50 columns, and 30 for what is typed."""
    room, most = shutil.get_terminal_size().columns - 2, 30
    if room < formatter.width:
        formatter.width, most = room, 12
    write = formatter.write_dl

    def write_dl(rows: Sequence[tuple[str, str]]) -> None:
        # An argument's type says nothing that its help does not.
        named = [(n if n[0] == "-" else n.partition(" <")[0], help) for n, help in rows]
        write(named, col_max=most)

    formatter.write_dl = write_dl


def _ended(run: Callable[[], int | None]) -> int:
    """Run a command to its end, and tell what was not told yet."""
    try:
        interrupt.unwind()
        try:
            code = run()
        finally:
            flush()
        # Typer turns Ctrl-C into this code, and says nothing.
        return _interrupted() if code == interrupt.EXIT_CODE else int(code or 0)
    except KeyboardInterrupt:
        return _interrupted()
    except SystemExit as end:
        # Typer ends so when a pipe closes under its help, and after it has completed a word.
        if isinstance(end.__context__, BrokenPipeError):
            return PIPE_CLOSED
        raise
    except BrokenPipeError:
        return PIPE_CLOSED
    except OSError as error:
        return _told(_of_the_disk(error, "standard output"))
    except _Refused as error:
        return _refusal(error)
    except Exception as error:  # noqa: BLE001  a bug's traceback, too, goes without secrets
        with suppress(OSError):
            Screen().crash(error)
        return 1


def _interrupted() -> int:
    interrupt.end_quietly()
    with suppress(OSError):
        Screen().message(interrupt.WORDS)
    return interrupt.EXIT_CODE


def _told(error: MlforgeError) -> int:
    # Where stderr cannot be written to either, the exit code says it all.
    with suppress(OSError):
        Screen(is_debug=os.environ.get("MLFORGE_DEBUG") == "1").error(error)
    return error.exit_code


def _of_the_disk(error: OSError, otherwise: str) -> StorageFailed:
    """The last resort for a disk that refuses."""
    place = error.filename or otherwise
    return StorageFailed(f"{place}: {error.strerror or error}", hint=_DISK_HINT)


def _refusal(error: Exception) -> int:
    """What was typed is no command; or nothing was typed, which shows the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # type: ignore[attr-defined]
        return 2
    text: str = error.format_message()  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "mlforge"
    message = (text[:1].lower() + text[1:]).rstrip(".").replace("Value error, ", "")
    more = re.search(r"unexpected extra argument(?:s|\(s\))? \((.+)\)", message)
    meant = _meant(context, more[1].split()) if context and more else None
    return _told(InvalidUsage(message, hint=f"{path} {meant or '--help'}"))


def _meant(context: typer.Context, words: Sequence[str]) -> str | None:
    """What a feature, or a version, that was typed as an argument too many stands for."""
    parameters = {str(parameter.name): parameter for parameter in context.command.params}
    arguments = [p for p in parameters.values() if p.param_type_name == "argument"]
    if "features" in parameters and not arguments:
        return f"-f {shlex.quote(','.join(words))}"
    feature = context.params.get("feature")
    takes_reference = getattr(parameters.get("feature"), "metavar", None) == "FEATURE[@REF]"
    if takes_reference and isinstance(feature, str) and "@" not in feature and len(words) == 1:
        return shlex.quote(f"{feature}@{words[0]}")
    return None
