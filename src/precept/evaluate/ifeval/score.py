"""Responses against their instructions: strict and loose, by prompt and by instruction (2311.07911, section 2)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from precept.errors import InputError
from precept.evaluate.ifeval.checkers import CHECKERS, NEEDS_DETECTOR
from precept.evaluate.ifeval.language import load_detector

Check = Mapping[str, Any]
"""One instruction: its ``id`` and its arguments by name. An argument that is None counts as absent."""


@dataclass(frozen=True, slots=True)
class Followed:
    """Which instructions of one prompt a response follows, in their order."""

    strict: tuple[bool, ...]
    loose: tuple[bool, ...]


def bind(check: Check, *, where: str = "checks") -> Callable[[str], bool]:
    """The checker that a check names, with its arguments: response -> whether it follows.

    Call it for all checks before anything is generated; ``where`` is the row, for errors. Raises InputError for an
    unknown id and for arguments that are missing, not the instruction's or not what it takes, MissingExtra where it
    needs a package that is absent.
    """
    name = check.get("id")
    if not isinstance(name, str) or name not in CHECKERS:
        raise InputError(
            "unknown instruction id",
            code="unknown-check",
            where=where,
            found=repr(name),
            do=f"use one of {', '.join(CHECKERS)}",
        )
    if name in NEEDS_DETECTOR:
        load_detector()
    try:
        arguments = _arguments_of(name).model_validate(
            {key: value for key, value in check.items() if key != "id" and value is not None}
        )
    except ValidationError as error:
        raise InputError(
            "; ".join(_tell(fault["loc"], fault["msg"]) for fault in error.errors()),
            code="bad-check-argument",
            where=f"{where}, '{name}'",
            found=repr(dict(check)),
            do=f"give it the arguments {', '.join(_arguments_of(name).model_fields) or 'none'}",
        ) from None
    return functools.partial(CHECKERS[name], **arguments.model_dump())


def follow_all(checks: Iterable[Check], response: str) -> Followed:
    """Which of a prompt's instructions the response follows. A blank response follows none.

    Loosely an instruction is followed where any of ``loose_variants`` follows it. Raises what ``bind`` raises.
    """
    checkers = [bind(check) for check in checks]
    variants = loose_variants(response)
    return Followed(
        strict=tuple(_strictly(checker, response) for checker in checkers),
        loose=tuple(any(_strictly(checker, variant) for variant in variants) for checker in checkers),
    )


def loose_variants(response: str) -> list[str]:
    """The response, and it without its first line, its last line and both; all four also without asterisks.

    What is left of dropped lines is stripped before asterisks go, as in IFEval's code.
    """
    lines = response.split("\n")
    kept = [response, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return kept + [text.replace("*", "") for text in kept]


def score_followed(followed: Sequence[Followed]) -> dict[str, list[float]]:
    """The zeros and ones whose means are IFEval's four scores.

    ``prompt_*`` has one value a prompt: 1 where all its instructions are followed. ``instruction_*`` has one value an
    instruction, pooled over all prompts; their means are not means of prompts' means.
    """
    modes = {"strict": [each.strict for each in followed], "loose": [each.loose for each in followed]}
    scores = {}
    for mode, prompts in modes.items():
        scores[f"prompt_{mode}"] = [float(all(prompt)) for prompt in prompts]
        scores[f"instruction_{mode}"] = [float(kept) for prompt in prompts for kept in prompt]
    return scores


def _strictly(checker: Callable[[str], bool], response: str) -> bool:
    return bool(response.strip()) and checker(response)


@functools.cache
def _arguments_of(name: str) -> type[BaseModel]:
    """A strict model of the keyword arguments of a checker."""
    checker = CHECKERS[name]
    hints = get_type_hints(checker, include_extras=True)
    fields: dict[str, Any] = {
        key: (hints[key], ...)
        for key, parameter in inspect.signature(checker).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    return create_model(f"{checker.__name__}_arguments", __config__=ConfigDict(strict=True, extra="forbid"), **fields)


def _tell(place: tuple[int | str, ...], message: str) -> str:
    name = ".".join(map(str, place))
    told = message.removeprefix("Value error, ")  # pydantic's words before those of a check of ours
    return f"argument '{name}': {told[:1].lower()}{told[1:]}"
