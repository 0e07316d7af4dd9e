"""YAML that people write, as plain values: mappings, lists, texts, numbers, dates.

A few lines of it can stand for more values than any memory holds, or for a list in itself, by
references (`&name`, `*name`). No parameter needs that, so such a text is refused.
"""

from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_MOST_VALUES = 100_000  # those behind references counted each time
_DEEPEST = 100


class UnusableYaml(YAMLError):
    """It may be YAML, but not of this kind; its text quotes nothing of it."""


def load_yaml(text: str) -> Any:
    """The content of one document. Raises YAMLError."""
    try:
        content = YAML(typ="safe").load(text)
    except RecursionError:
        raise UnusableYaml("it is nested too deeply") from None
    except (ValueError, OverflowError) as error:  # the 31st of February, a number of 5,000 digits
        raise UnusableYaml(str(error)) from None
    _check_size(content)
    return content


def _check_size(content: Any) -> None:
    """Level by level, so that it ends early in whatever shape."""
    level, count = [content], 0
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, Mapping):
                inner += one.values()
            elif isinstance(one, list | tuple | set):
                inner += one
            if count + len(inner) > _MOST_VALUES:
                raise UnusableYaml(
                    f"it has more than {_MOST_VALUES:,} values, those behind references included"
                )
        if not inner:
            return
        level, count = inner, count + len(inner)
    raise UnusableYaml(f"it is nested more than {_DEEPEST} levels deep, or refers to itself")
