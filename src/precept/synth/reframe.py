"""Reframing (2109.07830): rewrite a task's instruction so that a model follows it more easily.

The paper rewrites by hand, with five techniques. Here rules apply them where rules can, and a teacher where it is asked
to; either way a rewrite is used only if it passes its technique's checks, else the text stays and the reason is kept.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Literal

from precept.errors import InputError
from precept.ports import Chat
from precept.synth.decompose import SubTask, fault_of_steps, list_steps, parse_steps
from precept.synth.reframing_checks import (
    fault_of_items,
    fault_of_leak,
    fault_of_patterns,
    fault_of_restraint,
    fault_of_short,
)
from precept.synth.reframing_rules import itemize, mine_cues, restrain, show_patterns, specialize
from precept.synth.sentences import find_negation, split_sentences
from precept.types import Message

Technique = Literal["specialization", "pattern", "itemizing", "decomposition", "restraining"]
ORDER: tuple[Technique, ...] = ("specialization", "pattern", "itemizing", "decomposition", "restraining")
"""Techniques in the order in which they are applied: each works on what the ones before it left."""
BY_RULE: tuple[Technique, ...] = ("specialization", "pattern", "itemizing", "restraining")
PROMPTS: Mapping[Technique, str] = {
    "specialization": "specialize",
    "pattern": "pattern",
    "itemizing": "itemize",
    "decomposition": "decompose",
    "restraining": "restrain",
}
MAX_NEW_TOKENS = 512
FENCED = re.compile(r"```(?:\w*\n)?((?:(?!```).)*)```", re.DOTALL)


@dataclass(frozen=True)
class RawTask:
    """A task as its file states it. ``outputs`` are those of a few examples for development, never of test items."""

    name: str
    definition: str
    avoid: str = ""
    examples: tuple[tuple[str, str], ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rewrite:
    """What one technique did. ``after`` is what it proposed, None where it found nothing to do; ``fault`` says why it
    was not taken."""

    technique: Technique
    by: Literal["rule", "teacher"]
    after: str | None
    fault: str | None = None


@dataclass(frozen=True)
class Reframed:
    """A reframed instruction. ``suffix`` is put behind every input, of examples and of the instance; ``steps`` are the
    sub-tasks where the task was decomposed."""

    task: str
    instruction: str
    suffix: str = ""
    steps: tuple[SubTask, ...] = ()
    rewrites: tuple[Rewrite, ...] = field(default=())


def reframe(
    task: RawTask,
    techniques: Sequence[Technique] = BY_RULE,
    *,
    teacher: Chat | None = None,
    by_teacher: Sequence[Technique] = (),
) -> Reframed:
    """Apply techniques to a task, in ``ORDER``; those in ``by_teacher`` and decomposition are the teacher's.

    Raises InputError where a technique needs a teacher and there is none, and where ``by_teacher`` names others.
    """
    if idle := [technique for technique in by_teacher if technique not in techniques]:
        raise InputError(
            f"the teacher is to do {idle[0]}, which is none of the techniques",
            code="technique-not-asked",
            where="by_teacher",
            found=f"techniques: {', '.join(techniques) or 'none'}",
            do="add it to the techniques, or leave it out here",
        )
    asked = [technique for technique in ORDER if technique in techniques]
    needy = [technique for technique in asked if technique in by_teacher or technique == "decomposition"]
    if needy and teacher is None:
        raise InputError(
            f"{needy[0]} needs a teacher: no rule does it" if needy[0] == "decomposition" else "no teacher was named",
            code="no-teacher",
            where="teacher",
            do="name a model as the teacher, or leave the technique out",
        )
    now = Reframed(task.name, task.definition)
    avoid = task.avoid
    for technique in asked:
        chat = teacher if technique in needy else None
        now, taken = _apply(now, technique, task, avoid, chat)
        if taken and technique in ("itemizing", "decomposition"):
            avoid = ""  # it is part of the text now
    return _with_avoid(now, avoid)


def _apply(now: Reframed, technique: Technique, task: RawTask, avoid: str, chat: Chat | None) -> tuple[Reframed, bool]:
    """The state after one technique, and whether its proposal was taken."""
    by: Literal["rule", "teacher"] = "rule" if chat is None else "teacher"
    after = _propose(technique, now, task, avoid) if chat is None else _ask(chat, technique, now, task, avoid)
    steps: tuple[SubTask, ...] = ()
    fault: str | None = None
    if after is not None and technique == "decomposition":
        try:
            steps = tuple(parse_steps(after))
            fault = fault_of_steps(steps)
            after = list_steps(steps)
        except ValueError as error:
            fault = str(error)
    if after is not None and fault is None:
        fault = _fault(technique, now, task, avoid, after)
    rewrites = (*now.rewrites, Rewrite(technique, by, after, fault))
    if after is None or fault is not None:
        return Reframed(now.task, now.instruction, now.suffix, now.steps, rewrites), False
    if technique == "restraining":
        return Reframed(now.task, now.instruction, after, now.steps, rewrites), True
    return Reframed(now.task, after, now.suffix, steps or now.steps, rewrites), True


def _propose(technique: Technique, now: Reframed, task: RawTask, avoid: str) -> str | None:
    """What the rules make of the text."""
    if technique == "specialization":
        return specialize(now.instruction)
    if technique == "pattern":
        return show_patterns(now.instruction, task.outputs)
    if technique == "itemizing":
        return itemize(now.instruction, forbidden=avoid)
    return restrain(task.outputs)


def _ask(chat: Chat, technique: Technique, now: Reframed, task: RawTask, avoid: str) -> str | None:
    """What the teacher makes of it. A pattern's sentence takes the place of all but the first sentence."""
    text = now.instruction if technique in ("specialization", "pattern") else _whole(now.instruction, avoid)
    path = resources.files("precept.synth").joinpath("prompts", f"{PROMPTS[technique]}.txt")
    outputs = "\n".join(f"- {output}" for output in task.outputs)
    prompt = string.Template(path.read_text("utf-8")).substitute(instruction=text, outputs=outputs).strip()
    (reply,) = chat.reply([(Message("user", prompt),)], max_new_tokens=MAX_NEW_TOKENS)
    reply = _unwrapped(reply)
    if technique == "pattern" and reply:
        return " ".join([*split_sentences(text)[:1], reply])
    return reply or None


