"""How many switches and cables a folded Clos network (fat tree) takes, by counting ports.

    leaf    down = ports x o / (1 + o) to hosts, the rest up (o: oversubscription; o = 1 halves them and nothing blocks)
    2 level spines = uplinks / ports; every spine sees every leaf, so there are at most `ports` leaves
    3 level spines = uplinks / (ports / 2), cores = uplinks / ports; at most ports x ports / 2 leaves

(Leiserson 1985; Al-Fares, SIGCOMM 2008.) Rail-optimised: the i-th port of every node goes to the leaves of rail i, and rails share a leaf
only where all of theirs fit. Counts agree with the published tables of NVIDIA's DGX SuperPOD B200 reference architecture.

Choices: only leaves are oversubscribed; one switch is enough where all ports fit on it. Limits: no dragonfly, no torus, no planes.
"""

from __future__ import annotations

import math

from bedplate.core.errors import UserError
from bedplate.core.records import Record

MOST_RAILS = 8
"""Rails of a node: one for each port up to eight; nodes with more ports have several on a rail (GB200 NVL72: 72 ports, 8 rails)."""


class Tree(Record, frozen=True, kw_only=True):
    """Switches by tier and cables between tiers. `hosts`: ports that machines need; `down`: of them at most on a leaf."""

    ports: int
    hosts: int
    levels: int
    leaves: int
    spines: int
    cores: int
    down: int
    uplinks: int
    oversubscription: float

    @property
    def switches(self) -> int:
        return self.leaves + self.spines + self.cores

    @property
    def cables(self) -> dict[str, int]:
        """Cables by tier: host to leaf, leaf to spine, spine to core."""
        return {"host": self.hosts, "leaf": self.uplinks, "spine": self.uplinks if self.levels == 3 else 0}

    @property
    def bisection(self) -> float:
        """Share of the hosts' rate that can cross the middle at once."""
        return 1.0 if self.levels == 1 else min(1.0, self.uplinks / self.hosts)


def rails_of(ports_per_node: int) -> int:
    """Rails of a node with that many ports."""
    return math.gcd(ports_per_node, MOST_RAILS) if ports_per_node > MOST_RAILS else ports_per_node


def tree(nodes: int, ports_per_node: int, ports: int, *, oversubscription: float = 1.0, rails: bool = True) -> Tree:
    """The smallest tree for `nodes` of `ports_per_node` ports from switches of `ports`. Raises UserError where three levels are too few."""
    if not 1 <= oversubscription <= ports - 1:
        raise UserError(
            f"oversubscription {oversubscription:g} makes no sense",
            why=f"1 is non-blocking, {ports - 1} one port up",
            next="--oversubscription 1",
        )
    hosts = nodes * ports_per_node
    if hosts <= ports:
        return Tree(
            ports=ports, hosts=hosts, levels=1, leaves=1, spines=0, cores=0, down=hosts, uplinks=0, oversubscription=oversubscription
        )
    down = min(ports - 1, math.floor(ports * oversubscription / (1 + oversubscription)))
    leaves = _leaves(nodes, ports_per_node, down, rails)
    uplinks = max(math.ceil(hosts / oversubscription), leaves)
    if leaves <= ports:
        levels, spines, cores = 2, math.ceil(uplinks / ports), 0
    elif leaves <= ports * ports // 2:
        levels, spines, cores = 3, math.ceil(uplinks / (ports // 2)), math.ceil(uplinks / ports)
    else:
        raise UserError(
            f"{hosts:,} ports are too many for three levels of {ports}-port switches",
            why=f"they end at {ports * ports // 2 * down:,}", next="take a switch with more ports: --fabric",
        )  # fmt: skip
    return Tree(
        ports=ports, hosts=hosts, levels=levels, leaves=leaves, spines=spines, cores=cores, down=down, uplinks=uplinks,
        oversubscription=oversubscription,
    )  # fmt: skip


def _leaves(nodes: int, ports_per_node: int, down: int, rails: bool) -> int:
    """Leaves for all hosts; with rails, those of each rail, which shares them with others only whole."""
    if not rails:
        return math.ceil(nodes * ports_per_node / down)
    n_rails = rails_of(ports_per_node)
    on_rail = nodes * ports_per_node // n_rails
    if on_rail <= down:
        return math.ceil(n_rails / (down // on_rail))
    return n_rails * math.ceil(on_rail / down)
