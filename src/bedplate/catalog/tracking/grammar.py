"""Filters and orders of searches as people write them, read into clauses.

    metrics.auc > 0.9 AND params.`my model` LIKE 'tree%' AND attributes.run_id IN ('a', 'b') AND tags."team" IS NOT NULL

Comparisons joined by AND; there is no OR and there are no parentheses, as in the protocol's own grammar. Names of keys stand bare, in
backticks or in double quotes; text in single or double quotes, where a doubled quote stands for one. What a comparison may say of a key is
checked against the vocabulary of what is searched (runs, experiments, ...). The length of a text, its comparisons and its lists are
limited before anything is made of them; the parser takes time linear in the text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Final, cast

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from bedplate.core.errors import UserError
from bedplate.core.records import Record

from .clauses import Clause, Comparator, Entity, Order, Vocabulary

LONGEST: Final = 100_000
"""Characters of a filter."""
LONGEST_ORDER: Final = 1_000
MOST_CLAUSES: Final = 100
MOST_LISTED: Final = 1_000
MOST_ORDERS: Final = 20
_TEXT: Final = frozenset({"=", "!=", "LIKE", "ILIKE", "IN", "NOT IN"})
_NULL: Final = frozenset({"IS NULL", "IS NOT NULL"})
_NUMBER: Final = frozenset({"=", "!=", "<", "<=", ">", ">="})

_GRAMMAR: Final = r"""
filter: comparison (_AND comparison)*
order: name DIRECTION?
comparison: name OPERATOR value | name LIKE TEXT | name IN "(" TEXT ("," TEXT)* ")" | name NULL
name: WORD | QUOTED | WORD QUOTED | WORD TEXT | QUOTED _DOT (WORD | QUOTED | TEXT)
value: NUMBER | TEXT
_AND: /AND(?![\w.\/:\-])/i
DIRECTION.2: /(ASC|DESC)(?![\w.\/:\-])/i
IN.3: /(NOT\s+)?IN(?=\s*\()/i
LIKE.3: /I?LIKE(?![\w.\/:\-])/i
NULL.3: /IS\s+(NOT\s+)?NULL(?![\w.\/:\-])/i
OPERATOR: /[<>!]=|[<>=]/
NUMBER.2: /[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?(?![\w.\/:\-])/
WORD: /[^\W\d][\w.\/:\-]*/
_DOT: "."
QUOTED: /`[^`]*`/
TEXT: /'([^']|'')*'|"([^"]|"")*"/
%ignore /\s+/
"""


_OWN: Final[dict[str, Entity]] = dict.fromkeys(("attribute", "attributes", "attr"), "attribute")
_TAGS: Final[dict[str, Entity]] = dict.fromkeys(("tag", "tags"), "tag")
_PARAMS: Final[dict[str, Entity]] = dict.fromkeys(("param", "params", "parameter", "parameters"), "param")
_METRICS: Final[dict[str, Entity]] = dict.fromkeys(("metric", "metrics"), "metric")
_DATASETS: Final[dict[str, Entity]] = dict.fromkeys(("dataset", "datasets"), "dataset")

RUNS: Final = Vocabulary(
    text=frozenset({"run_id", "run_name", "user_id", "status", "artifact_uri"}),
    numbers=frozenset({"start_time", "end_time"}),
    entities={**_OWN, "run": "attribute", **_TAGS, **_PARAMS, **_METRICS, **_DATASETS},
    alike={"created": "start_time", "Created": "start_time", "run name": "run_name", "Run name": "run_name", "Run Name": "run_name"},
    fixed={"dataset": frozenset({"name", "digest", "context"})},
)
"""What may be asked of runs."""
EXPERIMENTS: Final = Vocabulary(
    text=frozenset({"name", "experiment_id"}),
    numbers=frozenset({"creation_time", "last_update_time"}),
    entities={**_OWN, **_TAGS},
)
"""What may be asked of experiments."""

TRACES: Final = Vocabulary(
    text=frozenset({"request_id", "status", "name", "run_id", "client_request_id", "prompt"}),
    numbers=frozenset({"timestamp_ms", "execution_time_ms", "end_time_ms", "experiment_id"}),
    entities={
        **_OWN, "trace": "attribute", **_TAGS, "metadata": "metadata", "request_metadata": "metadata", "span": "span",
        "feedback": "feedback", "expectation": "expectation",
    },
    alike={
        "timestamp": "timestamp_ms", "execution_time": "execution_time_ms", "end_time": "end_time_ms", "trace_id": "request_id",
        "run_name": "name",
    },
    fixed={"span": frozenset({"name", "type", "status", "content"})},
)  # fmt: skip
"""What may be asked of traces."""
EVALUATIONS: Final = Vocabulary(
    text=frozenset({"name", "created_by", "last_updated_by"}),
    numbers=frozenset({"created_time", "last_update_time"}),
    entities={**_OWN, **_TAGS},
)
"""What may be asked of datasets for evaluation."""
_BARE: Final = re.compile(r"[\w/:\-][\w./:\-]*")
_NULLABLE: Final = frozenset({"param", "tag", "metadata", "feedback", "expectation"})


class _Said(Record, frozen=True, kw_only=False):
    """One comparison as it was read: nothing is looked up yet. `before` is what stands before the dot."""

    before: str
    key: str
    comparator: Comparator
    texts: tuple[str, ...] = ()
    number: str = ""


def clauses(text: str, vocabulary: Vocabulary) -> tuple[Clause, ...]:
    """The comparisons of a filter; none of an empty one. Raises UserError, which names what is wrong."""
    if len(text) > LONGEST:
        raise UserError(f"'filter' exceeds the maximum length of {LONGEST} characters")
    return tuple(_judged(said, vocabulary) for said in _said(text)) if text.strip() else ()


def orders(texts: Sequence[str], vocabulary: Vocabulary) -> tuple[Order, ...]:
    """The keys to sort by, each said once. Raises UserError."""
    if len(texts) > MOST_ORDERS:
        raise UserError(f"'order_by' has more than {MOST_ORDERS} keys")
    found = tuple(_order(text, vocabulary) for text in texts)
    if len({(order.entity, order.key) for order in found}) < len(found):
        raise UserError("'order_by' contains duplicate fields")
    return found


def written(clause: Clause) -> str:
    """A clause as text that reads back as itself. Raises UserError for a key with a backtick."""
    if "`" in clause.key:
        raise UserError("a key with a backtick cannot be written in a filter", why=clause.key)
    name = f"{clause.entity}.`{clause.key}`"
    if clause.value is None:
        return f"{name} {clause.comparator}"
    if isinstance(clause.value, tuple):
        return f"{name} {clause.comparator} ({', '.join(_quoted(one) for one in clause.value)})"
    return f"{name} {clause.comparator} {_quoted(clause.value) if isinstance(clause.value, str) else repr(clause.value)}"


def spelt(entity: Entity, key: str) -> str:
    """A key as people write it in filters, orders and columns: bare where that can be read, else in backticks or double quotes."""
    if _BARE.fullmatch(key):
        return f"{entity}s.{key}"
    return f"{entity}s.`{key}`" if "`" not in key else f"{entity}s.{_marked(key)}"


def _marked(key: str) -> str:
    return '"' + key.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unquoted(token: str) -> str:
    mark = token[0]
    return token[1:-1] if mark == "`" else token[1:-1].replace(mark * 2, mark)


@functools.cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", start=["filter", "order"])


def _parsed(text: str, start: str, field: str) -> Tree[Token]:
    try:
        return _parser().parse(text, start=start)
    except UnexpectedInput as error:
        place = error.pos_in_stream if isinstance(error.pos_in_stream, int) and error.pos_in_stream >= 0 else len(text)
        near = text[place : place + 30].strip() or "its end"
        raise UserError(f"Invalid clause in '{field}': it cannot be read from character {place + 1} on, near: {near}") from None


@functools.lru_cache(maxsize=256)
def _said(text: str) -> tuple[_Said, ...]:
    found = _parsed(text, "filter", "filter").children
    if len(found) > MOST_CLAUSES:
        raise UserError(f"'filter' has more than {MOST_CLAUSES} comparisons")
    return tuple(_comparison(cast("Tree[Token]", one)) for one in found)


def _comparison(tree: Tree[Token]) -> _Said:
    name, comparator, *given = tree.children
    before, key = _name(cast("Tree[Token]", name))
    told = cast(Comparator, " ".join(str(comparator).upper().split()))
    tokens = [cast(Token, one.children[0] if isinstance(one, Tree) else one) for one in given]
    if len(tokens) > MOST_LISTED:
        raise UserError(f"'filter' lists more than {MOST_LISTED} values for '{key}'")
    if tokens and tokens[0].type == "NUMBER":
        return _Said(before, key, told, number=str(tokens[0]))
    return _Said(before, key, told, tuple(_unquoted(str(token)) for token in tokens))


def _name(tree: Tree[Token]) -> tuple[str, str]:
    """What stands before the dot (empty: nothing) and the key after it."""
    words = [str(word) for word in tree.children]
    if len(words) == 2 and not words[0].startswith("`"):
        before, dot, key = words[0].partition(".")
        if not words[0].endswith("."):
            raise UserError(f"Invalid identifier in 'filter': there is no dot between {words[0]} and {words[1]}")
        return before, key + _unquoted(words[1])
    if len(words) == 2:
        return _unquoted(words[0]), _unquoted(words[1]) if words[1][0] in "`'\"" else words[1]
    if words[0].startswith("`"):
        return "", _unquoted(words[0])
    before, dot, key = words[0].partition(".")
    return (before, key) if dot else ("", before)


def _order(text: str, vocabulary: Vocabulary) -> Order:
    if len(text) > LONGEST_ORDER:
        raise UserError(f"'order_by' exceeds the maximum length of {LONGEST_ORDER} characters")
    name, *direction = _parsed(text, "order", "order_by").children
    entity, key = _known(*_name(cast("Tree[Token]", name)), vocabulary)
    if entity == "dataset":
        raise UserError("Invalid 'order_by': nothing can be sorted by datasets")
    return Order(entity, key, bool(direction) and str(direction[0]).upper() == "DESC")


def _known(before: str, key: str, vocabulary: Vocabulary) -> tuple[Entity, str]:
    """Raises UserError for what the vocabulary does not have."""
    entity = vocabulary.entities.get(before) if before else "attribute"
    if entity is None:
        known = sorted(set(vocabulary.entities.values()))
        raise UserError(f"Invalid entity type '{before[:50]}'. Valid values are {known}")
    if entity == "attribute":
        key = vocabulary.alike.get(key, key)
        fixed: frozenset[str] | None = vocabulary.text | vocabulary.numbers
    else:
        fixed = vocabulary.fixed.get(entity)
    if fixed is not None and key not in fixed:
        raise UserError(f"Invalid {entity} key '{key[:50]}' specified. Valid keys are {sorted(fixed)}")
    if not key:
        raise UserError(f"a key must stand after '{before[:50]}.'")
    return entity, key


def _judged(said: _Said, vocabulary: Vocabulary) -> Clause:
    """The comparison, of what there is and with what it can be compared. Raises UserError."""
    entity, key = _known(said.before, said.key, vocabulary)
    numeric = entity == "metric" or (entity == "attribute" and key in vocabulary.numbers)
    allowed = _NUMBER if numeric else _TEXT | _NULL if entity in _NULLABLE else _TEXT
    name = f"{entity} '{key[:50]}'"
    if said.comparator not in allowed:
        raise UserError(f"Invalid comparator '{said.comparator}' for {name}, not one of {sorted(allowed)}")
    if said.comparator in _NULL:
        return Clause(entity, key, said.comparator)
    if numeric != bool(said.number):
        wanted = "a number" if numeric else "a quoted text"
        raise UserError(f"Expected {wanted} to compare {name} with, found {said.number or _quoted(said.texts[0])[:50]}")
    if numeric:
        return Clause(entity, key, said.comparator, _number(said.number, whole=entity == "attribute"))
    return Clause(entity, key, said.comparator, said.texts if said.comparator in ("IN", "NOT IN") else said.texts[0])


def _number(text: str, *, whole: bool) -> int | float:
    """A number; `whole` ones stay so where 64 bits hold them."""
    digits = text.lstrip("+-").isdecimal()
    if digits and whole and len(text) <= 20 and -(2**63) <= int(text) < 2**63:
        return int(text)
    return float(text)