def _unwrapped(reply: str) -> str:
    """The reply without a code fence or quotes around all of it."""
    reply = reply.strip()
    if fenced := FENCED.fullmatch(reply):
        reply = fenced[1].strip()
    if len(reply) > 1 and reply[0] == reply[-1] == '"' and reply.count('"') == 2:
        reply = reply[1:-1].strip()
    return reply


def _fault(technique: Technique, now: Reframed, task: RawTask, avoid: str, after: str) -> str | None:
    """Why a proposal is not taken."""
    before = _whole(now.instruction, avoid if technique == "itemizing" else "")
    shown = [text for example in task.examples for text in example]
    if technique == "specialization":
        fault = fault_of_short(before, after)
    elif technique == "pattern":
        fault = fault_of_patterns(before, after, task.outputs, mine_cues(task.outputs))
        shown = [given for given, _ in task.examples]  # the phrases are taken from outputs on purpose
    elif technique == "itemizing":
        fault = fault_of_items(before, after)
    elif technique == "restraining":
        fault = fault_of_restraint(after)
    else:
        fault = None
    return fault or fault_of_leak(before, after, shown)


def _whole(instruction: str, avoid: str) -> str:
    return "\n".join(filter(None, [instruction, avoid and _forbidding(avoid)]))


def _with_avoid(now: Reframed, avoid: str) -> Reframed:
    """Things to avoid stay in the text where no technique has put them into other words."""
    return Reframed(now.task, _whole(now.instruction, avoid), now.suffix, now.steps, now.rewrites)


def _forbidding(avoid: str) -> str:
    """Things to avoid as sentences that say so."""
    return "\n".join(text if find_negation(text) else f"Avoid this: {text}" for text in avoid.split("\n"))
