"""What turns an encoder's token states into logits: one file per head.

A head module has `Config`, a settings class of its parameters, and
`build(config, hidden_size, classes)`, which returns a module
(states (B, L, H), mask (B, L)) → logits (B, classes).
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import nn

from components.shared.errors import UserError
from components.shared.plugins import plugins
from components.shared.settings import parse


def build_head(
    kind: str, options: Mapping[str, Any], *, hidden_size: int, classes: int, where: str
) -> nn.Module:
    """A new head. Raises UserError for an unknown kind or wrong options (named after `where`)."""
    module = _heads().get(kind)
    if module is None:
        raise UserError(f"no head '{kind}'", remedy=f"heads: {', '.join(_heads())}")
    head = module.build(parse(module.Config, options, f"{where}.{kind}"), hidden_size, classes)
    assert isinstance(head, nn.Module)
    return head


def _heads() -> dict[str, ModuleType]:
    return {module.__name__.rpartition(".")[2]: module for module in plugins(__name__)}
