"""The questions of `bedplate size` as commands: options to a question, the question to `assembly.size`, the answer to a drawing.

Choices: quantities are typed with their units ('2T', '30d', '40/s', '2MW', '60%') and read by `core.units` alone; a model may be the path
of a Hugging Face style config.json. What every question takes (machines, deadline, money, power, places) is one list of options.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, get_args

import click
import msgspec

from bedplate.assembly import size
from bedplate.core import units
from bedplate.core.errors import Refused, UserError
from bedplate.planner.asking.questions import Batch, Cooling, Cost, Finetune, Limits, Question, Serve, Site, Term, Train

from .common import put_json
from .size_page import write_page
from .size_report import write_report
from .size_view import draw


class Unit(click.ParamType[Any]):
    """An option that `core.units` reads; a mistake is a wrong use of the option."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except UserError as error:
            self.fail(f"{error.what}: {error.next}", param, ctx)


COUNT, DURATION, POWER = Unit("number", units.count), Unit("duration", units.seconds), Unit("power", units.watts)
BYTES, PIXELS = Unit("size", units.byte_count), Unit("pixels", units.pixels)
RATE, SHARE, DOLLARS = Unit("rate", units.per_second), Unit("share", units.share), Unit("usd", units.dollars)

LIMITS = {
    "on": click.option("--on", multiple=True, metavar="NAME", help="Accelerator or node, again for more (default: any)."),
    "gpus": click.option("--gpus", type=int, help="Use exactly that many accelerators."),
    "max_gpus": click.option("--max-gpus", type=int, help="Use at most that many accelerators."),
    "by": click.option("--by", type=DURATION, metavar="30d", help="Be done in that time."),
    "budget": click.option("--budget", type=DOLLARS, metavar="USD", help="Spend at most that."),
    "max_power": click.option("--max-power", type=POWER, metavar="2MW", help="Draw at most that at the meter."),
    "region": click.option("--region", default="", metavar="PLACE", help="Only there: a country (DE), EU, or how a cloud's region begins."),
    "residency": click.option("--residency", multiple=True, metavar="PLACE", help="Where the data may lie, as --region; again for more."),
    "providers": click.option("--provider", "providers", multiple=True, help="Only offers of this provider, again for more."),
    "export": click.option("--export", default="", metavar="CLASS", help="The highest export class allowed."),
    "terms": click.option("--term", "terms", multiple=True, type=click.Choice(get_args(Term)), help="A way of paying, again for more."),
}
"""Field of the limits, as its option is called -> the option."""
OUTPUT = (
    click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write the answer as a page."),
    click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="Write the assessment for a decision (Markdown)."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON for programs."),
)


def asked(*more: Callable[[Any], Any], without: tuple[str, ...] = ()) -> Callable[[Callable[..., Question]], click.Command]:
    """A command that makes a question of its own options and the shared ones, `without` those it does not heed, and answers it."""

    def decorate(function: Callable[..., Question]) -> click.Command:
        @functools.wraps(function)
        def run(html: Path | None, report: Path | None, as_json: bool, **options: Any) -> int:
            given = click.get_current_context().find_root().meta.get(SETTINGS, {})
            options_of = {f.name: RENAMED.get(f.name, f.name) for f in msgspec.structs.fields(Limits)}
            limits = {field: options.pop(name) for field, name in options_of.items() if name not in without}
            return answered(function(limits=msgspec.convert(limits, Limits), **options), given, html, report, as_json)

        command: Any = run
        heeded = [option for name, option in LIMITS.items() if name not in without]
        for option in reversed((*more, *heeded, *OUTPUT)):
            command = option(command)
        return click.command(function.__name__)(command)

    return decorate


SETTINGS = "bedplate.size"
RENAMED = {"by_s": "by", "budget_usd": "budget", "max_power_w": "max_power"}


def answered(question: Question, given: dict[str, Any], html: Path | None, report: Path | None, as_json: bool) -> int:
    """Answer it, and draw, write or print that; the exit code."""
    found = size(question, given.get("systems"))
    if html is not None:
        write_page(found, html)
    if report is not None:
        write_report(found, report, given.get("systems"))
    if as_json or given.get("as_json"):
        put_json(found)
    else:
        draw(found)
    return 0 if found.best is not None else Refused.exit_code


MODEL = click.option("--model", required=True, metavar="NAME|config.json", help="A model by name, or the path of its config.json.")
PRECISION = click.option("--precision", default="bf16", show_default=True, help="Format of weights and products: bf16, fp8, nvfp4, ...")


