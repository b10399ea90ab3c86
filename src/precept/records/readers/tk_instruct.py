"""The prompt of Tk-Instruct (2204.07705, its collator's default encoding): definition and two positive examples."""

from __future__ import annotations

import string
from collections.abc import Sequence


def encode_definition_and_examples(
    definition: str, examples: Sequence[tuple[str, str]], *, max_examples: int = 2
) -> str:
    """What stands before every instance of a task. ``examples`` are (input, output).

    Byte for byte the original, its blanks before 'Positive Example' and 'Output:' included.
    """
    parts = [_stop(f"Definition: {definition.strip()}") + "\n\n"]
    for place, (given, output) in enumerate(examples[:max_examples], 1):
        question = _stop(f"Input: {given.strip()}")
        parts.append(f" Positive Example {place} -\n{question}\n{_stop(f' Output: {output.strip()}')}\n\n")
    return "".join(parts)


def encode_instance(given: str) -> str:
    """The instance to complete. It ends in 'Output: ' with its blank."""
    return f"Now complete the following example -\n{_stop(f'Input: {given.strip()}')}\nOutput: "


def _stop(text: str) -> str:
    return text if text[-1] in string.punctuation else text + "."
