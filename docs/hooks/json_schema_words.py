"""A JSON schema, as pydantic makes it of a dataclass, in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

# In the place of a name that the schema leaves open, such as that of a model.
ANY_NAME = "NAME"


@dataclass(frozen=True)
class Leaf:
    """A value of the schema.

    Attributes:
        path: its keys, joined by dots.
        allowed: in words, what it may be.
        meaning: its description, empty without one.
    """

    path: str
    allowed: str
    meaning: str


def leaves(schema: Schema, path: str = "") -> Iterator[Leaf]:
    """Every value below a schema, in its order."""
    yield from _leaves(schema, schema.get("$defs", {}), path, "")


def _leaves(schema: Schema, definitions: Schema, path: str, above: str) -> Iterator[Leaf]:
    meaning = " ".join(schema.get("description", above).split())
    schema = _resolved(schema, definitions)
    inner = dict(schema.get("properties", {}))
    if not inner and isinstance(schema.get("additionalProperties"), dict):
        inner = {ANY_NAME: schema["additionalProperties"]}
    if not inner:
        yield Leaf(path, _in_words(schema, definitions), meaning)
    for name, part in inner.items():
        of_all = meaning if name == ANY_NAME else ""
        yield from _leaves(part, definitions, f"{path}.{name}" if path else name, of_all)


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """The schema that a reference names, also where it may be null instead."""
    choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(choices) == 1 and "$ref" in choices[0]:
        schema = choices[0]
    reference = schema.get("$ref", "").rpartition("/")[2]
    found: Schema = definitions[reference] if reference else schema
    return found


def _in_words(schema: Schema, definitions: Schema) -> str:
    schema = _resolved(schema, definitions)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_in_words(choice, definitions) for choice in choices)
    if values := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        return ", ".join(f"`{value}`" for value in values)
    match schema.get("type"):
        case "null":
            return "`null`"
        case "boolean":
            return "`true`, `false`"
        case "integer" | "number":
            kind = "whole number" if schema["type"] == "integer" else "number"
            return f"{kind}{_bounds(schema)}"
        case "array":
            return _list(schema, definitions)
        case "string":
            return "text"
    return ""


def _list(schema: Schema, definitions: Schema) -> str:
    parts = schema.get("prefixItems", [])
    item = schema.get("items") or (parts[0] if parts else {})
    items = _in_words(item, definitions).replace("number", "numbers")
    kind = "pair" if schema.get("maxItems") == 2 else "list"
    return f"{kind} of {items}" if items else kind


def _bounds(schema: Schema) -> str:
    bounds = ("minimum", "from"), ("exclusiveMinimum", "above")
    bounds += ("maximum", "to"), ("exclusiveMaximum", "below")
    parts = [f"{word} {schema[key]:,}" for key, word in bounds if key in schema]
    return f" {' '.join(parts)}" if parts else ""
