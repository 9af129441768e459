"""Arrow columns grown row by row: flat values with offsets, so that maps and lists cost no Python tuple per entry."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from collector.decode import anyvalue
from collector.decode.details import Types
from collector.model.columns import MAP, TEXT


class MapColumn:
    """A column of attribute maps; entries stay in the order and number they were sent."""

    def __init__(self) -> None:
        self.offsets: list[int] = [0]
        self._keys: list[str] = []
        self._values: list[str] = []

    def append(self, attributes: Iterable[Any], extra: Iterable[tuple[str, str]] = ()) -> Types:
        """Add a row from KeyValue messages and plain pairs after them; the types of those that are no strings.

        Of one key the last type counts.
        """
        keys, values = self._keys, self._values
        types: dict[str, str] = {}
        for pair in attributes:
            key, value = pair.key, pair.value
            keys.append(key)
            # Most values are strings; the general conversion costs twice as much.
            if value.WhichOneof("value") == "string_value":
                values.append(value.string_value)
            else:
                values.append(anyvalue.text(value))
                types[key] = anyvalue.type_name(value)
        for key, plain in extra:
            keys.append(key)
            values.append(plain)
        self.offsets.append(len(keys))
        return types

    def repeat(self, count: int) -> None:
        """Add the last row's entries again `count` times."""
        if not count:
            return
        begin, end = self.offsets[-2], self.offsets[-1]
        self._keys += self._keys[begin:end] * count
        self._values += self._values[begin:end] * count
        width = end - begin
        self.offsets += range(end + width, end + width * count + 1, width) if width else [end] * count

    def array(self) -> pa.Array:
        return pa.MapArray.from_arrays(
            pa.array(self.offsets, pa.int32()), pa.array(self._keys, TEXT), pa.array(self._values, TEXT), MAP
        )


class ListColumn:
    """A column of lists; append values, then close the row."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind
        self.values: list[Any] = []
        self._offsets: list[int] = [0]

    def close(self) -> None:
        self._offsets.append(len(self.values))

    def array(self) -> pa.Array:
        return pa.ListArray.from_arrays(pa.array(self._offsets, pa.int32()), pa.array(self.values, self._kind))


class MapListColumn:
    """A column of lists of attribute maps."""

    def __init__(self) -> None:
        self.maps = MapColumn()
        self._offsets: list[int] = [0]

    def close(self) -> None:
        self._offsets.append(len(self.maps.offsets) - 1)

    def array(self) -> pa.Array:
        return pa.ListArray.from_arrays(pa.array(self._offsets, pa.int32()), self.maps.array())
