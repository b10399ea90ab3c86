"""What the arguments of an instruction may be. A zero is a value like any other; nothing is filled in."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from precept.evaluate.ifeval.language import known_languages


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
        re.compile(rf"\b{pattern}\b")  # as checkers use it: flags like (?i) may stand at the very start alone
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return pattern


def _is_known(language: str) -> str:
    known = known_languages()
    if language not in known:
        raise ValueError(f"is not among the languages that can be detected: {', '.join(known)}")
    return language


Count: TypeAlias = Annotated[int, Field(ge=0)]
Place: TypeAlias = Annotated[int, Field(ge=1)]
Relation: TypeAlias = Literal["less than", "at least"]
Phrase: TypeAlias = Annotated[str, Field(pattern=r"\S")]
Pattern: TypeAlias = Annotated[str, Field(pattern=r"\S"), AfterValidator(_compiles)]
Patterns: TypeAlias = Annotated[list[Pattern], Field(min_length=1)]
Character: TypeAlias = Annotated[str, Field(pattern=r"^\S$")]
Language: TypeAlias = Annotated[str, AfterValidator(_is_known)]
