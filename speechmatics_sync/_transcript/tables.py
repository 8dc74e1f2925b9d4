"""Lists that a notebook, and an IPython prompt, show as a table."""

# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any, TypeVar, Union, overload

__all__ = ["Table"]

_T = TypeVar("_T")


class Table(list[_T]):
    """A list of dataclass instances. It differs from another list only in how it is shown."""

    @overload  # type: ignore[override]
    def __getitem__(self, index: int) -> _T: ...

    @overload
    def __getitem__(self, index: slice[Any, Any, Any]) -> Table[_T]: ...

    def __getitem__(self, index: Any) -> Union[_T, Table[_T]]:
        found: Any = super().__getitem__(index)
        return Table(found) if isinstance(index, slice) else found

    def __reduce_ex__(self, protocol: Any) -> Any:
        # As a plain list: a pickle names no private class.
        return (list, (list(self),)) if type(self) is Table else super().__reduce_ex__(protocol)

    def _repr_html_(self) -> str:
        from .views.table import table_html

        return table_html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        from .views.table import table_text

        printer.text(table_text(self))
