"""Small files, small functions, short lines; no exceptions."""

import ast
from statistics import median

from tests.house.tree import ROOT, python_files

FILE_LINES = 400
FUNCTION_LINES = 70
LINE_CHARACTERS = 110


def test_no_file_is_too_long() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in python_files()}
    assert [f"{path.relative_to(ROOT)}: {size}" for path, size in sizes.items() if size > FILE_LINES] == []


def test_no_function_is_too_long() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1}"
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno
        and node.end_lineno - node.lineno >= FUNCTION_LINES
    ]
    assert long == []


def test_no_line_is_too_long() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in python_files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > LINE_CHARACTERS
    ]
    assert long == []


def test_most_functions_are_far_below_the_limit() -> None:
    lengths = [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert median(lengths) <= 15