@asked(
    MODEL,
    click.option("--tokens", type=COUNT, default="0", metavar="2T", help="Tokens to train on."),
    click.option("--items", type=COUNT, metavar="1.28M", help="Images to train on, in the place of tokens."),
    click.option("--epochs", type=float, default=1.0, show_default=True, help="How often each image is seen."),
    click.option("--batch-items", type=COUNT, help="Images of a global batch (default: by the number of accelerators)."),
    click.option("--item-bytes", type=BYTES, metavar="110KB", help="What storage reads for one image (default: as in ImageNet)."),
    click.option("--storage-gbs", type=float, metavar="GB/s", help="What the storage reads (default: as fast as is needed)."),
    click.option("--seq-len", type=COUNT, default="4096", show_default=True, help="Tokens of a sequence."),
    click.option("--batch-tokens", type=COUNT, help="Tokens of a global batch (default: by the model's size)."),
    PRECISION,
    click.option("--engine", default="megatron", show_default=True, help="megatron, torchtitan, maxtext, llm-foundry, nemo, ..."),
)
def train(seq_len: float, **options: Any) -> Question:
    """Pretrain a model: the layout, the time, the money, the power.

    Language models take --tokens, --seq-len, --batch-tokens and --engine; models of images --items, --epochs, --batch-items, --item-bytes
    and --storage-gbs.
    """
    return Train(seq_len=int(seq_len), **options)


@asked(
    MODEL,
    click.option("--method", type=click.Choice(["full", "lora", "qlora"]), default="lora", show_default=True),
    click.option("--tokens", type=COUNT, default="50M", show_default=True, help="Tokens to tune on, all epochs together."),
    click.option("--seq-len", type=COUNT, default="2048", show_default=True, help="Tokens of a sequence."),
    click.option("--rank", type=int, default=16, show_default=True, help="Rank of the adapters."),
    click.option("--batch-tokens", type=COUNT, help="Tokens of a global batch."),
    PRECISION,
    click.option("--engine", default="", help="The engine (default: plain PyTorch)."),
)
def finetune(seq_len: float, **options: Any) -> Question:
    """Tune a model on your own data, all weights or adapters."""
    return Finetune(seq_len=int(seq_len), **options)


LENGTHS = (
    click.option("--isl", type=COUNT, default="0", metavar="TOKENS", help="Tokens of a prompt, on average, or of a text to embed."),
    click.option("--osl", type=COUNT, default="0", metavar="TOKENS", help="Tokens of an answer, on average."),
    click.option("--precision", default="", help="Format of weights and products (default: the checkpoint's)."),
    click.option("--engine", default="vllm", show_default=True, help="vllm, sglang, tensorrt-llm."),
    click.option("--resolution", type=PIXELS, metavar="1024x1024", help="Width and height of an image or a video (default: the model's)."),
    click.option("--steps", type=int, metavar="28", help="Denoising steps (default: 28 an image, 50 a video)."),
    click.option("--frames", type=int, metavar="81", help="Frames of a video (default: 81)."),
    click.option("--prefix-hit", type=SHARE, default="0", help="Share of the prompts' tokens whose cache is ready."),
    click.option("--draft", default="", metavar="NAME|mtp", help="Speculate: a small model, or the model's own block, drafts tokens."),
    click.option("--acceptance", type=SHARE, default="70%", show_default=True, help="Chance that a drafted token is accepted."),
    click.option("--draft-tokens", type=int, default=4, show_default=True, help="Tokens that are drafted a step."),
)


@asked(
    MODEL,
    *LENGTHS,
    click.option("--rate", type=RATE, required=True, metavar="40/s", help="Requests that arrive."),
    click.option("--ttft", "ttft_s", type=DURATION, metavar="500ms", help="99 of 100 first tokens within that."),
    click.option("--latency", "latency_s", type=DURATION, metavar="8s", help="99 of 100 images, videos or embeddings within that."),
    click.option("--tpot", "tpot_s", type=DURATION, metavar="30ms", help="99 of 100 requests within that a token."),
    click.option("--quiet-rate", type=RATE, metavar="1/s", help="Requests at the quietest: how few instances may stay then."),
    click.option("--length-cv", type=float, default=1.0, show_default=True, help="How lengths scatter: deviation over mean; 0: all alike."),
    click.option("--months", type=float, default=1.0, show_default=True, help="How long it is to run."),
    without=("by",),
)
def serve(**options: Any) -> Question:
    """Serve a model to a rate of requests, within latency limits.

    It writes tokens, makes images or videos, or embeds texts.

    A closed form searches; the choice and the runner-up are then simulated, request by request, and get more instances where one in a
    hundred is too late. Prompts and answers share their machines: prefill and decode on workers apart are answered by --cases alone.
    """
    return Serve(**options)


@asked(
    MODEL, *LENGTHS,
    click.option("--requests", "--items", "requests", type=COUNT, required=True, metavar="1M", help="How many to answer."),
)  # fmt: skip
def batch(**options: Any) -> Question:
    """Answer many requests offline, as quickly as it goes.

    They ask for tokens, images, videos or embeddings.
    """
    return Batch(**options)


