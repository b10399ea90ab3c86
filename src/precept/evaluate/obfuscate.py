"""Variants of an item that ask the same and have a right answer that is known: what a model has only memorised changes,
what it can do does not (validity threats of large language models, 2312.08055, metamorphic data).

Each is a pure function of an item and a seed. An item that a variant cannot be sure of comes back as it is, the same
object, so that ``variant is item`` tells. Only what the row asks changes, in the last user message and in the plain
text made of it, and no worked example around it; answers follow where they name what was changed.
"""

from __future__ import annotations

import ast
import operator
import random
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from precept.evaluate.gsm8k import read_number
from precept.evaluate.items import Item
from precept.evaluate.task import Variant

NAMES = (
    ("Alina", "Bettina", "Clara", "Fiona", "Greta", "Hanna", "Ingrid", "Karin", "Lena", "Nadia", "Renata", "Tanja"),
    ("Anton", "Boris", "Carlos", "Dieter", "Erik", "Felix", "Goran", "Jonas", "Lukas", "Marko", "Otto", "Stefan"),
    ("Alice", "Anna", "Emily", "Emma", "Hannah", "Jane", "Jessica", "Julia", "Laura", "Lisa", "Mary", "Sarah"),
    ("Andrew", "Bob", "Charlie", "Daniel", "David", "James", "John", "Kevin", "Michael", "Paul", "Steve", "Tom"),
)
"""Names that are no other English word. One is swapped within its group, so that pronouns still fit."""

_LETTERED = re.compile(r"[ \t]*\(?(?P<letter>[A-Z])[.):][ \t]+(?P<text>\S.*)")
_DASHED = re.compile(r"[ \t]*(?P<letter>-) (?P<text>\S.*)")
_NAMED = re.compile(r"(\(?)([A-Z])(\)?\.?)")
# An option that speaks of others or of its place cannot be moved.
_SPEAKS_OF_OTHERS = re.compile(
    r"\b(above|below|all of|none of|both|neither|either|previous|following|former|latter|[A-Z] (and|or) [A-Z])\b"
    r"|\([A-Z]\)",
    re.IGNORECASE,
)
_ABOUT_WRITING = re.compile(
    r"\b(letters?|alphabet\w*|spell\w*|rhym\w*|syllables?|acronyms?|anagrams?|characters?)\b", re.IGNORECASE
)
_BESIDE_A_NAME = r"\b{0} (?:[A-Z]|of\b)|(?<=[a-z,;:] )[A-Z][\w.]* {0}\b"
_LAID_OUT = re.compile(r"\t|```|  |\n ")
_EXPRESSION = re.compile(r"[\d\s()+*-]+")
_OPERATOR = re.compile(r"\d[\s)]*[+*-]")
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}


def shuffle_options(item: Item, *, seed: int) -> Item:
    """The last list of options in another order: "(A) ...", "A. ..." or "- ..." on lines of their own. Letters stay
    where they are, and a reference that is a letter follows its option.

    As it is: a question whose references are neither letters nor texts of the list, or could be either, and options
    that speak of each other or of their place.
    """
    lines = item.asks.split("\n")
    block = next((block for block in reversed(_option_blocks(lines)) if len(block) > 1), [])
    texts = [option["text"] for _, option in block]
    letters = [option["letter"] for _, option in block if option.re is _LETTERED]
    named = [_NAMED.fullmatch(reference.strip()) for reference in item.references]
    if (
        not (block and named)
        or len(set(texts)) < len(texts)
        or any(map(_SPEAKS_OF_OTHERS.search, texts))
        or not all(
            (reference in texts) != bool(name and name[2] in letters)  # both: which is meant cannot be told
            for reference, name in zip(item.references, named, strict=True)
        )
    ):
        return item
    order = _other_order(len(texts), random.Random(seed))
    for (line, option), source in zip(block, order, strict=True):
        lines[line] = option[0][: option.start("text")] + texts[source]
    references = tuple(
        f"{name[1]}{letters[order.index(letters.index(name[2]))]}{name[3]}"
        if name and name[2] in letters
        else reference
        for reference, name in zip(item.references, named, strict=True)
    )
    return _with_question(item, "\n".join(lines), references=references)


def renumber(item: Item, *, seed: int) -> Item:
    """Other numbers of as many digits in a question that is one sum or product of whole numbers, and its new answer.

    Only where it is safe: the question holds one expression of +, -, * and brackets and no other digit, and its value
    is the one reference. Word problems come back as they are: which of their numbers decide cannot be told; so do
    items with options, which would have to change with the answer.
    """
    question = item.asks
    found = [match for match in _EXPRESSION.finditer(question) if _OPERATOR.search(match[0])]
    if len(found) != 1 or len(item.references) != 1 or item.options:
        return item
    expression, before, after = found[0][0], question[: found[0].start()], question[found[0].end() :]
    glued = re.search(r"[\w.]\d\Z", before + expression[0]) or re.match(r"\d\w", expression[-1] + after)
    value = _value(expression)
    if glued or re.search(r"\d", before + after) or value is None or value != read_number(item.references[0]):
        return item
    rng = random.Random(seed)
    changed = re.sub(r"\d+", lambda digits: _other_number(digits[0], rng), expression)
    return _with_question(item, before + changed + after, references=(str(_value(changed)),))


