"""Saving tables: rows pass once through digest, encoding and files, then one commit makes them a version.

Overwriting writes all rows anew. Appending adds rows after the prior version's: the digest is that of the whole, as if it had been
written at once, for which the rows after the prior's last full block are read again; and small files at the end are written
together with the new rows, so that a table appended to n times has about log(n) small files.

A part of a table made `each=` is written but not committed; `combine` commits the files of all parts at once.

Where the digest is that of the prior version nothing is committed and the draft names the prior's own bytes; files of it that are gone
are made again under their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from bedplate.core import digests
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.records import Draft, Version
from bedplate.storage import folders, tables
from bedplate.storage.bucket import Bucket
from bedplate.storage.shelf import Save

from . import delta, parquet
from .expectations import checked
from .features_keys import check_rows, check_spec
from .parquet import PartFile
from .place import Place
from .table_digest import ALGORITHM, Mark, TableDigest
from .table_source import source
from .table_types import Codec, describe


def save(root: Path, request: Save, bucket: Bucket | None = None) -> Draft:
    """Write the request's frame as a version; see `TableShelf.save`."""
    schema, batches = source(request.value)
    if request.expects is not None:
        schema, batches = _expected(root, request, schema, batches)
    if request.append and request.prior is not None:
        schema, batches = _aligned(schema, batches, Codec.read(request.prior.schema).schema)
    codec = Codec.of(schema)
    if request.spec is not None:
        check_spec(request.artifact, schema, request.spec)
        batches = (check_rows(request.artifact, batch, request.spec) for batch in batches)
    if request.append and request.prior is not None:
        return _Appending(root, request, codec, bucket, request.prior).run(batches)
    return _Saving(root, request, codec, bucket).run(batches)


def _expected(root: Path, request: Save, schema: pl.Schema, batches: Iterator[pl.DataFrame]) -> tuple[pl.Schema, Iterator[pl.DataFrame]]:
    frame = pl.concat([schema.to_frame(), *batches])
    return source(checked(root, request.artifact, request.attempt, frame, request.expects))


def combine(root: Path, artifact: str, parts: Mapping[str, Version], attempt: str, bucket: Bucket | None = None) -> Draft:
    """One version of the rows of all parts, in the order of their keys, without writing a row again."""
    keys = sorted(parts)
    codec = Codec.read(parts[keys[0]].schema)
    for key in keys[1:]:
        _check_same(f"{artifact}[{key}]", codec, Codec.read(parts[key].schema), f"{artifact}[{keys[0]}]")
    place = Place(root, tables.uri_of(artifact), bucket)
    files = [file for key in keys for file in kept(parts[key])]
    digest = digests.of_parts((key, parts[key].digest) for key in keys)
    version = delta.commit(place, codec.stored, files, {delta.ATTEMPT: attempt, delta.DIGEST: digest})
    return Draft(
        artifact=artifact, kind="table", digest=digest, uri=tables.uri_of(artifact), table_version=version, schema=codec.text(),
        rows=sum(parts[key].rows or 0 for key in keys), size_bytes=sum(file.size for file in files),
        meta={
            "files": _listed(files),
            "digest": ALGORITHM,
            "parts": [[key, parts[key].digest, len(kept(parts[key]))] for key in keys],
        },
    )  # fmt: skip


def digest_of(version: Draft, paths: list[Path]) -> str:
    """The digest of a committed version's rows, read again. Raises CorruptError where they cannot be."""
    codec = Codec.read(version.schema)
    try:
        if "parts" not in version.meta:
            return _read(codec, paths)
        found, start = [], 0
        for key, _, count in version.meta["parts"]:
            found.append((key, _read(codec, paths[start : start + count])))
            start += count
        return digests.of_parts(found)
    except pl.exceptions.PolarsError as error:
        raise CorruptError(f"the files of table {version.artifact} cannot be read", why=str(error), next="bedplate doctor") from error


def _read(codec: Codec, paths: list[Path]) -> str:
    digest = TableDigest(codec.schema)
    for frame in parquet.frames(paths):
        digest.update(codec.decode(frame.lazy()).collect())
    return digest.finish()[0]


class _Saving:
    """One overwrite."""

    def __init__(self, root: Path, request: Save, codec: Codec, bucket: Bucket | None, mark: Mark | None = None, first: int = 0) -> None:
        self.uri = tables.uri_of(request.artifact)
        self.place = Place(root, self.uri, bucket)
        self.folder = self.place.folder
        self.request = request
        self.codec = codec
        self.digest = TableDigest(codec.schema, mark)
        self.writer = parquet.Writer(self.folder, request.attempt, codec.stored, first)
        self.committing = False

    def run(self, batches: Iterator[pl.DataFrame]) -> Draft:
        try:
            self.write(batches)
            files = self.writer.finish()
            digest, mark = self.digest.finish()
            prior = self.request.prior
            if prior is not None and prior.digest == digest and prior.uri == self.uri and self.stands(prior, files):
                self.writer.discard()
                return self.draft(prior.digest, prior.table_version, kept(prior), mark)
            marks = {delta.ATTEMPT: self.request.attempt, delta.DIGEST: digest}
            return self.commit(digest, mark, files, marks)
        except BaseException:
            if not self.committing or not delta.carries(self.place, self.request.attempt):
                self.writer.discard()
            raise

    def write(self, batches: Iterator[pl.DataFrame]) -> None:
        for batch in batches:
            self.digest.update(batch)
            self.writer.add(self.codec.encode(batch))

    def commit(self, digest: str, mark: Mark, files: list[PartFile], marks: dict[str, str]) -> Draft:
        return self.draft(digest, self.committed(files, marks), files, mark)

    def committed(self, files: list[PartFile], marks: dict[str, str]) -> int | None:
        """The Delta version of these files; None for a part, which is committed with the others."""
        self.place.send(file.name for file in self.writer.files)
        if self.request.part:
            return None
        self.committing = True
        return delta.commit(self.place, self.codec.stored, files, marks)

    def draft(self, digest: str, table_version: int | None, files: list[PartFile], mark: Mark) -> Draft:
        meta = {
            **self.request.meta,
            "files": _listed(files),
            "digest": ALGORITHM,
            "chain": [mark.chain, mark.rows],
            **({} if self.request.spec is None else {tables.FEATURES: msgspec.to_builtins(self.request.spec)}),
        }
        return Draft(
            artifact=self.request.artifact, kind="table", digest=digest, uri=self.uri, table_version=table_version,
            schema=self.codec.text(), rows=self.digest.rows, size_bytes=sum(file.size for file in files), meta=meta,
        )  # fmt: skip

    def stands(self, prior: Version, files: list[PartFile]) -> bool:
        """Whether the prior version's bytes are there, made again from the new files where they were not."""
        start, whole = 0, True
        new = parquet.scan(self.folder / file.name for file in files)
        for file in kept(prior):
            path = self.folder / file.name
            if not folders.is_there(path, file.size):
                whole &= parquet.write(path, new.slice(start, file.rows).collect()) == file.size
                self.place.send([file.name])
            start += file.rows
        return whole


