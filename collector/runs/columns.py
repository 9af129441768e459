"""Arrow columns as Python values: what most spans of a run are never asked for is read when it is."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def texts(column: pa.ChunkedArray) -> list[str]:
    """The texts of each row, empty where there is none. Equal texts are one object: most of a run repeat."""
    return [text for chunk in column.chunks for text in _repeating(chunk)]


def distinct_texts(column: pa.ChunkedArray) -> list[str]:
    """As `texts`, for columns whose values rarely repeat."""
    values: list[str] = column.fill_null("").to_pylist()
    return values


def counts(column: pa.ChunkedArray) -> list[int]:
    """The whole numbers of each row, 0 where there is none; of times their Unix nanoseconds."""
    values: list[int] = column.cast(_signed(column.type)).fill_null(0).to_pylist()
    return values


def maps(column: pa.ChunkedArray) -> list[Mapping[str, str]]:
    """The map of each row."""
    return [found for chunk in column.chunks for found in _maps(chunk)]


def lengths(column: pa.ChunkedArray) -> list[int]:
    """How long the list of each row is."""
    return counts(pc.list_value_length(column))


def lists_of_texts(column: pa.ChunkedArray) -> list[list[str]]:
    """The texts in the list of each row."""
    values: list[list[str] | None] = column.to_pylist()
    return [value or [] for value in values]


def lists_of_maps(column: pa.ChunkedArray) -> list[list[Mapping[str, str]]]:
    """The maps in the list of each row."""
    return [found for chunk in column.chunks for found in _lists_of_maps(chunk)]


def starting(attributes: Mapping[str, str], prefixes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The attributes whose keys start with one of `prefixes`.

    In a stored map without them nothing is read, not even its keys.
    """
    if not may_have(attributes, prefixes):
        return iter(())
    return ((key, text) for key, text in attributes.items() if key.startswith(prefixes))


def may_have(attributes: Mapping[str, str], prefixes: tuple[str, ...]) -> bool:
    """False only when no key starts with one of `prefixes`; of a stored map this is known without reading it."""
    return not isinstance(attributes, StoredMap) or attributes.may_have(prefixes)


class MapColumn:
    """The maps of a column. Which keys there are at all is known at once, texts are read row by row."""

    __slots__ = ("_found", "_items", "_keys", "known")

    def __init__(self, array: pa.MapArray) -> None:
        self._keys = texts(pa.chunked_array([array.keys]))
        self._items = array.items
        self._found: dict[tuple[str, ...], bool] = {}
        self.known = frozenset(self._keys)

    def read(self, begin: int, end: int) -> dict[str, str]:
        """The map from item `begin` to `end`. Of equal keys the last wins."""
        return dict(zip(self._keys[begin:end], self._items.slice(begin, end - begin).to_pylist(), strict=True))

    def may_have(self, prefixes: tuple[str, ...]) -> bool:
        """Whether any map has a key that starts with one of `prefixes`."""
        found = self._found.get(prefixes)
        if found is None:
            found = self._found[prefixes] = any(key.startswith(prefixes) for key in self.known)
        return found


class StoredMap(Mapping[str, str]):
    """One map of a column, read when it is asked for a key that some map of the column has."""

    __slots__ = ("_begin", "_column", "_end", "_values")

    def __init__(self, column: MapColumn, begin: int, end: int) -> None:
        self._column, self._begin, self._end = column, begin, end
        self._values: dict[str, str] | None = None

    def may_have(self, prefixes: tuple[str, ...]) -> bool:
        """False when no key starts with one of `prefixes`."""
        return self._begin != self._end and self._column.may_have(prefixes)

    def __getitem__(self, key: str) -> str:
        if key not in self._column.known:
            raise KeyError(key)
        return self._read()[key]

    def get(self, key: str, default: Any = None) -> Any:
        """As a dictionary's: most keys that are asked for are in no map of the column."""
        return self._read().get(key, default) if key in self._column.known else default

    def __contains__(self, key: object) -> bool:
        return key in self._column.known and key in self._read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return repr(self._read())

    def _read(self) -> dict[str, str]:
        if self._values is None:
            self._values = self._column.read(self._begin, self._end)
        return self._values


def _maps(array: pa.MapArray) -> list[Mapping[str, str]]:
    column = MapColumn(array)
    return [StoredMap(column, begin, end) for begin, end in pairwise(array.offsets.to_pylist())]


def _lists_of_maps(array: pa.ListArray) -> list[list[Mapping[str, str]]]:
    found = _maps(array.values) if len(array.values) else []
    return [found[begin:end] for begin, end in pairwise(array.offsets.to_pylist())]


def _repeating(array: pa.Array) -> Iterable[str]:
    encoded = array.fill_null("").dictionary_encode()
    return map(encoded.dictionary.to_pylist().__getitem__, encoded.indices.to_pylist())


def _signed(kind: pa.DataType) -> pa.DataType:
    """Arrow gives times as Python's datetime, which would cut their nanoseconds."""
    return pa.int64() if pa.types.is_timestamp(kind) else kind
