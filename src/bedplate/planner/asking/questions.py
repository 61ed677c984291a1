"""What `bedplate size` can be asked, one record for each kind of question.

Choices: every question carries the same Limits, so that search, money and site read constraints in one place. Units are in the fields'
names; `on` holds names of accelerators or nodes, () is any. A figure of None is for the planner to choose, and it says what it chose.
"""

from __future__ import annotations

from typing import Literal

from bedplate.core.records import Record

Term = Literal["on-demand", "spot", "reserved-1y", "reserved-3y", "buy"]
Cooling = Literal["air", "rear-door", "liquid", "immersion"]


class Limits(Record, frozen=True, kw_only=True):
    """What a design must keep to. `residency` are country or region prefixes that data may lie in;
    `export` is the highest export class allowed.

    `providers` () is any; `max_power_w` is of the whole installation, cooling included; `budget_usd` of the whole job, or of
    all the months of a service.
    """

    on: tuple[str, ...] = ()
    gpus: int | None = None
    max_gpus: int | None = None
    by_s: float | None = None
    budget_usd: float | None = None
    max_power_w: float | None = None
    region: str = ""
    residency: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    export: str = ""
    terms: tuple[Term, ...] = ()


class Train(Record, frozen=True, kw_only=True, tag="train"):
    """Pretrain `model` on `tokens`; an image model on `items` images, `epochs` times.

    `batch_tokens`, `batch_items`: global batch; `precision`: format of the matrix products. `item_bytes`: what storage reads for one image,
    at `storage_gbs` GB/s (None: as fast as is needed, which is said).
    """

    model: str
    tokens: float = 0.0
    items: float | None = None
    epochs: float = 1.0
    batch_items: float | None = None
    item_bytes: float | None = None
    storage_gbs: float | None = None
    seq_len: int = 4096
    batch_tokens: float | None = None
    precision: str = "bf16"
    engine: str = "megatron"
    limits: Limits = Limits()


class Finetune(Record, frozen=True, kw_only=True, tag="finetune"):
    """Tune `model` on `tokens` by training all weights or adapters of `rank` (LoRA, arXiv 2106.09685; QLoRA, arXiv 2305.14314)."""

    model: str
    method: Literal["full", "lora", "qlora"] = "lora"
    tokens: float = 50e6
    seq_len: int = 2048
    rank: int = 16
    batch_tokens: float | None = None
    precision: str = "bf16"
    engine: str = ""
    limits: Limits = Limits()


class Serve(Record, frozen=True, kw_only=True, tag="serve"):
    """Serve `model` to `rate` requests a second of `isl` prompt and `osl` answer tokens, 99 of 100 within `ttft_s` and `tpot_s`.

    Images, videos and embeddings are answered whole, 99 of 100 within `latency_s`: `resolution` (width, height) in pixels, denoising
    `steps`, `frames` of a video; `isl` tokens of a text that is embedded.

    `length_cv`: how lengths scatter about their means (their standard deviation over the mean; 0: all alike). `draft`: a model, or 'mtp'
    for the model's own block, that proposes `draft_tokens` a step, each accepted with the chance `acceptance` ('': none).
    """

    model: str
    rate: float
    isl: float = 0.0
    osl: float = 0.0
    latency_s: float | None = None
    resolution: tuple[int, int] | None = None
    steps: int | None = None
    frames: int | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None
    precision: str = ""
    engine: str = "vllm"
    prefix_hit: float = 0.0
    draft: str = ""
    acceptance: float = 0.7
    draft_tokens: int = 4
    length_cv: float = 1.0
    quiet_rate: float | None = None
    """Requests a second at the quietest: how few instances may stay then."""
    months: float = 1.0
    limits: Limits = Limits()


class Batch(Record, frozen=True, kw_only=True, tag="batch"):
    """Answer `requests` of `isl` prompt and `osl` answer tokens offline; `prefix_hit` and drafts as in Serve."""

    model: str
    requests: float
    isl: float = 0.0
    osl: float = 0.0
    resolution: tuple[int, int] | None = None
    steps: int | None = None
    frames: int | None = None
    precision: str = ""
    engine: str = "vllm"
    prefix_hit: float = 0.0
    draft: str = ""
    acceptance: float = 0.7
    draft_tokens: int = 4
    limits: Limits = Limits()


class Site(Record, frozen=True, kw_only=True, tag="site"):
    """House and connect `nodes` of `node`. `oversubscription` 1 is non-blocking; `retrofit`: into a hall of `hall_kw`, `rack_kw` a rack."""

    node: str
    nodes: int
    cooling: Cooling | None = None
    fabric: str = ""
    oversubscription: float = 1.0
    rails: bool = True
    utilisation: float = 0.8
    retrofit: bool = False
    hall_kw: float | None = None
    rack_kw: float | None = None
    storage_tb: float | None = None
    storage_read_gbs: float | None = None
    checkpoint_tb: float | None = None
    months: float = 36.0
    limits: Limits = Limits()


class Cost(Record, frozen=True, kw_only=True, tag="cost"):
    """What `count` of `node` cost over `months` when busy for `utilisation` of the time, by every way of paying."""

    node: str
    count: int = 1
    months: float = 36.0
    utilisation: float = 1.0
    egress_tb_month: float = 0.0
    storage_tb: float = 0.0
    load: tuple[float, ...] = ()
    """Nodes needed in each hour of a period that repeats; it takes the place of `count` and `utilisation`."""
    limits: Limits = Limits()


Question = Train | Finetune | Serve | Batch | Site | Cost
