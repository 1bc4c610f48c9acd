"""A row of an answer, as asyncpg's Record is one: by place, by name, in order."""

from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar


class Row(tuple[Any, ...]):
    """Made for the columns of one statement by `row_of`."""

    __slots__ = ()
    columns: ClassVar[dict[str, int]]  # name -> place

    def __getitem__(self, which: Any) -> Any:
        return tuple.__getitem__(self, self.columns[which] if type(which) is str else which)

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self.columns else default

    def keys(self) -> Iterator[str]:
        return iter(self.columns)

    def values(self) -> Iterator[Any]:
        return iter(self)

    def items(self) -> Iterator[tuple[str, Any]]:
        return zip(self.columns, self, strict=True)

    def __repr__(self) -> str:
        return f"<Row {' '.join(f'{name}={value!r}' for name, value in self.items())}>"


@cache
def row_of(columns: str) -> type[Row]:
    """The class of rows with these columns, named one after the other with spaces between."""
    places = {name: place for place, name in enumerate(columns.split())}
    return type("Row", (Row,), {"__slots__": (), "columns": places})
