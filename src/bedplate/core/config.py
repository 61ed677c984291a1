"""Settings: one table of name, default and help, from which the documentation is made.

A value is taken from `BEDPLATE_<NAME>`, else `[target.NAME]` of `bedplate.toml`, else the top level of `bedplate.toml`, else the default
here. `resolve` is pure; reading the file and the environment is assembly's work.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from . import addresses
from .errors import UserError
from .units import byte_count, dollars_per_hour, seconds, share
from .workload import machines

_PREFIX = "BEDPLATE_"
NONE = "none"
"""What a setting says that names nothing."""
_LAST_PORT = 65_535


class Setting(msgspec.Struct, frozen=True):
    """One setting: its name, default (as text), what it does, and what its text must be read by."""

    name: str
    default: str
    help: str
    read: Callable[[str], Any] = str


def number(text: str) -> float:
    """Read a plain number, not below zero. Raises UserError."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise UserError(f"'{text}' is not a number", why="zero or more is needed", next="write '2' or '0.5'")
    return found


def whole(text: str) -> int:
    """Read a whole number, not below zero. Raises UserError."""
    if not text.isdecimal():
        raise UserError(f"'{text}' is not a whole number", why="zero or more is needed", next="write '3'")
    return int(text)


def span(text: str) -> tuple[int, int] | None:
    """Read how many: `2`, or `1..4`, from the least to the most; None for `none`. Raises UserError."""
    least, dots, most = text.partition("..")
    if text == NONE:
        return None
    if not least.isdecimal() or not (most or least).isdecimal() or (dots and not most) or not int(least) <= int(most or least) <= 256:
        raise UserError(f"'{text}' is no number of replicas", why="2 is two, 1..4 is one to four, at most 256", next="write '2' or '1..4'")
    if not int(most or least):
        raise UserError("no replica would ever answer", why="the most is 0", next="write '0..4': none while nobody asks")
    return int(least), int(most or least)


def online(text: str) -> str:
    """Read where online features are: `embedded`, or the address of a Redis. Raises UserError."""
    if text != "embedded" and not text.startswith(("redis://", "rediss://", "unix://")):
        raise UserError(f"'{text}' is not known", why="known: embedded, redis://HOST:PORT/DB", next="leave it out, or write 'embedded'")
    return text


def issuer(text: str) -> str:
    """Read the address of a provider of identity: https, or on this machine http. Raises UserError."""
    place = text.partition("://")[2].partition("/")[0].rpartition(":")[0]
    if text != NONE and not text.startswith("https://") and not (text.startswith("http://") and place in ("127.0.0.1", "localhost")):
        raise UserError(f"'{text}' is no provider of identity", why="its keys must come over https", next="write https://id.example.com")
    return text


def joining(text: str) -> str:
    """Read who may come in by a provider of identity: `known` or `any`. Raises UserError."""
    if text not in ("known", "any"):
        raise UserError(f"'{text}' is not known", why="known: known, any", next="leave it out, or write 'any'")
    return text


def port(text: str) -> str:
    """Read the port of a server that need not be: `auto`, `none` or a number. Raises UserError."""
    if text not in ("auto", "none") and not 0 <= whole(text) <= _LAST_PORT:
        raise UserError(f"there is no port {text}", why=f"ports are 0 to {_LAST_PORT}", next="write 'auto' for a free one, 'none' for none")
    return text


def watts(text: str) -> float:
    """Read a power: `"65 W"`. Raises UserError."""
    amount, _, unit = text.partition(" ")
    if unit != "W":
        raise UserError(f"'{text}' is not a power", why="a number and W are needed", next="write '65 W'")
    return number(amount)


