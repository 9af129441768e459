"""The `next` of a page: the row that it ends with, and a mark of what was asked: it means nothing in another list."""

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from collector.errors import Reason, Rejected
from collector.web.inputs import Page
from collector.web.operation import Input

_WRITTEN: Final = re.compile(r"(-?(?:[0-9]{1,18}|[1-8][0-9]{18}))-([0-9a-f]{8})-(.+)\Z", re.DOTALL)  # fits 63 bits
_MAX_SHOWN: Final = 60
# What may differ from page to page: how much is shown of how many, and a period that moves on with the clock.
_FREE: Final = frozenset({"limit", "after", "titles", "format", "since", "until"})


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page: what it is ordered by, and its id. `mark` is of the list that it is in."""

    value: int
    mark: str
    name: str

    @property
    def text(self) -> str:
        return f"{self.value}-{self.mark}-{self.name}"


def _cursor(value: object, info: ValidationInfo) -> Cursor | None:
    if not value or isinstance(value, Cursor):
        return value or None  # type: ignore[return-value]  # it is a Cursor
    found = _WRITTEN.match(str(value))
    if not found:
        raise Rejected(Reason.MALFORMED, f"{info.field_name}={str(value)[:_MAX_SHOWN]!r} is not the `next` of a page.")
    return Cursor(int(found[1]), found[2], found[3])


class MarkedPage(Page):
    """A page of a list that can be asked for in other orders or with other filters."""

    after: Annotated[Cursor | None, BeforeValidator(_cursor), WithJsonSchema({"type": "string"})] = Field(  # type: ignore[assignment]
        None, description="The `next` of the page before, with the same order and filters; empty for the first."
    )

    def position(self, of: str = "") -> Cursor | None:
        """Where the page begins; `of` is what else the list depends on. Raises Rejected for the `next` of another."""
        if self.after and self.after.mark != _mark(self, of):
            shown = self.after.text[:_MAX_SHOWN]
            raise Rejected(
                Reason.MALFORMED,
                f"after={shown!r} is the `next` of a list with another order or other filters; ask for the first page, "
                "without after.",
            )
        return self.after

    def next_after(self, value: int, name: str, of: str = "") -> str:
        """The `next` of a page that ends with this row."""
        return Cursor(value, _mark(self, of), name).text


def _mark(asked: Input, of: str) -> str:
    text = f"{of}\n{asked.model_dump_json(exclude=set(_FREE))}"
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
