"""`bedplate rerun`: run a past attempt again, and compare what it makes with what it made."""

from __future__ import annotations

import msgspec

from .common import console, put_line
from .following import follower
from .run import stoppable
from .verb import Asked, verb


@verb("ATTEMPT|VERSION", least=1, most=1)
def command(asked: Asked) -> int:
    """Run the attempt or version with this ID again on the same inputs. Exit code 6 where the result differs."""
    workspace = asked.open()
    with stoppable(workspace), follower(asked.as_json, tuple(workspace.graph.nodes)) as follow:
        compared = workspace.rerun(asked.names[0], follow)
    if asked.as_json:
        put_line({"kind": "rerun.summary", "equal": compared.equal, **msgspec.to_builtins(compared)})
    else:
        out = console()
        for note in compared.notes:
            out.print(f" [yellow]![/yellow] {note}")
        for one in compared.outputs:
            verdict = "[green]equal, bit by bit[/green]" if one.before == one.after else "[red]differs[/red]"
            out.print(f"{one.artifact}: {verdict}\n  before {one.before}\n  now    {one.after}")
    return 0 if compared.equal else 6
