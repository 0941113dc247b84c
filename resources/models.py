"""The settings of models in `config/models.yaml`, per domain and shop; errors name file, line, value and remedy."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from resources.settings import PROJECT_ROOT
from resources.yaml_file import line_of, read_yaml, repeated_keys

SETTINGS = "settings"
"""The metadata of an asset under which the hash of its settings stands: with other ones it is made again."""
MODELS_FILE = PROJECT_ROOT / "config" / "models.yaml"

Config = TypeVar("Config", bound=BaseModel)


class ModelsError(ValueError):
    """`models.yaml` cannot be used; each line of the message names the file, the line and the remedy."""


def load_model_config(section: str, kind: type[Config], shop: str, path: Path = MODELS_FILE) -> Config:
    """The settings of one section for a shop: its `defaults`, with what stands under `shops` for this one over them.

    Mappings are merged key by key, at every depth; anything else is replaced. All of the section is checked, the
    entries of other shops too.

    Args:
        section: a key of the file, such as `recommender`.
        kind: the pydantic model of the settings; what it calls `shop` is not read from the file.

    Raises:
        ModelsError: the file is missing or cannot be used.
    """
    root, data = read_yaml(path, ModelsError, "Restore config/models.yaml.")
    if root is None or not isinstance(data, dict):
        raise ModelsError(f"{path}:1: the file must be a mapping with one section a domain, such as `{section}`.")
    problems = [
        f"{path}:{line}: {key!r} stands twice; each key may stand once in a mapping. Rename or remove one."
        for line, key in repeated_keys(root)
    ]
    entry = data.get(section)
    if not isinstance(entry, dict) or not isinstance(entry.get("defaults"), dict):
        line = line_of(root, (section,))
        raise ModelsError(f"{path}:{line}: {section}: this section needs a mapping `defaults`; add it.")
    for key in entry:
        if key not in ("defaults", "shops"):
            problems.append(
                f"{path}:{line_of(root, (section, key))}: {section}.{key}: unknown key; use defaults or shops."
            )
    shops = entry.get("shops") or {}
    if not isinstance(shops, dict):
        raise ModelsError(f"{path}:{line_of(root, (section, 'shops'))}: {section}.shops: write one mapping a shop.")
    made: dict[str | None, Config] = {}
    for name, over in {None: {}, **shops}.items():
        place = ("defaults",) if name is None else ("shops", name)
        if not isinstance(over, dict):
            problems.append(
                f"{path}:{line_of(root, (section, *place))}: {section}.shops.{name}: {over!r} is no mapping; write one."
            )
            continue
        try:
            made[name] = kind(**_merged(entry["defaults"], over))
        except ValidationError as error:
            for problem in error.errors():
                # What a shop takes over from the defaults is wrong there, and was said once.
                inherited = name is not None and not _has(over, problem["loc"])
                if not inherited:
                    problems.append(_explain(path, root, (section, *place), kind, problem))
    if problems:
        raise ModelsError("\n".join(problems))
    return made.get(shop) or made[None]


def config_hash(config: BaseModel) -> str:
    """A hash of the settings that something was made with."""
    return hashlib.sha256(json.dumps(config.model_dump(), sort_keys=True).encode()).hexdigest()[:12]


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _has(entry: Any, keys: tuple[Any, ...]) -> bool:
    for key in keys:
        if not isinstance(entry, dict) or key not in entry:
            return False
        entry = entry[key]
    return True


def _explain(path: Path, root: yaml.Node, place: tuple[str, ...], kind: type[BaseModel], problem: Any) -> str:
    keys = (*place, *problem["loc"])
    dotted = ".".join(map(str, keys))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        known = _known_keys(kind, problem["loc"][:-1])
        near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
        message = f"unknown key; {f'did you mean {near[0]!r}?' if near else 'known: ' + ', '.join(known)}"
    elif problem["type"] == "missing":
        message = "this key is missing; add it"
    else:
        message = f"{problem['input']!r}: {message[0].lower()}{message[1:]}; correct it"
    return f"{path}:{line_of(root, keys)}: {dotted}: {message}{'' if message.endswith('?') else '.'}"


def _known_keys(kind: Any, path: tuple[Any, ...]) -> list[str]:
    for key in path:
        # The keys of a mapping are free; what they lead to is not.
        kind = get_args(kind)[1] if get_origin(kind) is dict else kind.model_fields[key].annotation
        if get_origin(kind) in (Union, UnionType):
            [kind] = [member for member in get_args(kind) if member is not NoneType]
    return list(kind.model_fields)
