"""The reframing techniques that rules can serve (2109.07830, the techniques' names; rules and wording are ours).

Each function gives the new text, or None where it finds nothing to do. Whether a rewrite is taken is decided in
``precept.synth.reframing_checks``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from precept.synth.sentences import (
    LISTS,
    PLAIN,
    capitalized,
    find_negation,
    is_demand,
    split_sentences,
    unquoted,
    words,
)

YES_OR_NO, ONE_OF = "Answer with yes or no.", "Answer with one of: "
SEPARATED, ONE_WORD = "Answer with words separated by commas.", "Answer with one word."
AT_MOST = re.compile(r"Answer with at most (\d+) words\.")
FORBIDS = re.compile(
    r"\b(?:(?:please\s+)?do(?:es)?(?:\s+not|n['’]t)|(?:please\s+)?never|(?P<modal>should|must|may|can|shall|will)"
    r"(?:\s*not|n['’]t)|(?P<avoid>(?:please\s+)?avoid))\s+",
    re.IGNORECASE,
)
OPPOSITES: dict[str, str] = LISTS["opposites"]
OPPOSITE_VERBS: dict[str, str] = LISTS["opposite_verbs"]
MORE_THAN = re.compile(r"^(?P<verb>\w+(?: \w+){0,2}?) (?:more|longer|greater|higher) than\b", re.IGNORECASE)
LESS_THAN = re.compile(r"^(?P<verb>\w+(?: \w+){0,2}?) (?:less|fewer|shorter|smaller|lower) than\b", re.IGNORECASE)
NOTHING_BUT = re.compile(
    r"^(?P<verb>\w+) anything (?:else )?(?:other than|except(?: for)?|but|besides|apart from)\b", re.I
)
LEAVE_EMPTY = re.compile(r"^leave (?P<what>.+?) (?:empty|blank)\b", re.IGNORECASE)
BOUNDS = (
    (re.compile(r"\b(?:not|no) (?:more|longer|greater) than\b", re.IGNORECASE), "at most"),
    (re.compile(r"\b(?:not|no) (?:less|fewer|shorter) than\b", re.IGNORECASE), "at least"),
)

STARTS = re.compile(
    r"^(?:(?:in|for) this task,?\s+|please\s+|(?:your|the) (?:task|job|goal|objective)(?: here)? is to\s+"
    r"|(?:you|we) (?:will |would )?(?:need|have|are (?:required|asked|supposed|expected|going)|want you|ask you) to\s+"
    r"|you should try to\s+|now,?\s+)+",
    re.IGNORECASE,
)
TRUE_OF_ANY_TASK = re.compile(
    r"^(?:please )?(?:"
    r"(?:carefully )?(?:read|follow) (?:the|these|all) (?:\w+ )?(?:instructions?|guidelines|definition)s?.*"
    r"|answer the (?:following )?questions?(?: (?:below|that follows?|given below))?"
    r"|(?:complete|perform|do) (?:the|this) (?:following )?task(?: .{0,20})?"
    r"|here (?:is|are) (?:some|an?|a few|several) examples?.*"
    r"|see the examples? (?:below|above).*"
    r"|(?:try to )?do your best.*|good luck.*|thank you.*|be careful"
    r"|(?:you (?:will be|are) given )?(?:a|the) task (?:definition )?(?:is )?(?:given )?(?:below|as follows)"
    r"|given the task definition(?: and (?:the )?input)?,? reply with (?:the )?output"
    r")[.!:]*$",
    re.IGNORECASE,
)
ABSTRACT = re.compile(
    r"\b(?:(?:is|are) defined as|refers? to|means that|is the (?:ability|understanding|concept|notion|knowledge)"
    r"|(?:understanding|knowledge|concept|notion|sense) of|common ?sense|reasoning about)\b",
    re.IGNORECASE,
)
MAX_CUES = 6
MAX_LABELS = 6
MIN_OUTPUTS = 3  # with fewer, one form is as likely to be chance


def state_positively(sentence: str) -> str | None:
    """A sentence that forbids, as what to do instead; None where no rule tells it."""
    for pattern, bound in BOUNDS:
        sentence = pattern.sub(bound, sentence)
    if find_negation(sentence) is None:
        return sentence
    found = FORBIDS.search(sentence)
    if found is None:
        return None
    before, rest = sentence[: found.start()], sentence[found.end() :]
    wanted = _opposite_of(rest, avoid=found["avoid"] is not None)
    if wanted is None or find_negation(before + wanted) is not None:
        return None
    modal = f"{found['modal']} " if found["modal"] else ""
    return capitalized(f"{before}{modal}{wanted}")


def _opposite_of(rest: str, *, avoid: bool) -> str | None:
    """What to do, where doing ``rest`` is forbidden."""
    if match := MORE_THAN.match(rest):
        return f"{match['verb']} at most{rest[match.end() :]}"
    if match := LESS_THAN.match(rest):
        return f"{match['verb']} at least{rest[match.end() :]}"
    if match := NOTHING_BUT.match(rest):
        return f"{match['verb']} only{rest[match.end() :]}"
    if match := LEAVE_EMPTY.match(rest):
        return f"fill in {match['what']}{rest[match.end() :]}"
    first = re.match(r"\w+", rest)
    if first and first.group().lower() in OPPOSITE_VERBS:
        return OPPOSITE_VERBS[first.group().lower()] + rest[first.end() :]
    plain = [match for match in re.finditer(r"[\w-]+", unquoted(rest)) if match.group().lower() in OPPOSITES]
    joined = re.search(r"\b(?:and|or|but|because|unless|if|that|which)\b", rest, re.IGNORECASE)
    if len(plain) != 1 or joined:  # with more in the sentence, another part of it may be what is forbidden
        return None
    word = plain[0].group()
    opposite = OPPOSITES[word.lower()]
    article = "an" if opposite[0] in "aeiou" else "a"
    wanted = re.sub(rf"\b{re.escape(word)}\b", opposite, rest, count=1)
    wanted = re.sub(rf"\ban? (?={opposite}\b)", f"{article} ", wanted, count=1)
    return f"prefer {wanted}" if avoid else wanted


def itemize(text: str, *, forbidden: str = "") -> str | None:
    """One sentence a bullet, each said positively where a rule can. ``forbidden`` is a text of things to avoid, whose
    sentences need not say so themselves."""
    sentences = split_sentences(text)
    sentences += [s if find_negation(s) else f"Avoid {s[:1].lower()}{s[1:]}" for s in split_sentences(forbidden)]
    if sum(map(is_demand, sentences)) < 2 and not any(map(find_negation, sentences)):
        return None
    return "\n".join(f"- {state_positively(sentence) or sentence}" for sentence in sentences)


def specialize(text: str) -> str | None:
    """The text without what is true of any task: empty openings, calls to answer, sentences said twice."""
    kept: list[str] = []
    for sentence in split_sentences(text):
        short = capitalized(STARTS.sub("", sentence)) or sentence
        if not TRUE_OF_ANY_TASK.match(short) and not any(words(short) == words(other) for other in kept):
            kept.append(short)
    made = " ".join(kept)
    return made if made and words(made) != words(text) else None


def mine_cues(outputs: Sequence[str], *, limit: int = MAX_CUES) -> list[str]:
    """Openings of one to four words that outputs share, those that cover most outputs first.

    Empty where outputs are labels (one word at most on average) or where half of them start like no other.
    """
    said = [words(output) for output in outputs if words(output)]
    if len(said) < 2 or sum(map(len, said)) <= len(said):
        return []
    openings = Counter(" ".join(own[:size]) for own in said for size in range(1, 5) if len(own) > size)
    shared = [text for text, count in openings.items() if count >= 2 and (" " in text or text not in PLAIN)]
    cues: list[str] = []
    left = said
    while shared and left and len(cues) < limit:
        covers = {opening: sum(" ".join([*own, ""]).startswith(f"{opening} ") for own in left) for opening in shared}
        best = max(shared, key=lambda opening: (covers[opening], opening.count(" "), opening))
        if covers[best] < 2:
            break
        cues.append(best)
        left = [own for own in left if not " ".join([*own, ""]).startswith(f"{best} ")]
    return cues if len(left) * 2 < len(said) else []


def show_patterns(text: str, outputs: Sequence[str]) -> str | None:
    """The sentences that explain a concept replaced by phrases that answers start with."""
    cues = mine_cues(outputs)
    sentences = split_sentences(text)
    abstract = [sentence for sentence in sentences if ABSTRACT.search(sentence)]
    if not cues or not abstract:
        return None
    phrases = ", ".join(f'"{cue}"' for cue in cues)
    kept = [sentence for sentence in sentences if sentence not in abstract]
    return " ".join([*kept, f"Use these and similar phrases: {phrases}."])


def count_breaking(suffix: str, items: Sequence[Sequence[str]]) -> int | None:
    """How many items have no reference of the form that a sentence of ``restrain`` asks for; None for other sentences,
    of which that is not known."""
    most = AT_MOST.fullmatch(suffix)

    def fits(output: str) -> bool:
        said = output.strip()
        label = said.rstrip(".").lower()
        if suffix == YES_OR_NO:
            return label in ("yes", "no")
        if suffix.startswith(ONE_OF):
            return f", {label}, " in f", {suffix.removeprefix(ONE_OF).removesuffix('.').lower()}, "
        if suffix == SEPARATED:
            return "," in said
        return len(words(said)) <= (int(most[1]) if most else 1)

    if suffix not in (YES_OR_NO, SEPARATED, ONE_WORD) and not suffix.startswith(ONE_OF) and most is None:
        return None
    return sum(not any(map(fits, references)) for references in items)


def restrain(outputs: Sequence[str]) -> str | None:
    """One sentence that fixes the form of answers, as the examples' outputs have it; None where they have no form."""
    stated = [output.strip() for output in outputs if output.strip()]
    if len(stated) < MIN_OUTPUTS:
        return None
    labels = {output.rstrip(".").lower(): output.rstrip(".") for output in stated}
    sizes = [len(words(output)) for output in stated]
    if labels.keys() <= {"yes", "no"}:
        return YES_OR_NO
    if len(labels) <= MAX_LABELS and len(labels) * 2 <= len(stated) and max(sizes) <= 5:
        return f"{ONE_OF}{', '.join(labels[label] for label in sorted(labels))}."
    if all("," in output for output in stated) and max(len(words(p)) for o in stated for p in o.split(",")) <= 3:
        return SEPARATED
    if max(sizes) == 1:
        return ONE_WORD
    if min(sizes) == max(sizes) <= 3 or max(sizes) <= 3:
        return f"Answer with at most {max(sizes)} words."
    return None
