"""What a tool is: a row that the protocol's lists are derived from, and that asks the table of operations."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Generic, TypeVar

import orjson

from collector.errors import Reason, Rejected
from collector.model.principal import ANONYMOUS, Principal, Scope
from collector.web.operation import AnyOperation, Call, Input, Result, Services
from collector.web.operations import OPERATIONS
from collector.web.reading import reader

_A = TypeVar("_A", bound=Input)
_BY_NAME: Final[Mapping[str, AnyOperation]] = {operation.name: operation for operation in OPERATIONS}

Values = Mapping[str, object]
_NONE: Final[Values] = {}


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who uses a tool, and the services it asks for them."""

    services: Services
    principal: Principal

    async def ask(self, name: str, *, path: Values = _NONE, query: Values = _NONE, body: Values = _NONE) -> Any:
        """The answer of an operation, as JSON. Values that are None are left out. Raises as the operation does."""
        return orjson.loads((await self.result(name, path=path, query=query, body=body)).body)

    async def result(
        self,
        name: str,
        *,
        path: Values = _NONE,
        query: Values = _NONE,
        body: Values = _NONE,
        headers: Mapping[str, str] | None = None,
    ) -> Result:
        """As `ask`, with whatever it answers."""
        operation = _BY_NAME[name]
        assert operation.scope
        refuse_without(self.principal, operation.scope)
        call = Call(
            principal=self.principal,
            path=_read(operation.path_input, "argument", path),
            query=_read(operation.query_input, "argument", query),
            body=_read(operation.body_input, "argument", body),
            headers=headers or {},
        )
        return await operation.handler(self.services, call)


def refuse_without(principal: Principal, scope: Scope) -> None:
    """Raises Rejected(FORBIDDEN) for who does not have the scope."""
    if not principal.may(scope):
        raise Rejected(Reason.FORBIDDEN, f"The token {principal.name!r} does not have the scope {scope.value}.")


def _read(model: type[Input] | None, what: str, values: Values) -> Input | None:
    if model is None:
        return None
    return _reader(model, what)({name: value for name, value in values.items() if value is not None})


@cache
def _reader(model: type[Input], what: str) -> Callable[[Mapping[str, object]], Input]:
    return reader(model, what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Generic[_A]):
    """One thing an agent can do here.

    `operations` are those it asks, of which each needs `scope`. `recorded` says that what it answers was written by the
    senders of spans. Descriptions are read by models, which pay for each word.
    """

    name: str
    title: str
    scope: Scope
    description: str
    takes: type[_A]
    answers: Any
    handler: Callable[[Asker, _A], Awaitable[Mapping[str, Any]]]
    operations: tuple[str, ...] = ()
    recorded: bool = True
    writes: bool = False

    async def __call__(self, asker: Asker, arguments: Values) -> Mapping[str, Any]:
        """What it answers. Raises Rejected or Unavailable with a sentence."""
        if self.writes and asker.principal.name == ANONYMOUS.name:
            self._refuse_unknown(asker.principal)
        refuse_without(asker.principal, self.scope)
        read: Any = _read(self.takes, "argument", arguments)
        return await self.handler(asker, read)

    def _refuse_unknown(self, principal: Principal) -> None:
        if not principal.may(self.scope):
            raise Rejected(
                Reason.FORBIDDEN,
                f"{self.name} needs a token with the scope {self.scope.value}; without one, the setting "
                "web.mcp.anonymous_record.",
            )


AnyTool = Tool[Any]
