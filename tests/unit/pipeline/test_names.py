"""What code refers to and its shape, held against Python's own compiler on real code: its library and ours."""

from __future__ import annotations

import ast
import dataclasses
import dis
import inspect
import statistics
import types
import zipfile
from collections.abc import Iterator
from types import CodeType, ModuleType

import pytest

from bedplate.pipeline.code import closure, names
from bedplate.pipeline.code.names import References
from bedplate.pipeline.code.shape import shape

MODULES = [dataclasses, statistics, types, zipfile, closure, names]
_READS = ("LOAD_GLOBAL", "LOAD_NAME")


def codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def functions(module: ModuleType) -> Iterator[ast.FunctionDef]:
    """The functions of a module without annotations, which the compiler may leave out."""
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
    yield from (node for node in tree.body if isinstance(node, ast.FunctionDef))
    for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        yield from (node for node in owner.body if isinstance(node, ast.FunctionDef))


def compiled(function: ast.FunctionDef) -> set[str]:
    """The global names that the compiler reads for a function."""
    code = compile(ast.Module([function], []), "f", "exec")
    return {
        instruction.argval for inner in codes(code) for instruction in dis.get_instructions(inner) if instruction.opname in _READS
    }  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_names_read_are_those_that_the_compiler_reads(module: ModuleType) -> None:
    """None is missed; none is invented but what a nested class body or a dead branch reads."""
    seen = 0
    for function in functions(module):
        references = References()
        references.read(function)
        read = {chain[0] for chain in references.chains}
        assert compiled(function) - read <= {"__name__"}, function.name
        invented = read - compiled(function) - {"__debug__"}
        bound_in_class = {
            name.id
            for inner in ast.walk(function)
            if isinstance(inner, ast.ClassDef | ast.AnnAssign)
            for name in ast.walk(inner)
            if isinstance(name, ast.Name)
        }
        assert invented <= bound_in_class, function.name
        seen += len(read)
    assert seen > 20


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_shape_survives_being_written_anew(module: ModuleType) -> None:
    """Other formatting, no comments: one shape. Every other constant: another shape."""
    tree = ast.parse(inspect.getsource(module))
    again = ast.parse(ast.unparse(tree))
    assert shape(tree.body) == shape(again.body)
    found = [shape([statement]) for statement in tree.body]
    for node in ast.walk(again):
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            node.value = node.value + 1 if not isinstance(node.value, bool) else not node.value
    assert found != [shape([statement]) for statement in again.body]


def test_equal_looking_constants_of_other_types_have_other_shapes() -> None:
    texts = ["1", "1.0", "True", "'1'", "b'1'", "1j", "...", "None", "-1", "(1,)", "[1]", "{1}"]
    assert len({shape(ast.parse(text).body) for text in texts}) == len(texts)


def test_a_name_is_read_with_its_attributes() -> None:
    references = References()
    references.read(ast.parse("def f(a):\n    import x.y\n    return helpers.clean.rows(a.b, [c for c in d], lambda e: e + g)[h].i"))
    assert references.chains == {("helpers", "clean", "rows"), ("d",), ("g",), ("h",)}
    assert {found.module for found in references.imports} == {"x", "x.y"}
