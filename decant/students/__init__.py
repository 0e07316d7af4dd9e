"""Students: an embedding table over token ids and one of several architectures.

An architecture is one file here, with the network, and one of the same name in options/, with its
parameters. The network's file has
    build(config, *, width, max_length_tokens)
                           its module: (embedded (B, L, width), mask (B, L)) → features (B, F), with
                           F as its `output_size`; padded positions must not change them
    transfer(body, bert)   copies what it can from BERT's layers into the module, and returns the
                           names of the parameters that it filled, each with whether all of it was
                           filled

This module and options/ do not import torch: parameters are checked where nothing is trained.
"""

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from decant.runtime.errors import UserError
from decant.runtime.plugins import plugin_names
from decant.runtime.settings import parse


def architecture(name: str) -> ModuleType:
    """The module of an architecture. Raises UserError naming the known ones."""
    _check_known(name)
    return importlib.import_module(f"{__name__}.{name}")


def typed_options(name: str, options: Mapping[str, Any]) -> Any:
    """An architecture's options. Raises UserError for whatever is wrong with them."""
    _check_known(name)
    config = importlib.import_module(f"{__name__}.options.{name}").Config
    return parse(config, options, f"transfer_weights.students.{name}")


def _check_known(name: str) -> None:
    known = plugin_names(__name__)
    if name not in known:
        raise UserError(
            f"there is no student architecture '{name}'",
            code="student-unknown",
            hint=f"known: {', '.join(known)}",
        )
