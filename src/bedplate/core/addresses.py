"""What an address of the settings `catalog` and `store` may be, told from its text alone: nobody is asked.

A scheme that is not known is compared with those that are. Whether somebody answers there is for `bedplate target test`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from urllib.parse import SplitResult, parse_qsl, urlsplit

from .errors import Refused, UserError

CATALOGS = ("sqlite", "postgresql", "postgres")
BUCKETS = ("s3", "gs", "az")
OPTIONS = ("endpoint", "region", "virtual_hosted")
"""What may stand behind `?` in a bucket's address."""
_STATE = "{state}"
_REFUSED_HDFS = "HDFS has no put-if-absent that Arrow's or Hadoop's file system shows: two writers could overwrite each other's commits"


def catalog(text: str) -> str:
    """Read the address of a catalog: `sqlite:///FILE` or `postgresql://..`. Raises UserError."""
    scheme = _scheme(text, CATALOGS)
    if scheme == "sqlite":
        _check_path(text, "write sqlite:///FILE")
        return text
    parts = _split(text, "write postgresql://USER@HOST:5432/DATABASE?schema=NAME")
    if ("schema", "") in parse_qsl(parts.query, keep_blank_values=True):
        raise UserError("it names an empty schema", why="?schema= needs a name", next="leave it out, or name one")
    return text


def store(text: str) -> str:
    """Read the address of a store: `file://FOLDER` or that of a bucket. Raises UserError, Refused for what cannot hold a lake."""
    if text.startswith("hdfs://"):
        raise Refused("a store on hdfs:// is not offered", why=_REFUSED_HDFS, next="take s3://, gs:// or az:// (Ozone speaks s3://)")
    if _scheme(text, ("file", *BUCKETS)) == "file":
        _check_path(text, "write file:///FOLDER")
    else:
        bucket(text)
    return text


def bucket(text: str) -> tuple[SplitResult, dict[str, str]]:
    """The parts of a bucket's address and its options. Raises UserError; a password in it is not repeated."""
    write = f"write {text.partition('://')[0]}://BUCKET/FOLDER; options: {', '.join(sorted(OPTIONS))}; credentials by environment"
    parts = _split(text, write)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(options) - set(OPTIONS))
    why = ""
    if unknown:
        why = f"unknown options: {', '.join(unknown)}"
    elif not parts.hostname or "@" in parts.netloc:
        why = "a bucket's name is needed, and no password belongs there"
    elif ".." in parts.path.split("/"):
        why = "a folder in a bucket has no '..'"
    elif "endpoint" in options and not _is_web(options["endpoint"]):
        why = f"the endpoint '{options['endpoint']}' is no http:// or https:// address"
    if why:
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise UserError(f"this is not the address of a bucket: {shown}", why=why, next=write)
    return parts, options


def _scheme(text: str, known: Sequence[str]) -> str:
    scheme, separator, _ = text.partition("://")
    if separator and scheme in known:
        return scheme
    near = difflib.get_close_matches(scheme, known, 1) if separator else []
    raise UserError(
        f"it names no known place: {scheme}://" if separator else "it names no known place",
        why=f"known: {', '.join(f'{one}://' for one in known)}",
        next=f"did you mean {near[0]}://?" if near else "see docs/how-to/share-a-target.md",
    )


def _split(text: str, write: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise UserError("it is no address", why=str(error), next=write) from None
    return parts


def _check_path(text: str, write: str) -> None:
    """A folder or file of this machine is named from the root on: relative to what, nobody could say."""
    path = text.partition("://")[2]
    if not path.strip("/") or not path.startswith(("/", _STATE)):
        raise UserError("it names no absolute path", why=f"'{path}' would depend on the folder where somebody types", next=write)
    if ".." in path.split("/"):
        raise UserError(f"the path '{path}' has '..'", why="an address says where something is", next=write)


def _is_web(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
