"""Work in slices: no other thread runs during one step of the interpreter, however long that step is."""

from collections.abc import Iterator, Sequence
from typing import Protocol, Self, TypeVar

_SLICE = 500

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Sliceable(Protocol):
    def __len__(self) -> int: ...

    def slice(self, offset: int, length: int, /) -> Self: ...


_Rows = TypeVar("_Rows", bound=_Sliceable)


def slices(items: Sequence[_Value], size: int) -> Iterator[Sequence[_Value]]:
    """The items, up to `size` at a time."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def arrow_slices(rows: _Rows, size: int) -> Iterator[_Rows]:
    """An Arrow array, batch or table, up to `size` rows at a time."""
    for begin in range(0, len(rows), size):
        yield rows.slice(begin, size)


def pop_slice(items: dict[_Key, _Value], size: int = _SLICE) -> list[tuple[_Key, _Value]]:
    """Up to `size` items, taken out of a dictionary."""
    return [items.popitem() for _ in range(min(size, len(items)))]


def clear_in_slices(items: dict[_Key, _Value]) -> None:
    """Empty a dictionary that was replaced: freed at once, all of it would be one long step.

    Whoever reads without a lock has to look afterwards whether what it has read is still in use.
    """
    while items:
        pop_slice(items)
