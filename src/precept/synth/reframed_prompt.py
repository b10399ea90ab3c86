"""Prompts of reframed instructions, as the released pipeline of 2109.07830 writes them.

A template file's first line is the text with ``{0}`` where the examples go and ``{1}`` where the instance goes, its
line ends written as a backslash and an n; the next line with anything on it, where there is one, is the suffix that
restrains the answer. An example is the input, the suffix without a blank between them, and ``Answer: `` with the
output; examples stand apart by a blank line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from precept.errors import InputError

NUM_DEMOS = 5
NUM_INSTANCES = 50
TEMPERATURE = 0.7
STOP = "\n"
DEFAULT_MARKER = "Answer:"
MARKERS = {34: "Question:", 44: "Essential Words:"}
"""Task number -> what stands before an example's output."""
GPT2_NUM_DEMOS = {2: 0, 52: 2}
"""Task number -> examples that fit GPT-2's context."""
NEW_TOKENS = {**dict.fromkeys((5, 8, 22, 33, 39, 52), 3), **dict.fromkeys((2, 44), 10)}
DEFAULT_NEW_TOKENS = 30
"""Longest answer in tokens, but for the tasks of ``NEW_TOKENS``."""
NAME = re.compile(r"(?:sub)?task_?0*(\d+)(?:_|$)")
SLOT = re.compile(r"\{([01])\}")
ESCAPE = re.compile(r"\\(n|t|\\)")
ESCAPED = {"n": "\n", "t": "\t", "\\": "\\"}


@dataclass(frozen=True)
class Template:
    """``text`` holds ``{0}`` and ``{1}`` once each; other braces are plain text."""

    text: str
    suffix: str = ""


def make_template(instruction: str, *, suffix: str = "", marker: str = DEFAULT_MARKER) -> Template:
    """The template of an instruction. A suffix starts a line of its own behind each input."""
    text = f"{_no_slots(instruction)}\n\n{{0}}\n\n{{1}}\n{marker}"
    return Template(text, f"\n{suffix}" if suffix else "")


def read_template(path: Path) -> Template:
    """The template of a file. Raises InputError where it cannot be read, and as ``parse_template`` does."""
    try:
        document = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "the template cannot be read",
            code="template-not-readable",
            where=str(path),
            found=str(error),
            do="give a text file in UTF-8",
        ) from None
    return parse_template(document, where=str(path))


def parse_template(document: str, *, where: str) -> Template:
    """A template file's text. Raises InputError unless it has one ``{0}``, one ``{1}`` and at most two lines."""
    lines = document.removesuffix("\n").split("\n")
    text, *rest = (ESCAPE.sub(lambda found: ESCAPED[found[1]], line.removesuffix("\r")) for line in lines)
    slots = sorted(SLOT.findall(text))
    if slots != ["0", "1"] or len([line for line in rest if line]) > 1 or SLOT.search("".join(rest)):
        raise InputError(
            "not a reframed template: one {0} for the examples and one {1} for the instance belong on its first line, "
            "and a suffix at most on its second",
            code="bad-reframed-template",
            where=where,
            found=f"slots {', '.join(slots) or 'none'} on the first of {len(lines)} lines",
            do=r"write line ends inside the text as \n",
        )
    return Template(text, next(filter(None, rest), ""))


def format_template(template: Template) -> str:
    """The template as a file's text."""
    lines = [template.text, *filter(None, [template.suffix])]
    escaped = [line.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t") for line in lines]
    return "\n".join(escaped) + "\n"


def encode(
    template: Template,
    demos: Sequence[tuple[str, str]],
    given: str,
    *,
    marker: str = DEFAULT_MARKER,
    released_line_end: bool = False,
) -> str:
    """The prompt of one instance, whose input is ``given``. Without examples their place closes up.

    ``released_line_end`` keeps a slip of the released code: of a template with a suffix it reads the first line with
    its line end, so that the prompt ends in one.
    """
    shown = "\n\n".join(f"{put}{template.suffix}\n{marker} {output}" for put, output in demos)
    values = {"0": shown, "1": f"{given}{template.suffix}"}
    text = template.text if demos else re.sub(r"\{0\}\n*", "", template.text)
    filled = SLOT.sub(lambda found: values[found[1]], text)  # one pass: an input may hold {1}
    return f"{filled}\n" if released_line_end and template.suffix else filled


def task_number(name: str) -> int | None:
    """The number in a task's name, which the released constants go by."""
    found = NAME.match(name)
    return int(found[1]) if found else None


def marker_of(name: str) -> str:
    """What stands before the outputs of a task's examples."""
    return MARKERS.get(task_number(name) or 0, DEFAULT_MARKER)


def new_tokens_of(name: str) -> int:
    """The released limit of a task's answers, in tokens."""
    return NEW_TOKENS.get(task_number(name) or 0, DEFAULT_NEW_TOKENS)


def _no_slots(instruction: str) -> str:
    return SLOT.sub(r"{ \1 }", instruction)
