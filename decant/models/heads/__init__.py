"""What turns an encoder's token states into features of the text: one file per head.

A head module has `Config`, a settings class of its parameters, and `build(config, hidden_size)`,
which returns a module (states (B, L, H), mask (B, L)) → features (B, F), F as its `output_size`.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import nn

from decant.runtime.errors import UserError
from decant.runtime.plugins import plugins
from decant.runtime.settings import parse


def build_head(kind: str, options: Mapping[str, Any], *, hidden_size: int, where: str) -> nn.Module:
    """A new head. Raises UserError for an unknown kind or wrong options (named after `where`)."""
    typed = typed_options(kind, options, where=where)
    head = _heads()[kind].build(typed, hidden_size)
    assert isinstance(head, nn.Module)
    return head


def check_heads(chosen: str, options: Mapping[str, Mapping[str, Any]], *, where: str) -> None:
    """Raises UserError for whatever is wrong with the chosen head or with any head's options."""
    for kind in (chosen, *options):
        typed_options(kind, options.get(kind, {}), where=where)


def typed_options(kind: str, options: Mapping[str, Any], *, where: str) -> Any:
    """The typed options of a head."""
    module = _heads().get(kind)
    if module is None:
        raise UserError(
            f"there is no head '{kind}'", code="head-unknown", hint=f"heads: {', '.join(_heads())}"
        )
    return parse(module.Config, options, f"{where}.{kind}")


def _heads() -> dict[str, ModuleType]:
    return {module.__name__.rpartition(".")[2]: module for module in plugins(__name__)}
