"""Names of budgets whose page other operations would answer: found in the table of operations."""

from collections.abc import Iterable, Iterator
from typing import Final

from starlette.routing import compile_path

from collector.web import budgets
from collector.web.operation import AnyOperation
from collector.web.operations import OPERATIONS

_OWN: Final[AnyOperation] = next(one for one in OPERATIONS if one.handler is budgets.budget)


def shadowed(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Those of `names` that `GET /api/v1/budgets/NAME` does not reach, each with the path that answers instead."""
    start = _OWN.path[: _OWN.path.index("{")]
    patterns = [(one.path, compile_path(one.routed_path)[0]) for one in _tried_before()]
    for name in names:
        answering = next((path for path, pattern in patterns if pattern.match(start + name)), None)
        if answering:
            yield name, answering


def _tried_before() -> Iterator[AnyOperation]:
    """The operations that take a GET and stand before the page of a budget."""
    for operation in OPERATIONS:
        if operation is _OWN:
            return
        if operation.method in {"GET", "ANY"}:
            yield operation
