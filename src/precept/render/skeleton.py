"""What a template writes around plain messages, found once for each sequence of roles.

Most rows are messages of a role and a text. For these a rendering of stand-ins with marks tells what stands between the
texts; a row whose rendering is exactly that around its own texts needs no marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from precept.render.fields import Marker, Piece
from precept.types import Message


class Skeleton(NamedTuple):
    """Text before each message's own and behind the last one, and the generation prompt that follows it."""

    literals: tuple[str, ...]
    prompt: str
    marker: Marker

    def place(self, messages: Sequence[Message], text: str) -> list[Piece] | None:
        """The characters of each message's text, None where the rendering is another."""
        parts, pieces, end = [self.literals[0]], [], len(self.literals[0])
        for number, (message, following) in enumerate(zip(messages, self.literals[1:], strict=True)):
            content = message.content or ""
            pieces.append(Piece(end, end + len(content), number))
            parts += (content, following)
            end += len(content) + len(following)
        return pieces if "".join(parts) == text else None


def plain_roles(messages: Sequence[Message]) -> tuple[str, ...] | None:
    """The roles of messages that hold a text without outer blanks and nothing else, None for any others."""
    roles = []
    for message in messages:
        content = message.content
        if (
            not content
            or message.reasoning_content is not None
            or message.tool_calls
            or message.name is not None
            or message.tool_call_id is not None
            or content[0].isspace()
            or content[-1].isspace()
            or "think>" in content
        ):
            return None
        roles.append(message.role)
    return tuple(roles)


def stand_ins(roles: Sequence[str]) -> tuple[Message, ...]:
    """Messages whose texts mean nothing to a template."""
    return tuple(Message(role, f"quokka {number} zebu") for number, role in enumerate(roles))


def find_skeleton(text: str, marker: Marker, prompt: str, pieces: Sequence[Piece]) -> Skeleton | None:
    """The skeleton of a marked rendering of stand-ins, None where their texts do not stand there in order."""
    if [piece.mark for piece in pieces] != list(range(len(marker.marks))):
        return None
    cuts = [0, *(cut for piece in pieces for cut in (piece.start, piece.end)), len(text)]
    literals = tuple(text[start:end] for start, end in zip(cuts[::2], cuts[1::2], strict=True))
    return Skeleton(literals, prompt, marker)
