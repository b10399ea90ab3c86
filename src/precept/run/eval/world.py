"""The bundled world's questions as rows to be asked: data that needs no file."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from precept.errors import InputError
from precept.types import Conversation, Message, Row, Source

if TYPE_CHECKING:
    from precept.bundled import Tasks

WORLD = "bundled:"
"""How the name of such data begins; a level of novelty follows."""


def world_rows(name: str) -> list[Row]:
    """The questions of a level of the bundled world."""
    from precept.bundled.tasks import LEVELS, questions

    level = name.removeprefix(WORLD)
    if level not in LEVELS:
        raise InputError(
            "the bundled world has no such level", code="level-unknown", found=level, do=f"one of {', '.join(LEVELS)}"
        )
    asked = [question for task in _tasks().levels[level] for question in questions(task)]
    return [
        Conversation(
            (Message("user", question.prompt), Message("assistant", question.reference)),
            Source(name, number, "0" * 16, id=f"{question.id}-{question.wording}-{number}"),
            references=(question.reference,),
            task=question.task,
        )
        for number, question in enumerate(asked, 1)
    ]


@cache
def _tasks() -> Tasks:
    """The tasks of the one world that comes with the package; a suite asks for each of its levels."""
    from precept.bundled import build_tasks, build_world

    return build_tasks(build_world(0))
