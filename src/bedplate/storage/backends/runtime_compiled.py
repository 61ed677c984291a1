"""Compiled trees: a boosted or averaged ensemble as machine code, made by Treelite and the machine's C compiler.

Most ensembles become tables and the short code over them (`trees.c`); the others (text categories, several classes) nested comparisons
that TL2cgen writes, with a small loop of ours that calls them for each row. Either way one call answers a whole matrix without anything
of Python between its rows, in the model's own precision, and serving needs the shared library alone: neither Treelite nor the framework.

Limit: TL2cgen marks a missing value by the lower half of its float64; a number that happens to have those bits is moved by one unit in
its last place.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import shutil
import struct
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bedplate.core import digests
from bedplate.core.errors import CorruptError, UserError
from bedplate.storage.runtimes import Call, Source

LIBRARY, ABOUT = "model.so", "about.json"
_TIMEOUT_S: Final = 600.0
_FLAGS: Final = ("-O2", "-ftree-vectorize", "-shared", "-fPIC", "-std=gnu99", "-fvisibility=hidden", "-ffp-contract=off", "-w")
_CLONES: Final = "-DCLONES=1"
"""The code for several generations of processors, chosen where it is loaded; not every compiler and machine knows how."""
_LOOP: Final = """
#include "header.h"

__attribute__((visibility("default")))
void predict_rows(const double* rows, int64_t count, double* out) {{
  union Entry entry[{width}];
  {leaf} result[{outputs}];
  for (int64_t at = 0; at < count; ++at, rows += {width}, out += {outputs}) {{
    for (int column = 0; column < {width}; ++column) {{
      const double value = rows[column];
      if (value != value) {{
        entry[column].missing = -1;
      }} else {{
        entry[column].fvalue = ({threshold})value;
        if (entry[column].missing == -1) {{ entry[column].missing = -2; }}
      }}
    }}
    for (int k = 0; k < {outputs}; ++k) {{ result[k] = 0; }}
    predict(entry, 0, result);
    for (int k = 0; k < {outputs}; ++k) {{ out[k] = (double)result[k]; }}
  }}
}}
"""


class Compiled:
    """The runtime."""

    def prepare(self, source: Source, folder: Path) -> None:
        """Write C, compile it, keep the library. Raises UserError without a compiler, or for a model that Treelite does not take."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise UserError("compiling trees needs a C compiler", why="neither cc, gcc nor clang is on the path", next="apt install gcc")
        code = folder / "code"
        about = importlib.import_module(f"{__package__}.trees_to_c").written(source, code)
        if "threshold" in about:
            (code / "rows.c").write_text(_LOOP.format(**about))
        command = [compiler, *_FLAGS, "-o", str(folder / LIBRARY), *map(str, sorted(code.glob("*.c"))), "-lm"]
        try:
            _compile([*command, _CLONES])
        except UserError:
            _compile(command)
        (folder / ABOUT).write_text(json.dumps({**about, "digest": digests.of_file(folder / LIBRARY)}))
        shutil.rmtree(code)

    def open(self, source: Source, folder: Path) -> Call:
        """The library's call. Raises CorruptError where it is none."""
        try:
            about = json.loads((folder / ABOUT).read_text())
            if digests.of_file(folder / LIBRARY) != about["digest"]:
                raise ValueError("the library is not the one that was made")
            one, many = (_declared(kind(str(folder / LIBRARY))) for kind in (ctypes.PyDLL, ctypes.CDLL))
            return Library(one, many, int(about["width"]), int(about["outputs"]), flat=bool(about["flat"]))
        except (OSError, AttributeError, ValueError, KeyError) as error:
            raise CorruptError("compiled trees cannot be loaded", why=str(error)[:300], next="bedplate optimise makes them anew") from None


class Library:
    """Compiled trees that are loaded; may be called from several threads. `of_numbers` is there where a row has one number for an answer.

    `many` lets other threads of Python go on meanwhile, `one` does not: a row takes microseconds, and whoever takes the interpreter
    meanwhile (the log's thread) gives it back after a hundred times that.
    """

    def __init__(self, one: Any, many: Any, width: int, outputs: int, *, flat: bool) -> None:
        self._call = one
        self._many = many
        self._width = width
        self._outputs = outputs
        self._flat = flat
        self._local = threading.local()
        self._pack = struct.Struct(f"{width}d").pack_into
        self.of_numbers = self._one if outputs == 1 else None

    def __call__(self, matrix: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Predict for rows of numbers; where the framework tells one number of two classes, that of the second."""
        if matrix.ndim != 2 or matrix.shape[1] != self._width:
            raise UserError(f"the model takes {self._width} columns", why=f"it was given {' x '.join(map(str, matrix.shape))}")
        count = len(matrix)
        if count == 1:
            buffers = self._buffers()
            buffers.given[...] = matrix
            self._call(buffers.given_at, 1, buffers.made_at)
            out = buffers.made.copy()
        else:
            given = np.ascontiguousarray(matrix, dtype=np.float64)
            out = np.empty(count * self._outputs)
            self._many(given.ctypes.data, count, out.ctypes.data)
        if self._outputs == 1:
            return out
        made = out.reshape(count, self._outputs)
        return made[:, -1] if self._flat else made

    def _one(self, values: Sequence[float]) -> Any:
        """The answer for one row of plain numbers, without an array of its own. Raises OverflowError for one that no float holds."""
        buffers = self._buffers()
        try:
            self._pack(buffers.room, 0, *values)
        except struct.error:
            raise OverflowError from None
        self._call(buffers.given_at, 1, buffers.made_at)
        return buffers.made[0]

    def _buffers(self) -> _Buffers:
        try:
            found: _Buffers = self._local.buffers
        except AttributeError:
            found = self._local.buffers = _Buffers(self._width, self._outputs)
        return found


def _declared(library: ctypes.CDLL) -> Any:
    call = library.predict_rows
    call.argtypes, call.restype = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p), None
    return call


class _Buffers:
    """One thread's row and its answer, and where they are."""

    __slots__ = ("given", "given_at", "made", "made_at", "room")

    def __init__(self, width: int, outputs: int) -> None:
        self.room = bytearray(8 * width)
        self.given, self.made = np.frombuffer(self.room, dtype=np.float64), np.empty(outputs)
        self.given_at, self.made_at = self.given.ctypes.data, self.made.ctypes.data


def _compile(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(
            "the compiler did not end", why=f"it was given {_TIMEOUT_S:.0f} s", next="prune or distil the model first"
        ) from None
    if done.returncode != 0:
        raise UserError("the trees could not be compiled", why=done.stderr.strip()[:500] or f"exit code {done.returncode}")


RUNTIME = Compiled()