def swap_names(item: Item, *, seed: int, names: Sequence[Sequence[str]] = NAMES) -> Item:
    """Each listed first name of the question exchanged for another of its group, there and in references and options.

    ``names`` are groups of names that may stand for each other. As it is: a name that only an answer holds, which the
    question does not decide; one beside another capitalised word, which may be that of somebody known; and any question
    about letters, spelling or sounds.
    """
    question = item.asks
    whole = "\n".join((question, *item.references, *item.options))
    if _ABOUT_WRITING.search(question):
        return item
    rng = random.Random(seed)
    swaps: dict[str, str] = {}
    for group in names:
        used = [name for name in group if re.search(rf"\b{re.escape(name)}\b", whole)]
        asked = [name for name in used if re.search(rf"\b{re.escape(name)}\b", question)]
        alone = [name for name in asked if not re.search(_BESIDE_A_NAME.format(re.escape(name)), whole)]
        free = [name for name in group if name not in used]
        swaps.update(zip(alone, rng.sample(free, k=min(len(alone), len(free))), strict=False))
    if not swaps:
        return item
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, swaps))})\b")

    def swap(text: str) -> str:
        return pattern.sub(lambda found: swaps[found[0]], text)

    return _with_question(
        item,
        swap(question),
        references=tuple(map(swap, item.references)),
        options=tuple(map(swap, item.options)),
        endings=tuple(map(swap, item.endings)),
    )


def vary_spacing(item: Item, *, seed: int) -> Item:
    """Blanks that readers pass over: an empty line at the start, two blanks between sentences, one before the question
    mark at the end; one or more of them.

    As it is: a text that is laid out (tabs, indented lines, runs of blanks, code fences), where blanks have a meaning.
    """
    question = item.asks
    if not question.strip() or _LAID_OUT.search(question):
        return item
    changes = (("^", "\n"), (r"(?<=[a-z][.!?]) (?=[A-Z])", "  "), (r"(?<=\w)\?(?=\s*$)", " ?"))
    possible = [change for change in changes if re.search(change[0], question)]
    rng = random.Random(seed)
    for pattern, text in rng.sample(possible, k=rng.randint(1, len(possible))):
        question = re.sub(pattern, text, question)
    return _with_question(item, question)


VARIANTS: dict[Variant, Callable[..., Item]] = {
    "shuffle_options": shuffle_options,
    "renumber": renumber,
    "swap_names": swap_names,
    "vary_spacing": vary_spacing,
}
"""The variants by name."""


def vary_items(items: Sequence[Item], name: Variant, *, seed: int) -> dict[int, Item]:
    """The variants of the items that change, by place. Each item draws from a seed of its own, made of its id."""
    varied: dict[int, Item] = {}
    for place, item in enumerate(items):
        own = zlib.crc32(f"{seed} {name} {item.task} {item.id}".encode())
        if (variant := VARIANTS[name](item, seed=own)) is not item:
            varied[place] = variant
    return varied


def _with_question(item: Item, text: str, **changes: Any) -> Item:
    """The item with another question, exchanged at its last place in the last user message and in the plain text; the
    item itself where it stands in one of them in another form."""
    before = item.asks
    place = max((number for number, message in enumerate(item.messages) if message.role == "user"), default=-1)
    if place < 0:
        return item
    contents = [item.messages[place].content or "", item.text]
    if not all(before in content for content in contents):
        return item
    content, whole = (text.join(content.rsplit(before, 1)) for content in contents)
    messages = [*item.messages[:place], replace(item.messages[place], content=content), *item.messages[place + 1 :]]
    return replace(item, messages=tuple(messages), text=whole, question=text if item.question else "", **changes)


def _option_blocks(lines: Sequence[str]) -> list[list[tuple[int, re.Match[str]]]]:
    """Runs of lines that list options, each line with its number: letters in order from A, or dashes."""
    blocks: list[list[tuple[int, re.Match[str]]]] = [[]]
    for number, line in enumerate(lines):
        found = _LETTERED.match(line) or _DASHED.match(line)
        block = blocks[-1]
        if block and not (
            found and found.re is block[0][1].re and found["letter"] in ("-", chr(ord("A") + len(block)))
        ):
            blocks.append(block := [])
        if found and (block or found["letter"] in ("-", "A")):
            block.append((number, found))
    return blocks


def _other_order(n: int, rng: random.Random) -> list[int]:
    """An order other than 0, 1, ..., n - 1, of two places or more."""
    order = list(range(n))
    while order == sorted(order):
        rng.shuffle(order)
    return order


def _other_number(digits: str, rng: random.Random) -> str:
    """Another number of as many digits, without leading zeros; of one digit it is none of 0 and 1, which do nothing."""
    low = 10 ** (len(digits) - 1) if len(digits) > 1 else 2
    drawn = rng.randrange(low, 10 ** len(digits) - 1)
    return str(drawn + (drawn >= int(digits)))


def _value(expression: str) -> int | None:
    """The value of an expression of whole numbers, brackets, +, - and *; None where it is none."""
    try:
        return _evaluate(ast.parse(" ".join(expression.split()), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _evaluate(node: ast.expr) -> int:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_evaluate(node.left), _evaluate(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_evaluate(node.operand)
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    raise ValueError("no sum or product of whole numbers")
