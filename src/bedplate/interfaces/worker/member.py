"""`python -m bedplate.interfaces.worker.member`: a process of a crew, which predicts for one model version of a project."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bedplate.assembly import open_project
from bedplate.core.errors import BedplateError, NotFound, UserError
from bedplate.core.model import RowPredictor
from bedplate.stages.deploy.crew_member import serve, settle
from bedplate.stages.deploy.site import site_of


def main(argv: Sequence[str] | None = None) -> int:
    """Load the model as a server does, then predict until the server closes the socket; the exit code."""
    parser = argparse.ArgumentParser(
        prog="bedplate member", description="A process that predicts for a server; started by bedplate itself."
    )
    parser.add_argument("--project", required=True, metavar="FILE", help="the project's file")
    parser.add_argument("--target", default="", metavar="NAME", help="the target in bedplate.toml")
    parser.add_argument("--model", required=True, metavar="NAME@VERSION", help="the version to predict for")
    parser.add_argument("--runtime", default="", metavar="NAME", help="the runtime to ask it by")
    parser.add_argument("--socket", type=int, required=True, metavar="FD", help="the socket to the server, open as this descriptor")
    parser.add_argument("--memory", type=int, required=True, metavar="FD", help="the memory that is shared with it")
    given = parser.parse_args(argv)
    settle()
    try:
        serve(_predictor(given.project, given.target, given.model, given.runtime).rows, given.socket, given.memory)
    except BedplateError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except ConnectionError:  # the server is gone
        return 0
    return 0


def _predictor(project: str, target: str, ref: str, runtime: str) -> RowPredictor:
    parts = open_project(project, target, pickles=False, makes=False).parts
    version = parts.catalog.artifacts.find(ref)
    if version is None:
        raise NotFound(f"there is no {ref}", next="bedplate status")
    predictor = site_of(parts, runtime).load(version, "model", None).predictor
    if not isinstance(predictor, RowPredictor):
        raise UserError(f"{ref} does not compute on rows of numbers", why="it is asked by the server itself")
    return predictor


if __name__ == "__main__":
    sys.exit(main())
