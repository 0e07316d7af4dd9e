"""What turns an encoder's token states into features of the text: one file per head.

A head's file has `build(config, hidden_size)`, which returns a module (states (B, L, H), mask
(B, L)) → features (B, F), F as its `output_size`. The file of the same name in options/ has
`Config`, a settings class of its parameters.

This module and options/ do not import torch: parameters are checked where nothing is trained.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from decant.runtime.errors import UserError
from decant.runtime.plugins import plugin_names
from decant.runtime.settings import parse

if TYPE_CHECKING:
    from torch import nn


def build_head(
    kind: str, options: Mapping[str, Any], *, hidden_size: int, where: str
) -> "nn.Module":
    """A new head. Raises UserError for an unknown kind or wrong options (named after `where`)."""
    typed = typed_options(kind, options, where=where)
    head: nn.Module = importlib.import_module(f"{__name__}.{kind}").build(typed, hidden_size)
    return head


def check_heads(chosen: str, options: Mapping[str, Mapping[str, Any]], *, where: str) -> None:
    """Raises UserError for whatever is wrong with the chosen head or with any head's options."""
    for kind in (chosen, *options):
        typed_options(kind, options.get(kind, {}), where=where)


def typed_options(kind: str, options: Mapping[str, Any], *, where: str) -> Any:
    """The typed options of a head."""
    known = plugin_names(__name__)
    if kind not in known:
        raise UserError(
            f"there is no head '{kind}'", code="head-unknown", hint=f"heads: {', '.join(known)}"
        )
    config = importlib.import_module(f"{__name__}.options.{kind}").Config
    return parse(config, options, f"{where}.{kind}")
