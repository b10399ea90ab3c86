"""Decomposition (2109.07830): a task as sub-tasks in sequence or side by side, listed for a model asked once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_STEPS = 4
GIVEN = "input"
"""The name under which sub-tasks ask for the instance's own input."""


@dataclass(frozen=True)
class SubTask:
    """One skill: what to do, the names of what it needs, and the name of what it gives."""

    instruction: str
    inputs: tuple[str, ...]
    output: str


def parse_steps(reply: str) -> list[SubTask]:
    """Sub-tasks of a reply that holds a JSON list of ``{instruction, inputs, output}``. Raises ValueError."""
    found = re.search(r"\[.*\]", reply, re.DOTALL)
    try:
        listed = json.loads(found.group()) if found else None
    except (ValueError, RecursionError):  # thousands of brackets are no list either
        listed = None
    if not isinstance(listed, list) or not listed:
        raise ValueError("no JSON list of sub-tasks")
    return [_step(entry) for entry in listed]


def _step(entry: Any) -> SubTask:
    if not isinstance(entry, Mapping):
        raise ValueError("a sub-task is no object")
    instruction, inputs, output = entry.get("instruction"), entry.get("inputs"), entry.get("output")
    if not isinstance(instruction, str) or not instruction.strip() or not isinstance(output, str) or not output.strip():
        raise ValueError("a sub-task without an instruction or the name of its output")
    if not isinstance(inputs, list) or not inputs or not all(isinstance(name, str) for name in inputs):
        raise ValueError("a sub-task without the names of its inputs")
    return SubTask(instruction.strip(), tuple(inputs), output.strip())


def fault_of_steps(steps: Sequence[SubTask]) -> str | None:
    """Why the sub-tasks cannot be run in this order to one answer; None where they can.

    Inputs must have been produced before, which also excludes cycles; every output but the last must be used.
    """
    if not 2 <= len(steps) <= MAX_STEPS:
        return f"{len(steps)} sub-tasks, and 2 to {MAX_STEPS} are wanted"
    known = {GIVEN}
    for step in steps:
        missing = [name for name in step.inputs if name not in known]
        if missing:
            return f"'{missing[0]}' is needed before it is produced"
        if step.output in known:
            return f"'{step.output}' is produced twice"
        known.add(step.output)
    used = {name for step in steps for name in step.inputs}
    unused = [step.output for step in steps[:-1] if step.output not in used]
    if unused:
        return f"'{unused[0]}' is produced and never used"
    return None if GIVEN in used else "no sub-task looks at the input"


def list_steps(steps: Sequence[SubTask]) -> str:
    """The sub-tasks as one instruction, for a model that is asked once."""
    lines = [f"{number}. {step.instruction}" for number, step in enumerate(steps, 1)]
    return "\n".join(["Work through these steps and give the result of the last one.", *lines])
