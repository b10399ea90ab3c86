"""How a question is laid out as one text, with worked examples before it. Layouts are data: parts with ``{fields}``."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import NamedTuple

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from precept.evaluate.extract import ANSWER_PHRASE
from precept.evaluate.gsm8k import read_number

STEP_BY_STEP = "Let's think step by step."
_CALCULATOR = re.compile(r"<<[^<>]*>>")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Layout:
    """The parts of a prompt. Examples are question and answer each; the item is a question alone."""

    head: str = ""
    """Before all examples. ``{instruction}`` is that of a stored prompt, ``{name}`` the task's name with blanks. A head
    whose field is empty is left out."""
    question: str = "{question}"
    """``{question}`` is what the row asks."""
    answer: str = "{answer}"
    """``{answer}`` is the short one, a reference or an option; ``{solution}`` the row's whole answer; ``{stated}`` the
    same with GSM8K's closing "#### 18" written as "The answer is 18." and without its calculator notes."""
    separator: str = field(default="\n\n")
    """Between examples, and before the item."""


FIELDS: Mapping[str, tuple[str, ...]] = {
    "head": ("instruction", "name"),
    "question": ("question",),
    "answer": ("answer", "solution", "stated"),
    "separator": (),
}


class Example(NamedTuple):
    """A worked example: what is asked, the short answer, and the whole of it with its reasoning."""

    question: str
    answer: str
    solution: str


class StoredPrompt(NamedTuple):
    """The instruction and the examples of a prompt file."""

    instruction: str
    examples: tuple[Example, ...]


def wrong_field(layout: Layout) -> tuple[str, str, str] | None:
    """The first field that a part cannot have, as (part, what is wrong, field); None where all can be filled."""
    parts = {"head": layout.head, "question": layout.question, "answer": layout.answer, "separator": layout.separator}
    for part, text in parts.items():
        try:
            found = list(string.Formatter().parse(text))
        except ValueError as error:
            return part, f"not a template: {error}; a brace of the text itself is written twice", text
        for _, name, form, conversion in found:
            if name is not None and (name not in FIELDS[part] or form or conversion):
                return part, "a template with an unknown field", f"{{{name}}}"
    if not _fields(layout.question):
        return "question", "the part must hold {question}", layout.question
    if not _fields(layout.answer):
        return "answer", "the part must hold {answer}, {solution} or {stated}", layout.answer
    return None


def _fields(part: str) -> set[str]:
    """The fields that are filled in; braces written twice are the text's own."""
    return {name for _, name, _, _ in string.Formatter().parse(part) if name is not None}


def lay_out(layout: Layout, question: str, *, name: str, instruction: str, examples: Sequence[Example]) -> str:
    """The whole prompt: head, examples, question."""
    values = {"name": name.replace("_", " "), "instruction": instruction}
    head = layout.head.format(**values) if all(values[key] for key in _fields(layout.head)) else ""
    shown = [
        layout.question.format(question=example.question) + end_with(layout, example.answer, example.solution)
        for example in examples
    ]
    return head + layout.separator.join([*shown, layout.question.format(question=question)])


def end_with(layout: Layout, answer: str, solution: str) -> str:
    """What stands behind a question that has this answer. A solution that begins with a blank or a line break, as those
    of prompt files do, brings its own."""
    brings_own = solution[:1].isspace() and layout.answer.lstrip().startswith(("{solution}", "{stated}"))
    answer_part = layout.answer.lstrip() if brings_own else layout.answer
    return answer_part.format(answer=answer, solution=solution, stated=state_answer(solution))


def state_answer(solution: str) -> str:
    """A solution of GSM8K (2110.14168) as the examples of MGSM (2210.03057) are written; any other as it is."""
    steps, _, number = solution.rpartition("\n####")
    solved = read_number(number.strip()) is not None  # in Markdown the mark begins a heading
    return f"{_CALCULATOR.sub('', steps)}\nThe answer is {number.strip()}." if steps and solved else solution


def read_prompt(text: str) -> StoredPrompt:
    """A prompt file as BIG-Bench Hard stores them (2210.09261): an instruction, then blocks of ``Q:`` and ``A:``.

    What stands above a line of dashes (the canary) is no part of the prompt. An answer that opens with "Let's think
    step by step." is a solution, whose short answer follows its last "the answer is", without one final period. Raises
    ValueError where no example is found.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    rule = next((place for place, line in enumerate(lines) if re.fullmatch(r"-{3,}\s*", line)), -1)
    body = "\n".join(lines[rule + 1 :]).strip()
    instruction, *blocks = re.split(r"(?:\A|\n\n)(?=Q: )", body)
    examples = tuple(map(_read_block, blocks))
    if not examples:
        raise ValueError("no block starts with 'Q: '")
    return StoredPrompt(instruction.strip(), examples)


def _read_block(block: str) -> Example:
    question, found, rest = block.removeprefix("Q: ").partition("\nA:")
    if not found:
        raise ValueError(f"a question without 'A:' behind it: {question[:60]!r}")
    rest = rest.strip()
    if not rest.startswith(STEP_BY_STEP):
        return Example(question, rest, rest)
    solution = rest.removeprefix(STEP_BY_STEP)
    return Example(question, solution.rpartition(ANSWER_PHRASE)[2].strip().removesuffix("."), solution)
