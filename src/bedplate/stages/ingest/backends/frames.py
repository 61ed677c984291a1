"""Files as one lazy Polars frame, by what their names end in.

Choices: every form that Polars scans stays lazy, so that a folder larger than memory passes through; Avro and ORC are read whole (nobody
scans them). Columns are put together by name, and by the wider of two types; a column that a file lacks is null there.
Limits: the types of a CSV or JSON-lines file are guessed from its first 10,000 rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from bedplate.core import extras
from bedplate.core.errors import UserError

_GUESS = 10_000
_PACKED = (".gz", ".zst", ".zlib")


def _csv(path: Path, separator: str = ",") -> pl.LazyFrame:
    return pl.scan_csv(path, separator=separator, try_parse_dates=True, infer_schema_length=_GUESS)


def _tsv(path: Path) -> pl.LazyFrame:
    return _csv(path, "\t")


def _lines(path: Path) -> pl.LazyFrame:
    return pl.scan_ndjson(path, infer_schema_length=_GUESS)


def _parquet(path: Path) -> pl.LazyFrame:
    return pl.scan_parquet(path)


def _arrow(path: Path) -> pl.LazyFrame:
    return pl.scan_ipc(path)


def _avro(path: Path) -> pl.LazyFrame:
    return pl.read_avro(path).lazy()


def _orc(path: Path) -> pl.LazyFrame:
    frame = pl.from_arrow(extras.load("pyarrow.orc", "an ORC file", "pandas").read_table(path))
    return (frame if isinstance(frame, pl.DataFrame) else frame.to_frame()).lazy()


FORMS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    ".csv": _csv, ".tsv": _tsv, ".jsonl": _lines, ".ndjson": _lines, ".parquet": _parquet, ".pq": _parquet,
    ".arrow": _arrow, ".ipc": _arrow, ".feather": _arrow, ".avro": _avro, ".orc": _orc,
}  # fmt: skip
"""Ending -> what reads it."""
_MAY_BE_PACKED = frozenset({_csv, _tsv, _lines})


def frame(paths: Sequence[Path]) -> pl.LazyFrame:
    """See `core.sources.Reader.frame`."""
    if not paths:
        raise UserError("there is no file to read", why="source.new() gave none", next="return early, or read source.paths")
    forms = {_form(path) for path in paths}
    if len(forms) > 1:
        kinds = sorted({"".join(path.suffixes[-2:]) for path in paths})
        raise UserError(f"the files are of several forms: {', '.join(kinds)}", next="a source for each, or read them one by one")
    read = forms.pop()
    found = [_opened(read, path) for path in paths]
    return found[0] if len(found) == 1 else pl.concat(found, how="diagonal_relaxed")


def broken(paths: Sequence[Path], error: Exception) -> UserError | None:
    """See `core.sources.Reader.broken`: a scan is lazy, and says where in a file it failed, but not in which."""
    if not isinstance(error, pl.exceptions.ComputeError):
        return None
    for path in paths:
        try:
            _opened(_form(path), path, whole=True)
        except UserError as found:
            return found
    return None


def _form(path: Path) -> Callable[[Path], pl.LazyFrame]:
    endings = [ending.lower() for ending in path.suffixes]
    packed = bool(endings) and endings[-1] in _PACKED
    read = FORMS.get(endings[-2] if packed and len(endings) > 1 else endings[-1] if endings else "")
    if read is None or (packed and read not in _MAY_BE_PACKED):
        raise UserError(
            f"{path.name} is of no form that is read here",
            why=f"known endings: {', '.join(FORMS)}; {', '.join(_PACKED)} after those of text",
            next="read source.paths with a library of your own",
        )
    return read


def _opened(read: Callable[[Path], pl.LazyFrame], path: Path, *, whole: bool = False) -> pl.LazyFrame:
    """The file as a frame, seen to begin as it should, or with `whole` to be so to its end."""
    try:
        found = read(path)
        found.collect_schema()
        if whole:
            found.select(pl.all().count()).collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        why = str(error).strip().splitlines()
        raise UserError(f"{path.name} cannot be read as {path.suffix[1:]}", why=why[0] if why else "", next="look at the file") from error
    return found
