"""Where each assistant turn starts and ends in a rendering.

A turn runs from the end of the generation prompt's text to the end of its terminator: what the model has to write,
no more and no less.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from precept.render.fields import Mark, Piece
from precept.render.probe import TOKEN_LIKE, Probe
from precept.render.refused import RowRefused
from precept.types import Message


class Turn(NamedTuple):
    """Characters ``start:end`` of an assistant message; ``terminator`` is its last special token, None without one."""

    message: int
    start: int
    end: int
    terminator: str | None


class TurnFinder:
    """Finds turns in the renderings of one template."""

    def __init__(self, probe: Probe, special: re.Pattern[str]) -> None:
        self._probe = probe
        self._special = special
        tokens = "|".join((TOKEN_LIKE, re.escape("<think>"), re.escape("</think>"), "\n", special.pattern))
        self._atoms = re.compile(f"({tokens})")
        # Regions between messages repeat from row to row.
        self._start = lru_cache(maxsize=4096)(self._find_start)
        self._parts = lru_cache(maxsize=4096)(self._find_parts)
        self._end = lru_cache(maxsize=4096)(self._find_end)

    def find(
        self, text: str, messages: Sequence[Message], pieces: Sequence[Piece], marks: Sequence[Mark], prompt: str
    ) -> list[Turn]:
        """The turns of all assistant messages, in order. ``prompt`` is this row's own generation prompt, or ''.

        Raises RowRefused for an empty answer that cannot be told from its surroundings.
        """
        owners = [marks[piece.mark].message for piece in pieces]
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for place, owner in enumerate(owners):
            first.setdefault(owner, place)
            last[owner] = place
        turns: list[Turn] = []
        done = 0
        for message, fields in enumerate(messages):
            if fields.role == "assistant":
                prompts = self._prompts(messages[message - 1] if message else None, prompt)
                if message in first:
                    opening, closing = first[message], last[message]
                    floor = max(done, pieces[opening - 1].end if opening else 0)
                    content, written = pieces[opening].start, pieces[closing].end
                    offset = self._start(text[floor:content], prompts)
                    start = content if offset is None else floor + offset
                else:
                    closing = max((place for place, owner in enumerate(owners) if owner < message), default=-1)
                    floor = max(done, pieces[closing].end if closing >= 0 else 0)
                    start = self._empty_turn(text, floor, _next_start(pieces, closing, text), prompts)
                    leads = (lead for lead in self._probe.answer_leads if text.startswith(lead, start))
                    written = start + len(next(leads, ""))
                following = _next_start(pieces, closing, text)
                unmarked = message in first and not fields.content
                length, terminator = self._end(
                    text[written:following], bool(fields.tool_calls), unmarked, following == len(text)
                )
                done = written + length
                turns.append(Turn(message, start, done, terminator))
            elif message in last:
                done = max(done, pieces[last[message]].end)
        return turns

    def _prompts(self, before: Message | None, prompt: str) -> tuple[str, ...]:
        """What may stand between a message and the answer to it, with the message's own closing blanks first."""
        role, content = (before.role, before.content or "") if before else ("", "")
        prompts = (prompt, self._probe.prompts.get(role, ""), self._probe.prompts.get("user", ""))
        blanks = content[len(content.rstrip()) :]
        return (*(blanks + one for one in prompts if one), *prompts) if blanks else prompts

    def _empty_turn(self, text: str, floor: int, ceiling: int, prompts: tuple[str, ...]) -> int:
        """Where an answer without characters starts: after the first header, since others may follow unmarked."""
        for part in self._parts(prompts):
            place = text.find(part, floor, ceiling)
            if place >= 0:
                return place + len(part)
        raise RowRefused(
            "an empty answer cannot be found in the rendering: the template writes no header before it",
            code="turn-not-found",
        )

    def _find_start(self, region: str, prompts: tuple[str, ...]) -> int | None:
        """Where the model starts to write within the text before an answer's first character; None: at its end."""
        for prompt in prompts:
            if prompt and region.startswith(prompt):
                return len(prompt)
        for part in self._parts(prompts):
            place = region.rfind(part)
            if place >= 0:
                return place + len(part)
        return None

    def _find_parts(self, prompts: tuple[str, ...]) -> list[str]:
        """What may stand before an answer, most telling first: a whole prompt, else its longest part.

        Parts run from a prompt's start up to a think block, or from within to its end: a history may lack the block
        that closes the prompt, or the text that opens it.
        """
        parts: list[str] = []
        for prompt in prompts:
            atoms = [atom for atom in self._atoms.split(prompt) if atom]
            header = atoms.index("<think>") if "<think>" in atoms else len(atoms)
            parts += ["".join(atoms[cut:]) for cut in range(1, len(atoms))]
            parts += ["".join(atoms[:cut]) for cut in range(1, header + 1)]
        parts.sort(key=len, reverse=True)
        whole = [prompt for prompt in prompts if prompt]
        return list(dict.fromkeys((*whole, *(part for part in parts if part.strip()))))

    def _find_end(self, gap: str, calls: bool, no_content: bool, is_last: bool) -> tuple[int, str | None]:
        """Length of the turn's close within the text after its last marked character, and the terminator.

        Numbers among tool arguments and an empty content carry no mark: the tokens before them are passed over.
        """
        probe = self._probe
        last_end = probe.terminator if is_last else probe.earlier_terminator
        end = probe.call_terminator if calls else last_end
        passed = probe.call_interior if calls else probe.interior if no_content else frozenset()
        first: re.Match[str] | None = None
        for match in self._special.finditer(gap) if last_end is not None else ():
            if match.group() == end:
                return match.end(), match.group()
            if match.group() in passed:
                continue
            if match.group() in probe.openers:
                break
            first = first or match
        if first is not None:
            return first.end(), first.group()
        return self._unterminated(gap, probe.call_tail if calls else probe.answer_tail, is_last), None

    def _unterminated(self, gap: str, tail: str, is_last: bool) -> int:
        """Length of what belongs to an answer without terminator: all that stands before the next role header."""
        header = self._special.search(gap)
        if header or is_last:
            return header.start() if header else len(gap)
        blanks = len(gap) - len(gap.lstrip())
        following = self._probe.earlier_tail.rstrip()
        for text in (following, tail):
            # The answer's own closing blanks stand before what the template writes.
            lead = next((lead for lead in range(blanks + 1) if gap.startswith(text, lead)), None) if text else None
            if lead is not None:
                return lead + len(tail) if gap.startswith(tail, lead) else lead
        return 0


def _next_start(pieces: Sequence[Piece], place: int, text: str) -> int:
    return pieces[place + 1].start if place + 1 < len(pieces) else len(text)