class _Appending(_Saving):
    """One append to a prior version."""

    def __init__(self, root: Path, request: Save, codec: Codec, bucket: Bucket | None, prior: Version) -> None:
        _check_same(request.artifact, Codec.read(prior.schema), codec)
        self.prior = prior
        self.before = kept(prior)
        self.mark = Mark(*prior.meta["chain"])
        super().__init__(root, request, codec, bucket, self.mark, len(self.before))

    def write(self, batches: Iterator[pl.DataFrame]) -> None:
        paths = [self.folder / file.name for file in self.before]
        start = self.mark.rows
        with parquet.guard("read", self.folder):
            for tail in _from_row(paths, self.before, start):
                self.digest.update(self.codec.decode(tail.lazy()).collect())
        super().write(batches)

    def commit(self, digest: str, mark: Mark, files: list[PartFile], marks: dict[str, str]) -> Draft:
        merged = _small_tail(self.before, sum(file.rows for file in files))
        stay = self.before[: len(self.before) - len(merged)]
        if merged:
            files = self._together(len(stay), merged, files)
        return self.draft(digest, self.committed(stay + files, marks), stay + files, mark)

    def _together(self, first: int, merged: list[PartFile], files: list[PartFile]) -> list[PartFile]:
        """The prior's small last files and the new ones as files of better size; the new ones are deleted."""
        apart = self.writer
        self.writer = parquet.Writer(self.folder, self.request.attempt, self.codec.stored, first)
        try:
            for frame in parquet.frames(self.folder / file.name for file in merged + files):
                self.writer.add(frame)
            return self.writer.finish()
        finally:
            apart.discard()


def kept(version: Draft) -> list[PartFile]:
    """The files of a committed version, in order."""
    return [PartFile(*entry) for entry in tables.entries(version)]


def _listed(files: list[PartFile]) -> list[list[Any]]:
    return [[file.name, file.size, file.rows] for file in files]


def _small_tail(files: list[PartFile], rows: int) -> list[PartFile]:
    """The last files that hold no more rows than what comes after them: as a binary counter carries, each row is moved log(n) times."""
    count = 0
    for file in reversed(files):
        if file.rows > rows or rows + file.rows > parquet.MOST_ROWS or file.size > parquet.MOST_BYTES // 8:
            break
        rows += file.rows
        count += 1
    return files[len(files) - count :]


def _from_row(paths: list[Path], files: list[PartFile], start: int) -> Iterator[pl.DataFrame]:
    """The stored rows from row `start` on."""
    for path, file in zip(paths, files, strict=True):
        if file.rows > start:
            yield parquet.scan([path]).slice(start).collect()
        start = max(start - file.rows, 0)


def _aligned(schema: pl.Schema, batches: Iterator[pl.DataFrame], before: pl.Schema) -> tuple[pl.Schema, Iterator[pl.DataFrame]]:
    """New rows with their columns in the table's order; a column of nothing but nulls takes the table's type."""
    if set(schema) != set(before):
        return schema, batches
    now = pl.Schema({name: dtype if schema[name] == pl.Null else schema[name] for name, dtype in before.items()})
    return now, (batch.select(pl.col(name).cast(now[name]) if schema[name] == pl.Null else name for name in now) for batch in batches)


def _check_same(artifact: str, before: Codec, now: Codec, other: str = "the table") -> None:
    """Rows can only be put to rows of the same columns."""
    if before.schema == now.schema and list(before.schema) == list(now.schema):
        return
    changes: list[str] = []
    casts: list[str] = []
    for name in {**before.schema, **now.schema}:
        old, new = before.schema.get(name), now.schema.get(name)
        if old is None:
            changes.append(f"'{name}' is new")
        elif new is None:
            changes.append(f"'{name}' is gone")
        elif describe(old) != describe(new):
            changes.append(f"'{name}' was {old} and is {new}")
            casts.append(f"pl.col('{name}').cast(pl.{old!r})")
    raise UserError(
        f"{artifact}: the rows have other columns than {other}",
        why="; ".join(changes) or "they are in another order",
        next=f"{_cast(casts) if len(casts) == len(changes) else 'return the same columns'}, "
        "or read everything (source.paths) to write the table anew",
    )


def _cast(casts: Sequence[str]) -> str:
    return f"give each the type that it had, as frame.with_columns({', '.join(casts[:3])})" if casts else "return them in the same order"


__all__: Any = ["combine", "digest_of", "kept", "save"]
