"""YAML files that a user names, such as plans and templates: read whole, or refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from precept.records.problems import FileProblem


def read_yaml(path: Path) -> Any:
    """What a YAML file holds. Raises FileProblem where it cannot be opened, is not YAML, holds a value that is not of
    its stated type (a day that is no day, a number of too many digits), or text with half a character."""
    try:
        data = path.expanduser().read_bytes()
    except OSError as error:
        raise FileProblem("unreadable", f"cannot be opened: {error.strerror}") from None
    return parse_yaml(data)


def parse_yaml(data: bytes, *, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """What the bytes of a YAML file hold. Raises FileProblem as ``read_yaml`` does."""
    try:
        document = yaml.load(data, loader)
    except RecursionError:
        raise FileProblem("bad-yaml", "not YAML: nested too deep") from None
    except yaml.YAMLError as error:
        raise FileProblem("bad-yaml", f"not YAML: {' '.join(str(error).split())[:200]}") from None
    except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
        # what PyYAML's own constructors let through for values such as 2020-02-30 or !!int zz
        raise FileProblem("bad-yaml", f"a value is not of its type: {' '.join(str(error).split())[:200]}") from None
    _refuse_surrogates(document)
    return document


def _refuse_surrogates(document: Any) -> None:
    """No file can hold half a character, so no row could be written."""
    waiting, seen = [document], set()
    while waiting:  # values may stand in several places, even in themselves
        value = waiting.pop()
        if isinstance(value, str):
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise FileProblem("bad-yaml", f"a text holds half a character: {value!r:.80}") from None
        elif isinstance(value, dict | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            waiting += [*value, *value.values()] if isinstance(value, dict) else value
