"""Bodies and queries as structs: the protocol's JSON habits, with limits before anything is parsed.

Depth is counted on the brackets alone, once all text is taken out: linear, and about as quick as the parser that comes after.
Where a field is null, the body is read a second time without its nulls. Every message names the field.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from .endpoint import Fault, invalid

DEEPEST: Final = 64
MOST_PARTS: Final = 250_000
MOST_VALUES: Final = 2 * MOST_PARTS
"""Each takes some 60 bytes once it is read: as many as a body of 8 MB could hold took 150 MB."""
MOST_QUERY: Final = 1000
"""Arguments in one query."""
_RECORDED: Final = range(-(2**63), 2**63)
"""Whole numbers that columns hold."""
_NO_BRACKETS: Final = bytes(code for code in range(256) if code not in b"[]{}")
_TEXT: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_RUNS: Final = re.compile(rb"[\[{]+|[\]}]+")
_NULL: Final = "got `null`"
_FIELD: Final = re.compile(r" - at `\$\.?(.*)`$")


class Reader:
    """Reads what one endpoint asks."""

    def __init__(self, asks: type[msgspec.Struct]) -> None:
        self._asks = asks
        self._decoder = msgspec.json.Decoder(asks, strict=False)
        self._wholes = tuple(one.name for one in msgspec.structs.fields(asks) if int in (one.type, *typing.get_args(one.type)))
        self._lists = frozenset(one.encode_name for one in msgspec.structs.fields(asks) if _is_list(one.type))

    def body(self, body: bytes, path: Mapping[str, str]) -> Any:
        """A JSON body; `path` is what the path says, which goes before it. Raises Fault."""
        if not body.strip():
            return self.values(dict(path))
        check_depth(body)
        try:
            if not path:
                return self._fitting(self._decoder.decode(body))
            return self.values({**_mapping(msgspec.json.decode(body)), **path})
        except msgspec.ValidationError as error:
            if _NULL in str(error):
                return self.values({**_mapping(_without_nulls(msgspec.json.decode(body))), **path})
            raise _misfit(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
            raise Fault("BAD_REQUEST", f"the body is not JSON: {error}") from None

    def query(self, query: bytes, path: Mapping[str, str]) -> Any:
        """A query string. Raises Fault."""
        return self.values({**{name: found if name in self._lists else found[-1] for name, found in queried(query).items()}, **path})

    def values(self, values: Mapping[str, Any]) -> Any:
        """What is decoded already. Raises Fault."""
        try:
            return self._fitting(msgspec.convert(values, self._asks, strict=False))
        except msgspec.ValidationError as error:
            raise _misfit(error) from None

    def _fitting(self, asked: msgspec.Struct) -> Any:
        """What was read, where its whole numbers are such as a record has. Raises Fault."""
        for name in self._wholes:
            value = getattr(asked, name)
            if isinstance(value, int) and value not in _RECORDED:
                raise invalid(f"Invalid value for parameter '{name}': no such number is ever recorded")
        return asked


def queried(query: bytes) -> dict[str, list[str]]:
    """The arguments of a query; `name[]` is the same as `name`. Raises Fault for too many, or what is no UTF-8."""
    found: dict[str, list[str]] = {}
    if not query:
        return found
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_QUERY, errors="strict")
    except UnicodeError:
        raise Fault("BAD_REQUEST", "the query is not UTF-8") from None
    except ValueError:
        raise Fault("BAD_REQUEST", f"the query has more than {MOST_QUERY} arguments") from None
    for name, value in pairs:
        found.setdefault(name.removesuffix("[]"), []).append(value)
    return found


def check_depth(body: bytes) -> None:
    """Raise Fault for JSON that is nested deeper than 64, or holds more than so many objects and lists, or values of any kind."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST and body.count(b",") <= MOST_VALUES:
        return
    if body.count(b'"') > 4 * MOST_PARTS:
        raise Fault("BAD_REQUEST", f"the body holds more than {2 * MOST_PARTS:,} texts", status=413)
    bare = _TEXT.sub(b"", body)
    if bare.count(b",") > MOST_VALUES:
        raise Fault("BAD_REQUEST", f"the body holds more than {MOST_VALUES:,} values", status=413)
    left = bare.translate(None, _NO_BRACKETS)
    if left.count(b"[") + left.count(b"{") > MOST_PARTS:
        raise Fault("BAD_REQUEST", f"the body holds more than {MOST_PARTS:,} objects and lists", status=413)
    depth = 0
    for run in _RUNS.findall(left):
        depth += len(run) if run[0] in b"[{" else -len(run)
        if depth > DEEPEST:
            raise Fault("BAD_REQUEST", f"the body is nested deeper than {DEEPEST}")


def _misfit(error: msgspec.ValidationError) -> Fault:
    said = str(error)
    found = _FIELD.search(said)
    where = found[1] if found else ""
    what = said[: found.start()] if found else said
    return invalid(f"Invalid value for parameter '{where}': {what}" if where else what)


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid("the body is no JSON object")
    return value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    return value


def _is_list(annotation: Any) -> bool:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(_is_list(one) for one in typing.get_args(annotation))
    return typing.get_origin(annotation) in (list, tuple, set, frozenset) or annotation in (list, tuple)