SETTINGS = (
    Setting("state", ".bedplate", "Folder of the state, relative to the project file."),
    Setting(
        "catalog",
        "sqlite:///{state}/catalog.db",
        "Where the record is kept: `sqlite:///FILE`, or `postgresql://USER@HOST/DATABASE?schema=NAME`.",
        addresses.catalog,
    ),
    Setting(
        "store",
        "file://{state}/store",
        "Where bytes and tables are kept: `file://FOLDER`, or a bucket, `s3://BUCKET/FOLDER`, `gs://` or `az://`.",
        addresses.store,
    ),
    Setting(
        "online",
        "embedded",
        "Where online features are read: `embedded` (a file in the state folder), or `redis://HOST:PORT/DB`, shared by machines.",
        online,
    ),
    Setting("compute", "local", "Where steps run: `local` (a fork server and its workers) or `inline` (this process)."),
    Setting("price", "0 USD/hour", "What an hour of this target costs.", dollars_per_hour),
    Setting("machines", "none", "What this target has for declared workloads, as `8 x h100`: so many of an accelerator or node.", machines),
    Setting("cpu", "0", "Processors to use at once; 0 is all of this machine.", number),
    Setting("gpus", "0", "Accelerators that steps with `gpu=` may use at once, numbered as the driver does.", whole),
    Setting("memory", "0 B", "Memory to use at once; 0 is all of this machine.", byte_count),
    Setting("watts", "65 W", "Power of one busy machine where no meter is readable; energy from it is labelled `assumed`.", watts),
    Setting("lease", "15 s", "How long a writer's lease holds without a sign of life.", seconds),
    Setting("look", "1 min", "How often `bedplate run --due --loop` looks for due work, at least.", seconds),
    Setting(
        "clock",
        "machine",
        "What time it is: the `machine`'s, or that of a file beside the project that says it (`2017-12-01T02:00:00Z`) and counts on from "
        "when it was written.",
    ),
    Setting("log_limit", "10 MB", "How much of a step's output is kept; the rest is counted.", byte_count),
    Setting("checkpoints", "3", "How many checkpoints of a training step are kept.", whole),
    Setting("rank_timeout", "30 s", "How long a rank of a step with `workers=` may give no sign of life, or let the others wait.", seconds),
    Setting("cache", "10 GB", "How much of tables is kept as Arrow files, to be read again quickly; 0 B is nothing.", byte_count),
    Setting("keep", "14 days", "How long unreferenced bytes are kept by `gc`.", seconds),
    Setting("drift_psi", "0.2", "Population stability index above which a column counts as drifted.", number),
    Setting(
        "queue",
        "20000",
        "Predictions that may wait to be logged, and rows of one request; what finds no room is refused, or counted and told.",
        whole,
    ),
    Setting(
        "runtime_tolerance",
        "0.000001",
        "How far a runtime's predictions may lie from the framework's own to be used, relative to 1 or to the value; 0 is not at all.",
        number,
    ),
    Setting(
        "model_workers",
        "1",
        "Processes of its own that a server gives each model that is too slow for its loop; 0 asks it in threads of the server.",
        whole,
    ),
    Setting(
        "loop_limit",
        "2 ms",
        "What a model may take for a row to be asked on a server's event loop, as measured when it is loaded.",
        seconds,
    ),
    Setting(
        "answer_memory",
        "64 MB",
        "Memory of a server for answers that are given again: of `service(cache=...)`, and to retries.",
        byte_count,
    ),
    Setting(
        "retry_window",
        "60 s",
        "How long a request that is sent again under the same name gets the answer that it got; 0 s is not.",
        seconds,
    ),
    Setting("replicas", NONE, "Replicas of `bedplate serve`, behind a router: `2`, or `1..4` by load, or `0..4`.", span),
    Setting("remotes", NONE, "Replicas elsewhere, for that router: `http://10.0.0.7:8000,zone=a,region=eu`, several apart by spaces."),
    Setting("place", NONE, "Where this machine is, as the router sees it: `zone=a,region=eu`; near replicas come first."),
    Setting("regions", NONE, "Regions that a request may be taken to, as `eu us`; `none` is the own one, or any where there is no own."),
    Setting("replica_queue", "256", "Requests that a replica is given at once; where all have so many, the answer is 503.", whole),
    Setting("replica_load", "4", "Requests in hand for each replica that the number of replicas aims at.", number),
    Setting("scale_in", "1 min", "How long fewer replicas must do before one is drained.", seconds),
    Setting("scale_to_zero", "5 min", "How long nobody must ask before the last replica is drained, with `replicas` from 0.", seconds),
    Setting("allow_networks", "none", "Networks that are not public and that `Http` and remote models reach, as `10.0.0.0/8, fd00::/8`."),
    Setting("oidc_issuer", NONE, "Provider of identity (OpenID Connect) that `bedplate up` takes logins from, as it calls itself.", issuer),
    Setting("oidc_client", NONE, "What that provider calls this server."),
    Setting("oidc_secret", NONE, "What this server proves itself to the provider with; best in the environment, as BEDPLATE_OIDC_SECRET."),
    Setting(
        "oidc_accounts",
        "known",
        "Who may come in by the provider: `known` (an admin linked them), or `any` (the first login makes an account).",
        joining,
    ),
    Setting(
        "openlineage",
        "none",
        "Where runs are told as OpenLineage events: a file beside the project that grows by lines, or `https://HOST`; `none` is nowhere.",
    ),
    Setting("otlp", "none", "Where runs are told as OpenTelemetry traces: a file, or the `https://HOST` of a collector; or `none`."),
    Setting(
        "grpc_port",
        "auto",
        "Port on which `serve` and `up --serve` answer gRPC: `auto` is a free one where the extra `grpc` is installed, `none` is none.",
        port,
    ),
    Setting("body_limit", "16 MB", "Largest request body that a service reads.", byte_count),
    Setting(
        "guard", "10 min", "How long a version is watched after its promotion, to be rolled back where it is worse; 0 s is not.", seconds
    ),
    Setting("trace_share", "0.1%", "Share of a server's requests whose time is recorded in parts; who asks for it always is.", share),
    Setting("trace_over", "1 s", "A request that takes longer is recorded so, too, where its service declares no `p95=`.", seconds),
    Setting("upload_limit", "10 GB", "Largest file that a client of the tracking API may upload.", byte_count),
    Setting("upload_quota", "0 B", "Bytes that the files of one experiment may take together; 0 B is no end.", byte_count),
)


