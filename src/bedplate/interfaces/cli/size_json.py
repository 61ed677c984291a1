"""`bedplate size ask`: a question as JSON, in the form in which every answer tells its own; how programs and the console ask."""

from __future__ import annotations

from typing import IO, Any

import click
import msgspec

from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Question

from .size_ask import SETTINGS, answered


@click.command("ask")
@click.argument("file", type=click.File("rb"), default="-", metavar="[FILE.json]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(file: IO[bytes], as_json: bool) -> int:
    """Answer a question in JSON, of a file or of standard input: what `question` is in the JSON of another answer."""
    try:
        question: Question = msgspec.json.decode(file.read(), type=Question)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"the question cannot be read: {error}", why="it is no question in JSON", next="take one from: bedplate size train ... --json"
        ) from None
    given: dict[str, Any] = click.get_current_context().find_root().meta.get(SETTINGS, {})
    return answered(question, given, None, None, as_json)