@asked(
    click.option("--node", metavar="NAME", help="The node to house."),
    click.option("--nodes", type=int, help="How many."),
    click.option(
        "--from", "answer", type=click.File(), metavar="FILE", help="House what another answer chose: the JSON of `size ... --json`."
    ),
    click.option("--cooling", type=click.Choice(get_args(Cooling)), help="Kind of cooling (default: what the density asks for)."),
    click.option("--fabric", default="", metavar="SWITCH", help="The switch to build the fabric of."),
    click.option("--oversubscription", type=float, default=1.0, show_default=True, help="Down over up at the leaves; 1 blocks nothing."),
    click.option("--rails/--no-rails", default=True, show_default=True, help="One leaf for each of a node's ports."),
    click.option("--utilisation", type=SHARE, default="80%", show_default=True, help="Share of the time that nodes are busy."),
    click.option("--retrofit", is_flag=True, help="Weigh a hall that stands (--hall-kw, --rack-kw) against a new one."),
    click.option("--hall-kw", type=float, help="Power of the hall that stands, with --retrofit."),
    click.option("--rack-kw", type=float, help="Power that a rack may draw there, with --retrofit."),
    click.option("--storage-tb", type=float, help="Capacity of the storage."),
    click.option("--storage-read-gbs", type=float, help="Read rate that keeps the accelerators fed, GB/s."),
    click.option("--checkpoint-tb", type=float, help="Size of one checkpoint."),
    click.option("--months", type=float, default=36.0, show_default=True, help="How long it is to be used, from the day it is ready."),
    without=("on", "gpus", "max_gpus", "terms"),
)
def site(answer: IO[str] | None, node: str | None, nodes: int | None, **options: Any) -> Question:
    """House and connect nodes: racks, cooling, fabric, storage, power, time line."""
    if answer is not None:
        chosen, count = _chosen(answer)
        node, nodes = node or chosen, nodes or count
    if node is None or nodes is None:
        raise UserError("it is not said what to house", next="--node dgx-h100 --nodes 128, or --from FILE")
    return Site(node=node, nodes=nodes, **options)


def _chosen(answer: IO[str]) -> tuple[str, int]:
    """The node that an answer chose, and how many. Raises UserError where the file is no answer, or one that chose no node."""
    try:
        best = msgspec.json.decode(answer.read(), type=_Answered).best
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"{_name(answer)} is no answer of size", why=str(error), next="make one with: bedplate size train ... --json > FILE"
        ) from None
    if best is None or not best.node or not best.n_nodes:
        raise UserError(f"the answer in {_name(answer)} chose no node", next="--node NAME --nodes N")
    return best.node, best.n_nodes


class _Best(msgspec.Struct):
    node: str = ""
    n_nodes: int = 0


class _Answered(msgspec.Struct):
    """What is read of an answer."""

    best: _Best | None


@asked(
    click.option("--node", required=True, metavar="NAME", help="An instance to rent or a node to buy."),
    click.option("--count", type=int, default=1, show_default=True, help="How many."),
    click.option("--months", type=float, default=36.0, show_default=True, help="For how long."),
    click.option("--utilisation", type=SHARE, default="100%", show_default=True, help="Share of the time that they are busy."),
    click.option("--egress-tb-month", type=float, default=0.0, help="Data that leaves the cloud each month."),
    click.option("--storage-tb", type=float, default=0.0, help="Data kept in object storage."),
    click.option("--load", type=click.File(), help="Nodes needed hour by hour, a number a line: the cheapest mix of terms for it."),
    without=("on", "gpus", "max_gpus", "by", "max_power", "export"),
)
def cost(load: IO[str] | None, **options: Any) -> Question:
    """What nodes cost on demand, on spot, reserved and bought; when buying pays back."""
    return Cost(load=numbers(load) if load is not None else (), **options)


def _name(file: IO[str]) -> str:
    return str(getattr(file, "name", "the file"))


def _lines(file: IO[str]) -> list[str]:
    try:
        return file.readlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{_name(file)} is no text", why=str(error), next="one number of nodes a line, an hour each") from None


def numbers(file: IO[str]) -> tuple[float, ...]:
    """A number a line. Raises UserError with the line that is none, or where there is no line."""
    found = []
    for number, line in enumerate(_lines(file), 1):
        try:
            found.append(float(line))
        except ValueError:
            raise UserError(f"{_name(file)}, line {number}: '{line.strip()}' is no number", next="one number of nodes a line") from None
    if not found:
        raise UserError(f"{_name(file)} holds no number", next="one number of nodes a line, an hour each")
    return tuple(found)
