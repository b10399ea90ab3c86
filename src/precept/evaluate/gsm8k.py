"""Numbers in answers: what a solution of GSM8K (2110.14168) or MGSM (2210.03057) ends in, and when two are the same.

Commas group thousands and the point marks decimals, as in both data sets; digits may be of any script.
"""

from __future__ import annotations

import re
from decimal import Decimal

MGSM_PHRASES = (
    "The answer is",
    "Die Antwort lautet",
    "La respuesta es",
    "La réponse est",
    "Ответ —",
    "Ответ -",
    "Ответ",
    "Jibu ni",
    "答案是",
    "答えは",
    "คำตอบคือ",
    "సమాధానం",
    "উত্তর হল",
)
"""How the examples of MGSM end in its languages; the number follows."""

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+"
# A minus sign stands at its number, and nothing that it could be subtracted from stands before it: not "16-3".
_MINUS = r"(?<![\w)\]])[-\u2212]"
_NUMBER = rf"(?:{_MINUS}[$€£]?|[$€£][-\u2212]?)?(?:{_DIGITS})"
_ANYWHERE = re.compile(_NUMBER)
_AFTER_MARK = re.compile(rf"####[ \t]*({_NUMBER})")
_LAST_LINE = re.compile(rf"^A:[ \t]*({_NUMBER})[ \t]*\.?[ \t]*$", re.MULTILINE)
_AFTER_PHRASE = re.compile(rf"(?:{'|'.join(MGSM_PHRASES)})[\s:：]*({_NUMBER})", re.IGNORECASE)


def gsm8k(output: str) -> str:
    """The number after the first "####", else on the first line "A: 18" that GSM8K's published model solutions have
    instead; without commas and currency, nothing where there is none."""
    found = _AFTER_MARK.search(output) or _LAST_LINE.search(output)
    return _plain(found[1]) if found else ""


def mgsm(output: str) -> str:
    """The number after the last "The answer is", or its like in another language of MGSM, in any case; without commas
    and currency, nothing where there is none."""
    found = _AFTER_PHRASE.findall(output)
    return _plain(found[-1]) if found else ""


def last_number(output: str) -> str:
    """The last number of the output, without commas and currency; nothing where there is none."""
    found = _ANYWHERE.findall(output)
    return _plain(found[-1]) if found else ""


def read_number(text: str) -> Decimal | None:
    """The number that an answer or a reference is, in whole or by what ``gsm8k`` takes from it; None for other text."""
    number = gsm8k(text)
    if not number:
        bare = text.strip().removesuffix(".").removesuffix("%").rstrip()
        number = _plain(bare) if _ANYWHERE.fullmatch(bare) else ""
    return Decimal(number) if number else None


def same_number(prediction: str, reference: str) -> float:
    """1 where both are the same number: "18", "$18.00" and "#### 18" are, "18 apples" is none.

    The published code of GSM8K compares the digits as text, to which "18.00" is another number than "18".
    """
    number = read_number(prediction)
    return float(number is not None and number == read_number(reference))


def _plain(number: str) -> str:
    """Digits, sign and point alone."""
    return re.sub(r"[,$€£]", "", number.replace("\u2212", "-"))
