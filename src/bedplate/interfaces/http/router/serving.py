"""Serving through a router: its socket, its replicas, and its life."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence

import msgspec

from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.interfaces.http import grpc_port
from bedplate.interfaces.http.binding import address, bind, many_files
from bedplate.interfaces.http.plane.plane import Plane
from bedplate.pipeline.heart import Heart
from bedplate.planner.routing.records import Home, Place, Rules
from bedplate.planner.scaling.scale import Scale

from .calling import Calling
from .entry import Entry
from .fleet import Fleet, Heard
from .listed import EVERY_S, Listed, Opens
from .member import Remote, read_place, read_remote, remote
from .replica import Command
from .router import Router, Settings


class Routed(Record, frozen=True, kw_only=True):
    """What a router is given: replicas of its own by `scale` (None: it has none), those at other addresses, where it is, how it decides."""

    scale: Scale | None
    remotes: tuple[Remote, ...] = ()
    settings: Settings = Settings()


def routed(
    count: tuple[int, int] | None, remotes: Sequence[str], place: str, regions: Sequence[str], rules: Rules, scale: Scale, body_limit: int
) -> Routed:  # fmt: skip
    """What a router is given, from what options and settings say. `count` is the least and the most of its own replicas.

    Raises UserError for what cannot be read, and for a replica without a region where requests may not go to any.
    """
    home = Home(place=read_place(place) if place else Place(), regions=tuple(regions))
    places = tuple(read_remote(one) for one in remotes)
    for one in places:
        if home.allowed and not one.place.region:
            why = f"requests go to {', '.join(home.allowed)} only"
            raise UserError(
                f"the replica {one.authority} is in no region", why=why, next=f"write --replica http://{one.authority},region=NAME"
            )
    if len({one.authority for one in places}) < len(places):
        raise UserError("a replica is named twice", why="each is asked once", next="name each --replica once")
    if count is not None and home.regions and home.place.region not in home.regions:
        why = f"requests go to {', '.join(home.regions)} only, and this is '{home.place.region}' (setting `place`)"
        raise UserError("replicas of its own would get no request", why=why, next="add this region to `regions`")
    own = None if count is None else _scaled(scale, *count)
    return Routed(scale=own, remotes=places, settings=Settings(home=home, rules=rules, body_limit=body_limit))


def serve_routed(
    given: Routed, host: str, port: int, command: Command, heard: Heard, opens: Opens, grpc: str = "none"
) -> int:  # fmt: skip
    """Route until told to stop; the exit code of the first replica that ended everything, else 0. `opens` gives the list of services, on
    which the router is while it routes; `grpc` is the port of gRPC, as the setting has it. Raises what `bind` and `grpc_port.asked` raise.
    """
    with contextlib.ExitStack() as stack:
        listening, *beyond = map(stack.enter_context, (bind(host, port), *grpc_port.bound(host, grpc)))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bedplate-route-"))
        router = Router(given.settings)
        router.members += [remote(one, router.timer) for one in given.remotes]
        fleet = Fleet(router, given.scale, folder, command, heard)
        entry = Entry(router, folder)
        guests = [grpc_port.relay(one, lambda: Calling(router, entry.is_ready), given.settings.body_limit) for one in beyond]
        plane = Plane(entry, fleet.begun, fleet, guests)
        fleet.seat = msgspec.structs.replace(fleet.seat, url=address(listening), grpc_at=guests[0].address if guests else "")
        fleet.no_grpc = "" if guests else grpc_port.absent(grpc)
        fleet.stop, fleet.is_told = plane.stop, lambda: plane.is_told
        many_files()
        listed = Listed(opens, router.members, fleet.seat.url)
        with Heart("router", EVERY_S, listed.beat):
            plane.run([listening])
        listed.close()
        return fleet.code


def _scaled(scale: Scale, least: int, most: int) -> Scale:
    return Scale(least=least, most=most, aim=scale.aim, up_s=scale.up_s, down_s=scale.down_s, idle_s=scale.idle_s)
