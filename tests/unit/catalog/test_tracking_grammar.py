"""The grammar of searches: what is written reads back as itself, what people write is read as they mean it, all else is refused at once."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.catalog.tracking import grammar
from bedplate.catalog.tracking.clauses import Clause, Order
from bedplate.core.errors import UserError

KEYS = st.text(st.characters(exclude_characters="`", exclude_categories=["Cs"]), min_size=1, max_size=20)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TEXT = st.one_of(
    st.tuples(st.sampled_from(["=", "!=", "LIKE", "ILIKE"]), WORDS),
    st.tuples(st.sampled_from(["IN", "NOT IN"]), st.lists(WORDS, min_size=1, max_size=4).map(tuple)),
    st.tuples(st.sampled_from(["IS NULL", "IS NOT NULL"]), st.none()),
)
NUMBERS = st.tuples(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), st.floats(allow_nan=False, allow_infinity=False))
CLAUSES = st.one_of(
    st.builds(lambda entity, key, said: Clause(entity, key, *said), st.sampled_from(["param", "tag"]), KEYS, TEXT),
    st.builds(lambda key, said: Clause("metric", key, *said), KEYS, NUMBERS),
    st.builds(
        lambda key, comparator, value: Clause("attribute", key, comparator, value), st.sampled_from(["start_time", "end_time"]),
        st.sampled_from(["=", "<", ">="]), st.integers(-(2**63), 2**63 - 1),
    ),
)  # fmt: skip


@given(st.lists(CLAUSES, min_size=1, max_size=5))
def test_what_is_written_reads_back_as_itself(clauses: list[Clause]) -> None:
    """Every key without a backtick and every text, number and list; in either case of AND, on several lines."""
    for joined in (" AND ", "\n  and\t"):
        assert grammar.clauses(joined.join(grammar.written(clause) for clause in clauses), grammar.RUNS) == tuple(clauses)


PIECES = st.lists(
    st.sampled_from([*"metrics.params`'\"()<>=!,;-% 0123aAND\n\0", " AND ", " LIKE ", " IN (", "IS NULL", "tags."]), max_size=60
)


@settings(max_examples=300)
@given(PIECES.map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    """What is read says the same when it is written; nothing but UserError is raised for the rest."""
    try:
        read = grammar.clauses(text, grammar.RUNS)
    except UserError:
        return
    assert grammar.clauses(" AND ".join(grammar.written(clause) for clause in read), grammar.RUNS) == read


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("metrics.auc > 0.9", Clause("metric", "auc", ">", 0.9)),
        ("metric.a=-1e-3", Clause("metric", "a", "=", -0.001)),
        ("metrics.`a b` <= +.5", Clause("metric", "a b", "<=", 0.5)),
        ('params.x = "it\'s"', Clause("param", "x", "=", "it's")),
        ("params.x = 'it''s'", Clause("param", "x", "=", "it's")),
        ('tags."team x" IS  not NULL', Clause("tag", "team x", "IS NOT NULL")),
        ("tags.mlflow.source.name ilike '%A'", Clause("tag", "mlflow.source.name", "ILIKE", "%A")),
        ("`metrics`.`m` != 1", Clause("metric", "m", "!=", 1.0)),
        ("metrics.in > 3", Clause("metric", "in", ">", 3.0)),
        ("params.日本語 = 'ü'", Clause("param", "日本語", "=", "ü")),
        ("run_name = 'x'", Clause("attribute", "run_name", "=", "x")),
        ("attributes.`Run Name` = 'x'", Clause("attribute", "run_name", "=", "x")),
        ("created >= 5", Clause("attribute", "start_time", ">=", 5)),
        ("run_id NOT IN ('a', \"b\")", Clause("attribute", "run_id", "NOT IN", ("a", "b"))),
        ("datasets.context IN ('train')", Clause("dataset", "context", "IN", ("train",))),
        ("metrics.`x') OR 1=1 --` > 0", Clause("metric", "x') OR 1=1 --", ">", 0.0)),
    ],
)
def test_filters_are_read_as_people_write_them(text: str, clause: Clause) -> None:
    """With the protocol's words for the same, its quotes, and keys that look like words of the grammar."""
    assert grammar.clauses(text, grammar.RUNS) == (clause,)


@pytest.mark.parametrize(
    "text",
    [
        "params.a = 'x' OR '1'='1'", "(metrics.a > 1)", "metrics.a > 1;", "metrics.a > 1 AND", "AND", ";", "metrics.a", "metrics.a >",
        "metrics.a == 1", "metrics.a <> 1", "metrics.a > 'x'", "metrics.a LIKE 'x'", "metrics.a > inf", "metrics.a IS NULL", "params.a = 5",
        "params.a > 'x'", "params.a = x", "nothing = 'x'", "nobody.a = 'x'", "dataset.size = 'x'", "status > 'x'", "run_id IN ()",
        "run_id IN ('a',)", "start_time = '5'", "params.a = 'x", "params. = 'x'", "params.a = 'x' params.b = 'y'", "start_time IN ('1')",
    ],
)  # fmt: skip
def test_what_the_grammar_does_not_have_is_refused(text: str) -> None:
    """With what is wrong, and never with a traceback."""
    with pytest.raises(UserError):
        grammar.clauses(text, grammar.RUNS)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("x" * 100_001, "maximum length"),
        (" AND ".join(["metrics.a > 1"] * 101), "more than 100"),
        ("run_id IN (" + ", ".join(["'a'"] * 1001) + ")", "more than 1000"),
        ("(" * 90_000, "character 1"),
        ("metrics.a > 1 AND " * 5_000, "character"),
        ("'" * 99_999, "character"),
        ("params.a = '" + "''" * 49_000, "character"),
    ],
)
def test_what_is_too_much_is_refused_at_once(text: str, named: str) -> None:
    """Length, comparisons and lists have limits; nothing takes more than linear time (a second here is generous)."""
    began = time.process_time()
    with pytest.raises(UserError, match=named):
        grammar.clauses(text, grammar.RUNS)
    assert time.process_time() - began < 1


def test_orders_are_read() -> None:
    """A key, quoted or not, and a direction in any case; each key once."""
    said = ["metrics.`a b` DESC", "params.desc desc", "Created", 'tags."t" asc', "attributes.end_time"]
    assert grammar.orders(said, grammar.RUNS) == (
        Order("metric", "a b", True), Order("param", "desc", True), Order("attribute", "start_time"), Order("tag", "t"),
        Order("attribute", "end_time"),
    )  # fmt: skip
    for wrong in (["metrics.a", "metric.a DESC"], ["metrics.a sideways"], ["metrics.a, params.b"], ["dataset.name"], [""], ["a"] * 21):
        with pytest.raises(UserError):
            grammar.orders(wrong, grammar.RUNS)


def test_a_key_with_a_backtick_cannot_be_written() -> None:
    """It is said, not mangled."""
    with pytest.raises(UserError, match="backtick"):
        grammar.written(Clause("tag", "a`b", "=", "x"))
