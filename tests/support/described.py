"""Whether messages fit the API's own description."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["complaints"]


def complaints(schemas: dict[str, Any], name: str, values: Iterable[Any]) -> list[str]:
    """Return what does not fit the schema of this name."""
    # Here, as it takes long, and each of the processes that run tests collects all of them.
    import jsonschema  # type: ignore[import-untyped]

    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    validator = jsonschema.Draft202012Validator(schema)
    return [
        f"{error.json_path}: {error.message}"
        for value in values
        for error in validator.iter_errors(value)
    ]