class Config(msgspec.Struct, frozen=True):
    """Resolved settings of one project on one target.

    `aside`: it is not the project's own target, but shares its catalog; what runs there makes side versions (invariant 8).
    """

    project_file: Path
    target: str
    values: dict[str, str]
    aside: bool = False

    @property
    def folder(self) -> Path:
        """The folder of the project file."""
        return self.project_file.parent

    @property
    def state(self) -> Path:
        """The state folder, absolute."""
        return (self.folder / self.values["state"]).resolve()

    def __getitem__(self, name: str) -> str:
        return self.values[name].replace("{state}", str(self.state))


def resolve(project_file: Path, file: Mapping[str, Any], environ: Mapping[str, str], target: str = "") -> Config:
    """Settings for a project: environment, then the target's table, then the file's top level, then defaults.

    Raises UserError for an unknown setting or target, and for a value that cannot be read.
    """
    targets = file.get("target", {})
    if not isinstance(targets, Mapping) or not all(isinstance(one, Mapping) for one in targets.values()):
        raise UserError("'target' in bedplate.toml is not a table", why="each target is one", next="write [target.NAME] above its settings")
    own = str(file.get("default_target", "")) or "local"
    target = target or environ.get(_variable("target"), "") or own
    if target != "local" and target not in targets:
        raise UserError(
            f"no target '{target}' in bedplate.toml",
            why=f"known targets: {', '.join(dict.fromkeys(['local', *targets]))}",
            next=f"write [target.{target}] in bedplate.toml, or take one of these",
        )
    names = [setting.name for setting in SETTINGS]
    _known_variables(environ, names)
    top = {k: v for k, v in file.items() if k not in ("target", "default_target")}
    chosen = targets.get(target, {})
    home = targets.get(own, {})
    for name in (*top, *chosen):
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            raise UserError(
                f"no setting '{name}'",
                why="bedplate.toml names it",
                next=f"did you mean '{near[0]}'?" if near else "see docs/reference/settings.md",
            )
    values = {s.name: environ.get(_variable(s.name), str(chosen.get(s.name, top.get(s.name, s.default)))) for s in SETTINGS}
    for setting in SETTINGS:
        try:
            setting.read(values[setting.name])
        except UserError as error:
            raise type(error)(f"the setting {setting.name}: {error.what}", why=error.why, next=error.next) from error
    shared = all(chosen.get(name) == home.get(name) for name in ("state", "catalog"))
    return Config(project_file, target, values, aside=target != own and shared)


def _known_variables(environ: Mapping[str, str], names: Sequence[str]) -> None:
    """Raises UserError for a variable `BEDPLATE_...` that is no setting: misspelt, it would be passed over."""
    known = [_variable(name) for name in (*names, "target")]
    for given in environ:
        if given.startswith(_PREFIX) and given not in known:
            near = difflib.get_close_matches(given, known, 1)
            raise UserError(
                f"no setting '{given}'",
                why="the environment names it, and what begins so is a setting",
                next=f"did you mean {near[0]}?" if near else f"unset {given}, or see docs/reference/settings.md",
            )


def _variable(name: str) -> str:
    return f"{_PREFIX}{name.upper()}"
