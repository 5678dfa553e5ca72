"""Spines as users give them: any Arrow frame, a lazy one, or the path of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import polars as pl

from mlforge.arrow import ArrowFrame
from mlforge.engines import frames
from mlforge.errors import InvalidSpine, did_you_mean, shown
from mlforge.flows.blocks import Blocks

Spine: TypeAlias = ArrowFrame | pl.LazyFrame | str | Path
# In bytes; one of thousands of columns is smaller.
_LARGEST_HEADER = 1 << 20
_BROKEN = "write it again: it is not whole, or not what its name says"


def _scan_csv(file: Path) -> pl.LazyFrame:
    """Types are those that all rows have; without any row there are none."""
    header = pl.read_csv(file, has_header=False, n_rows=1, infer_schema_length=0, glob=False)
    names = [name or "" for name in header.row(0)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidSpine(
            f"the spine {file} has the column {shown(twice)} twice",
            hint="give each column a name of its own",
        )
    rows = pl.scan_csv(file, try_parse_dates=True, infer_schema_length=None, glob=False)
    # Of its first rows alone Polars would not tell that they are broken.
    if file.stat().st_size < _LARGEST_HEADER and rows.collect().is_empty():
        return pl.LazyFrame(schema=dict.fromkeys(rows.collect_schema().names(), pl.Null))
    return rows


_SCANS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    ".parquet": lambda file: pl.scan_parquet(file, glob=False),
    ".csv": _scan_csv,
    **dict.fromkeys((".arrow", ".ipc", ".feather"), lambda file: pl.scan_ipc(file, glob=False)),
}


def file_of(spine: Spine) -> Path | None:
    """The file that a spine is read from, if it is one."""
    return Path(spine) if isinstance(spine, str | Path) else None


def read_spine(spine: Spine) -> pl.DataFrame:
    """A frame, or a Parquet, CSV or Arrow file, as Polars. Raises InvalidSpine."""
    with _told(spine):
        return _of_values(frames.collected(_opened(spine)))


def scan_spine(spine: Spine) -> Blocks:
    """The same in parts, of which few are in memory unless all are. Raises InvalidSpine."""
    with _told(spine):
        opened = _opened(spine)
        if not isinstance(opened, pl.LazyFrame):
            return Blocks.sliced(_of_values(frames.collected(opened)))
        blocks = Blocks.scanned(opened, _rows(spine, opened))
        _of_values(blocks.columns)

    def parts(rows: int) -> Iterator[pl.DataFrame]:
        with _told(spine):
            # A lazy frame's types may come out otherwise than it says.
            yield from map(_of_values, blocks.parts(rows))

    return replace(blocks, parts=parts)


def _of_values(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame, if its columns are values; objects of Python are only their addresses in Arrow."""
    names = [name for name, dtype in frame.schema.items() if dtype == pl.Object]
    if not names:
        return frame
    verb = "hold objects" if len(names) > 1 else "holds objects"
    dropped = ", ".join(f'"{name}"' for name in names)
    raise InvalidSpine(
        f"{shown(names)} of the spine {verb} of Python, which have no type that a file can hold",
        hint=f"give each value a type, as text, say, or leave it out: spine.drop({dropped})",
    )


def _rows(spine: Spine, opened: pl.LazyFrame) -> int | None:
    """What a file's footer says; None where it has none."""
    file = file_of(spine)
    if file is None or file.suffix.lower() == ".csv":
        return None
    return int(opened.select(pl.len()).collect().item())


def _opened(spine: Spine) -> ArrowFrame | pl.LazyFrame:
    if isinstance(spine, str | Path):
        path = Path(spine)
        scan = _SCANS.get(path.suffix.lower())
        if scan is None:
            raise InvalidSpine(
                f"the spine {path} is none of {', '.join(_SCANS)}", hint="write it as one of them"
            )
        # Another kind of file may never end, and none is read twice.
        if path.exists() and not path.is_file():
            raise InvalidSpine(f"the spine {path} is no file", hint="name a file")
        return scan(path)
    if not isinstance(spine, pl.LazyFrame) and not frames.speaks_arrow(spine):
        raise InvalidSpine(
            f"{_kind(spine)} is no Arrow frame",
            hint="pass a polars, pandas, pyarrow or duckdb frame, or a file's path",
        )
    return spine


@contextmanager
def _told(spine: Spine) -> Iterator[None]:
    """Errors of reading as InvalidSpine."""
    try:
        yield
    except (InvalidSpine, GeneratorExit):
        raise
    except FileNotFoundError as error:
        raise InvalidSpine(f"the spine {spine} is not there", hint=_nearest(spine)) from error
    except (Exception, pl.exceptions.PanicException) as error:
        if isinstance(spine, str | Path):
            # Below it Polars names parameters of its own.
            cause, hint = str(error).partition("\n")[0], _wanted(Path(spine))
            raise InvalidSpine(
                f"the spine {spine} cannot be read", cause=cause, hint=hint
            ) from error
        raise InvalidSpine(
            f"the spine, {_kind(spine)}, cannot be read as an Arrow frame",
            cause=f"{_where(spine)}{type(error).__name__}: {error}",
            hint="each column needs one type, and a name of its own",
        ) from error


def _nearest(spine: Spine) -> str | None:
    """The file that may have been meant, of those in the same folder."""
    file = file_of(spine)
    if file is None or not file.parent.is_dir():
        return None
    files = (path for path in file.parent.iterdir() if path.suffix.lower() in _SCANS)
    return did_you_mean(file.name, [path.name for path in files])


def _wanted(file: Path) -> str:
    if file.suffix.lower() == ".csv":
        return (
            "a header and lines of as many fields, with commas between them, quotes in pairs, UTF-8"
        )
    return _BROKEN


def _where(spine: ArrowFrame | pl.LazyFrame) -> str:
    """The columns of a pandas frame that cannot be read, which no error of reading names."""
    names = list(getattr(spine, "columns", ())) if "pandas" in _kind(spine) else []
    if len({*names}) < len(names):
        return ""
    misfits = [str(name) for name in names if not _is_read(spine[[name]])]  # type: ignore[index, arg-type]
    return f"column {shown(misfits)}: " if misfits else ""


def _is_read(column: ArrowFrame) -> bool:
    try:
        frames.collected(column)
    except (TypeError, ValueError, ArithmeticError, NotImplementedError, pl.exceptions.PolarsError):
        return False
    return True


def _kind(value: object) -> str:
    kind = type(value)
    return f"a {kind.__qualname__} of {kind.__module__.partition('.')[0]}"
