"""The command line: a table of verbs, each loaded when it is used, and one place where errors become exit codes.

Exit codes: 0 done, 1 a step failed, 2 wrong use, 3 the project file, 4 the world, 5 refused, 6 a check did not pass, 70 our bug,
130 interrupted, 141 nobody reads the answer any more (as `| head` does).
"""

from __future__ import annotations

import difflib
import importlib
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NoReturn

import click

from bedplate import __version__
from bedplate.core.errors import BedplateError, InternalError, UserError, WorldError

from .paths import near
from .verbs import VERBS, Verb


class Unread(Exception):
    """Nobody reads the answer any more. No OSError: click would end with its own exit code, that of a step that failed."""


class VerbGroup(click.Group):
    """A group whose commands are rows of the table."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            answer = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            raise Unread from None
        return answer

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [verb.name for verb in VERBS if not verb.hidden]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = next((verb for verb in VERBS if verb.name == cmd_name), None)
        return None if verb is None else load(verb)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for group in dict.fromkeys(verb.group for verb in VERBS):
            with formatter.section(group):
                formatter.write_dl([(verb.name, verb.help) for verb in VERBS if verb.group == group and not verb.hidden])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not any(verb.name == args[0] for verb in VERBS) and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            raise UserError(f"there is no verb '{args[0]}'", next=f"did you mean '{close[0]}'?" if close else "bedplate --help lists them")
        return super().resolve_command(ctx, args)


def load(verb: Verb) -> click.Command:
    """The click command of a verb."""
    command = getattr(importlib.import_module(verb.module, __name__), verb.attribute)
    assert isinstance(command, click.Command)
    return command


@click.group(cls=VerbGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="bedplate")
def cli() -> None:
    """From raw files to a served and watched model, with a record that can be trusted.

    Every verb takes an optional project file; without one it finds the only project in the folder. Add --json for programs.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the right code; no traceback for a user's mistake."""
    try:
        result = cli.main(args=arguments, prog_name="bedplate", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except Unread:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python's own last flush fails too
        sys.exit(141)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help(), err=True)
        sys.exit(UserError.exit_code)
    except click.UsageError as error:
        verb = error.ctx.command_path if error.ctx is not None else "bedplate"
        _end(UserError(error.format_message().rstrip("."), next=f"{verb} --help"), arguments)
    except BedplateError as error:
        _end(error, arguments)
    except OSError as error:
        _end(WorldError(str(error), next=f"bedplate doctor; what bedplate did is in {_report()}"), arguments)
    except Exception:
        what = f"bedplate made a mistake; what it did is in {_report()}"
        _end(InternalError(what, next="please send that file with what you typed"), arguments)


def _end(error: BedplateError, arguments: list[str] | None) -> NoReturn:
    """Say what went wrong on standard error, to programs as a line of JSON, and exit with its code."""
    if "--json" in (sys.argv[1:] if arguments is None else arguments):
        told = {"what": near(error.what), "why": near(error.why), "next": near(error.next), "exit_code": error.exit_code}
        click.echo(json.dumps({"error": told}, ensure_ascii=False), err=True)
    else:
        word = "bug" if isinstance(error, InternalError) else "error"
        click.echo(f"{click.style(word, fg='red', bold=True)}: {near(str(error))}", err=True)
    sys.exit(error.exit_code)


def _report() -> Path:
    """Write the traceback of our own bug to a file, not to the screen."""
    with tempfile.NamedTemporaryFile("w", prefix="bedplate-bug-", suffix=".txt", delete=False) as file:
        file.write(traceback.format_exc())
        return Path(file.name)
