"""What a ``data.`` step is given: its maker's settings, a tokenizer that counts, and the hash of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError

from precept.errors import InputError
from precept.models.folder import resolve_model
from precept.records.files import find_files, sha256_of, split_limit
from precept.records.instructions import Maker
from precept.run.recipe.step_kinds import DataKeys
from precept.run.settings import Where, explain_invalid, refuse_truths, unknown_key
from precept.settings import Settings


def parse_keys(maker: Maker, pairs: Mapping[str, Any], where: Where) -> tuple[DataKeys, Settings]:
    """The step's own keys and the maker's settings. Raises InputError as ``parse_settings`` does."""
    cls = maker.settings
    for key in pairs:
        if key not in cls.model_fields and key not in DataKeys.model_fields:
            raise unknown_key(key, [*DataKeys.model_fields, *cls.model_fields], where=where(key))
    values = {key: _as_list(cls, key, pairs[key]) for key in pairs if key in cls.model_fields}
    refuse_truths(cls, values, where)
    for key, value in values.items():
        _refuse_huge(key, value, where)
    own = {key: value for key, value in pairs.items() if key not in values}
    try:
        return DataKeys(**own), cls(**values)
    except ValidationError as error:
        raise explain_invalid(error, pairs, where, [DataKeys, cls]) from error


def _refuse_huge(key: str, value: Any, where: Where) -> None:
    """Raise InputError for a whole number that JSON, and so the manifest, cannot hold."""
    held = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else [value]
    for number in held:
        if isinstance(number, int) and abs(number) >= 2**63:
            raise InputError(
                f"'{key}': the number is too large",
                code="bad-value",
                where=where(key),
                found=f"a number of {number.bit_length()} bits",
                do="write a number below 2**63",
            )


def _as_list(cls: type[Settings], key: str, value: Any) -> Any:
    """One value where several may stand needs no brackets."""
    annotation = cls.model_fields[key].annotation
    kinds = (annotation, *get_args(annotation))
    listed = any(get_origin(kind) is tuple for kind in kinds)
    return [value] if listed and isinstance(value, str | int | float) else value


class TokenCounter:
    """Counts with the tokenizer of a model folder, which is loaded when the first text is counted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tokenizer: Any = None
        self.used = False

    def __call__(self, text: str) -> int:
        """How many tokens a text has, special tokens not counted."""
        return len(self._encode(text))

    def cut(self, text: str, length: int) -> str:
        """The text of the first ``length`` tokens, decoded."""
        ids = self._encode(text)[:length]
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _encode(self, text: str) -> list[int]:
        from precept.models.load import load_tokenizer

        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self.folder)
            self._tokenizer.backend_tokenizer.no_truncation()
        self.used = True
        ids: list[int] = self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def make_counter(name: str | None) -> TokenCounter | None:
    """The counter of a model's tokenizer. Raises InputError where there is no such folder."""
    return None if name is None else TokenCounter(resolve_model(name))


def files_hash(paths: Sequence[str]) -> str:
    """sha256 over the names and contents of the files behind the paths; hub data is named by its path."""
    digest = hashlib.sha256()
    for name, content in _contents(paths):
        digest.update(f"{name}\n{content}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def named_files_hash(settings: Settings) -> dict[str, str]:
    """The hash of each file that a setting names."""
    values = settings.model_dump()
    return {key: files_hash([str(value)]) for key, value in values.items() if isinstance(value, Path)}


def _contents(paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    for spec in paths:
        path, limit = split_limit(spec, base=None)
        if path.startswith("hf:"):
            yield spec, ""
            continue
        for file in find_files(path, base=None):
            # a task is named after its file, and a file called train.json after its folder
            yield f"{file.stem}/{file.path.name}#{limit or ''}", _sha256(file.path)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return sha256_of(file)
    except OSError as error:
        raise InputError(
            f"cannot be opened: {error.strerror}", code="unreadable-path", where=str(path), do="check its permissions"
        ) from None
