"""Reading files of people's hand: in YAML what stands on which line, what stands twice, and errors that say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


def read_text(path: Path, error: type[Exception], remedy: str) -> str:
    """The text of a file.

    Args:
        error: raised with file and remedy where the file is missing, cannot be read or is not UTF-8.
        remedy: a sentence on what to do where there is no such file.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(f"{path}: no such file. {remedy}") from None
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror}). Let this process read it.") from None
    except UnicodeDecodeError as problem:
        raise error(f"{path}: not UTF-8 ({problem}). Save it as UTF-8.") from None


def read_yaml(path: Path, error: type[Exception], remedy: str) -> tuple[yaml.Node | None, Any]:
    """A file's nodes, which know their lines, and its data; otherwise as `read_text`.

    Args:
        error: raised with file, line and remedy where the file is no YAML, too.
    """
    text = read_text(path, error, remedy)
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise error(f"{path}:{line}: not YAML: {problem.problem}. Correct the indentation or the quotes.") from problem
    except (yaml.YAMLError, ValueError) as problem:
        # A control character, or what looks like a number or a date and is none.
        raise error(f"{path}: not YAML: {' '.join(str(problem).split())}. Correct or quote it.") from problem


def line_of(root: yaml.Node, keys: tuple[Any, ...]) -> int:
    """The line of the deepest of `keys` that the file has."""
    line, node = root.start_mark.line, root
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line
    return line + 1


def repeated_keys(node: yaml.Node) -> Iterator[tuple[int, str]]:
    """Keys that stand twice in one mapping: YAML keeps the last without a word."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.start_mark.line + 1, key.value
            seen.add(key.value)
            yield from repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from repeated_keys(item)
