"""What disks, hands and strangers do to one file; each tells what it has done.

Those of FILE_HARMS spoil any file, those of JSON_HARMS a JSON object in ways in which it is still
JSON, those of WEIGHT_HARMS the tensors of a safetensors file, which stays one.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

Harm = Callable[[random.Random, Path], str]
_LONG = 1_000_000  # characters
_DEEP = 100_000  # levels
_SPECIAL_NUMBERS = (float("nan"), float("inf"), float("-inf"))


def cut(rng: random.Random, file: Path) -> str:
    content = file.read_bytes()
    kept = rng.randrange(len(content)) if content else 0
    file.write_bytes(content[:kept])
    return f"{file.name} cut after {kept} of {len(content)} bytes"


def flip(rng: random.Random, file: Path) -> str:
    content = bytearray(file.read_bytes())
    place, bit = rng.randrange(len(content)), rng.randrange(8)
    content[place] ^= 1 << bit
    file.write_bytes(content)
    return f"bit {bit} of byte {place} of {file.name} flipped"


def empty(rng: random.Random, file: Path) -> str:
    file.write_bytes(b"")
    return f"{file.name} emptied"


def remove(rng: random.Random, file: Path) -> str:
    file.unlink()
    return f"{file.name} removed"


def replace_by_noise(rng: random.Random, file: Path) -> str:
    size = rng.randrange(1, 4096)
    file.write_bytes(rng.randbytes(size))
    return f"{file.name} replaced by {size} random bytes"


def replace_by_zeros(rng: random.Random, file: Path) -> str:
    size = file.stat().st_size
    file.write_bytes(bytes(size))
    return f"{file.name} replaced by {size} zeros"


def replace_by_folder(rng: random.Random, file: Path) -> str:
    file.unlink()
    file.mkdir()
    return f"a folder in place of {file.name}"


def replace_by_circle(rng: random.Random, file: Path) -> str:
    file.unlink()
    file.symlink_to(file.name)
    return f"a link to itself in place of {file.name}"


def append(rng: random.Random, file: Path) -> str:
    size = rng.choice([1, 8, 4096])
    with file.open("ab") as stream:
        stream.write(rng.randbytes(size))
    return f"{size} random bytes after {file.name}"


FILE_HARMS: list[Harm] = [
    cut,
    flip,
    flip,
    empty,
    remove,
    replace_by_noise,
    replace_by_zeros,
    replace_by_folder,
    replace_by_circle,
    append,
]


def deep_json(rng: random.Random, file: Path) -> str:
    opened, closed = rng.choice([("[", "]"), ('{"a": ', "}")])
    file.write_text(opened * _DEEP + "1" + closed * _DEEP, "utf-8")
    return f"{file.name} nested {_DEEP} levels deep"


def deep_value(rng: random.Random, file: Path) -> str:
    """Deep enough for a reader to fail, in a place that a reader may not look at."""
    content = json.loads(file.read_text("utf-8"))
    path = rng.choice(list(places(content)))
    levels = rng.choice([300, 900, 5000])
    text = json.dumps(with_value(content, path, "@deep@"))
    file.write_text(text.replace('"@deep@"', "[" * levels + "]" * levels), "utf-8")
    return f"{shown(path)} in {file.name} nested {levels} levels deep"


def other_top(rng: random.Random, file: Path) -> str:
    value = rng.choice([[], None, "text", 5, True, {}, [{}], float("nan")])
    file.write_text(json.dumps(value), "utf-8")
    return f"{file.name} is {json.dumps(value)}"


def other_type(rng: random.Random, file: Path) -> str:
    """One value of a type that its place does not take."""
    content = json.loads(file.read_text("utf-8"))
    path = rng.choice([path for path in places(content) if at(content, path) is not None])
    kind = type(at(content, path))
    also = {float: (int,)}.get(kind, ())  # 0 for 0.5 is a number too
    value = rng.choice([one for one in odd_values(rng) if type(one) not in (kind, *also)])
    file.write_text(json.dumps(with_value(content, path, value)), "utf-8")
    return f"{shown(path)} in {file.name} is {json.dumps(value)[:60]}"


def lost_key(rng: random.Random, file: Path) -> str:
    content = json.loads(file.read_text("utf-8"))
    keys = [path for path in places(content) if isinstance(path[-1], str)]
    path = rng.choice(keys)
    del at(content, path[:-1])[path[-1]]
    file.write_text(json.dumps(content), "utf-8")
    return f"{shown(path)} removed from {file.name}"


def long_value(rng: random.Random, file: Path) -> str:
    content = json.loads(file.read_text("utf-8"))
    path = rng.choice(list(places(content)))
    file.write_text(json.dumps(with_value(content, path, "x" * _LONG)), "utf-8")
    return f"{shown(path)} in {file.name} is a text of {_LONG} characters"


def endless_number(rng: random.Random, file: Path) -> str:
    content = json.loads(file.read_text("utf-8"))
    path = rng.choice(list(places(content)))
    digits = rng.choice(["9" * 5000, "1e400", "-" + "9" * 30])
    text = json.dumps(with_value(content, path, "@number@")).replace('"@number@"', digits)
    file.write_text(text, "utf-8")
    return f"{shown(path)} in {file.name} is the number {digits[:20]} ({len(digits)} digits)"


JSON_HARMS: list[Harm] = [
    deep_json,
    deep_value,
    other_top,
    other_type,
    other_type,
    other_type,
    lost_key,
    lost_key,
    long_value,
    endless_number,
]


def special_numbers(rng: random.Random, file: Path) -> str:
    """NaN or an infinite number, in one value or in a whole tensor."""
    name, tensors = _a_tensor(rng, file, floating=True)
    value = rng.choice(_SPECIAL_NUMBERS)
    flat = tensors[name].reshape(-1)
    where = slice(None) if rng.random() < 0.5 else rng.randrange(len(flat))
    flat[where] = value
    _save(tensors, file)
    return f"{'all' if where == slice(None) else 'one'} of {name} in {file.name} is {value}"


def other_shape(rng: random.Random, file: Path) -> str:
    name, tensors = _a_tensor(rng, file)
    before = tuple(tensors[name].shape)
    flat = tensors[name].reshape(-1)
    tensors[name] = rng.choice([flat.clone(), flat[:-1].clone(), tensors[name][None].clone()])
    if tuple(tensors[name].shape) == before:
        tensors[name] = tensors[name][:-1].clone()
    _save(tensors, file)
    return f"{name} in {file.name} has shape {tuple(tensors[name].shape)}, not {before}"


def lost_tensor(rng: random.Random, file: Path) -> str:
    name, tensors = _a_tensor(rng, file)
    del tensors[name]
    _save(tensors, file)
    return f"{name} removed from {file.name}"


def renamed_tensor(rng: random.Random, file: Path) -> str:
    name, tensors = _a_tensor(rng, file)
    new = rng.choice([f"{name}.x", name.upper(), "../../x", "", name * 100])
    tensors[new] = tensors.pop(name)
    _save(tensors, file)
    return f"{name} in {file.name} is called '{new[:40]}'"


def other_number_type(rng: random.Random, file: Path) -> str:
    import torch

    name, tensors = _a_tensor(rng, file, floating=True)
    kind = rng.choice([torch.int64, torch.bool, torch.uint8])
    tensors[name] = tensors[name].to(kind)
    _save(tensors, file)
    return f"{name} in {file.name} is of {kind}"


WEIGHT_HARMS: list[Harm] = [
    special_numbers,
    special_numbers,
    special_numbers,
    other_shape,
    lost_tensor,
    renamed_tensor,
    other_number_type,
]


Path_ = tuple[Any, ...]  # keys and indices down to a value


def places(content: Any, path: Path_ = ()) -> "list[Path_]":
    """Of every value but the whole; of long lists the first ten."""
    found: list[Path_] = []
    if isinstance(content, dict):
        items: Any = content.items()
    else:
        items = enumerate(content[:10]) if isinstance(content, list) else ()
    for key, value in items:
        found += [(*path, key), *places(value, (*path, key))]
    return found


def at(content: Any, path: Path_) -> Any:
    for key in path:
        content = content[key]
    return content


def with_value(content: Any, path: Path_, value: object) -> Any:
    """In place."""
    at(content, path[:-1])[path[-1]] = value
    return content


def shown(path: Path_) -> str:
    return ".".join(map(str, path))[:80]


def odd_values(rng: random.Random) -> list[Any]:
    return [
        True,
        -1,
        0,
        2**31,
        10**18,
        -0.5,
        float("nan"),
        float("inf"),
        "",
        "text",
        "../../etc/passwd",
        "\ud800",
        "\x00",
        [],
        {},
        [[]],
        [None, None],
        {"": None},
        rng.randrange(10**6),
    ]


def _a_tensor(rng: random.Random, file: Path, *, floating: bool = False) -> tuple[str, Any]:
    from safetensors.torch import load_file

    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    names = [name for name, one in tensors.items() if one.numel() > 1]
    return rng.choice(
        sorted(name for name in names if not floating or tensors[name].is_floating_point())
    ), tensors


def _save(tensors: Any, file: Path) -> None:
    from safetensors.torch import save_file

    save_file(tensors, file, metadata={"format": "pt"})
