"""Which evaluated items the training rows have touched: equal texts, and shared runs of words.

The items are indexed, the training rows pass by once: memory is some 50 bytes for each word of the items and none for
training rows, whatever their number. Words are hashed to 64 bits; with 10^6 item words and 10^8 training words a chance
match is expected once in 10^5 checks.

Three matches are told apart, the strongest first: ``exact``, the same characters but for outer blanks; ``normalized``,
the same words; ``words``, overlap. Overlap is that of Tulu 3 (2411.15124): the share of an item's words that runs of
``n`` words shared with one training message cover. ``share=0`` asks for any shared run, as GPT-3's analysis does
(2005.14165, there with n = 8 to 13). Deviations: words are runs of letters and digits after NFKC and case folding,
single characters in scripts without blanks; answers are looked for as well as questions, in training answers as well
as prompts; runs that most items of a task share (a definition, a frame) count neither way. Worked examples around a
question are not looked for. A text shorter than n words is found by equality alone. What is reworded every few words,
or translated, escapes.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from precept.evaluate.items import Item
from precept.evaluate.run import ItemResult, by_task, summarize
from precept.types import Comparison, Conversation, LongArray, Row, Text

Hashes = npt.NDArray[np.uint64]
ItemSide = Literal["question", "answer"]
RowSide = Literal["prompt", "answer", "text"]
Match = Literal["exact", "normalized", "words"]
MATCHES: tuple[Match, ...] = ("exact", "normalized", "words")
"""How a training row and an item can meet, the strongest first."""

SHOWN = 5
"""Training rows that are named for each item."""
FRAME_FROM = 4
"""Items of a task from which a run of words that more than half of them share is the task's frame."""

# Thai, kana and Chinese characters are words of their own.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


@dataclass(frozen=True, slots=True)
class Touch:
    """One training row that holds part of an item: ``share`` of the item's question or answer, 1 where the whole text
    is the same."""

    file: str
    row: int
    item_side: ItemSide
    row_side: RowSide
    share: float
    match: Match


@dataclass(frozen=True, slots=True)
class ItemContamination:
    """What was found of an item. ``rows`` touch it, of which ``touches`` name those that match best. ``short``: its
    question has too few words for runs, and was looked for by equality."""

    task: str
    id: str
    rows: int
    touches: tuple[Touch, ...]
    short: bool

    @property
    def status(self) -> Literal["clean", "touched"]:
        """Touched where any training row reached the rule's share, or holds the same text."""
        return "touched" if self.rows else "clean"

    @property
    def match(self) -> Match | None:
        """The strongest match."""
        return self.touches[0].match if self.touches else None


@dataclass(slots=True)
class _Text:
    """A question or an answer of an item. ``countable`` of its words stand in runs that are not its task's frame."""

    item: int
    side: ItemSide
    countable: int = 0


@dataclass(slots=True)
class _Found:
    """``rows`` counts rows that follow one another, so that a row met twice in turn counts once."""

    rows: int = 0
    last: tuple[str, int] | None = None
    touches: list[Touch] = field(default_factory=list)

    def note(self, touch: Touch) -> None:
        row = (touch.file, touch.row)
        self.rows += row != self.last
        self.last = row
        self.touches.append(touch)
        self.touches.sort(key=lambda entry: (MATCHES.index(entry.match), -entry.share))  # stable: of equals the first
        del self.touches[SHOWN:]


def split_words(text: str) -> list[str]:
    """Words as they are compared."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def find_contamination(
    items: Sequence[Item], rows: Iterable[Row], *, n: int = 8, share: float = 0.5
) -> list[ItemContamination]:
    """One finding an item, in order. ``rows`` are read once, one at a time, and may be a stream.

    An item is touched where one training message has more than ``share`` of its question or its answer in runs of
    ``n`` words, or is equal to it. Answers of fewer than n words are not looked for: they stand everywhere.
    """
    assert n > 0 and 0 <= share < 1, "needs a length of runs and a share"
    index = _Index(items, n)
    found = [_Found() for _ in items]
    for row in rows:
        for side, message in _messages(row):
            for text, covered, match in index.look_up(message):
                if match != "words" or covered > share:
                    found[text.item].note(Touch(row.source.file, row.source.row, text.side, side, covered, match))
    return [
        ItemContamination(item.task, item.id, entry.rows, tuple(entry.touches), number in index.short)
        for number, (item, entry) in enumerate(zip(items, found, strict=True))
    ]


def score_apart(
    results: Sequence[ItemResult],
    findings: Sequence[ItemContamination],
    *,
    against: Sequence[ItemResult] | None = None,
) -> dict[str, dict[str, dict[str, float]]]:
    """``{all, clean?, touched?: {METRIC: {value, low, high, n}}}`` of results that the findings are about, in the same
    order; a side without items is left out. With ``against``, another model's results, the paired differences."""
    assert [(r.task, r.id) for r in results] == [(f.task, f.id) for f in findings], "needs the same items"
    places = {
        "all": list(range(len(findings))),
        **{side: [n for n, f in enumerate(findings) if f.status == side] for side in ("clean", "touched")},
    }
    sides = {name: by_task([results[n] for n in own]) for name, own in places.items() if own}
    if against is None:
        return {name: summarize(side)["overall"] for name, side in sides.items()}
    others = {name: by_task([against[n] for n in places[name]]) for name in sides}
    return {name: summarize(side, against=others[name])["difference"] for name, side in sides.items()}


def describe(findings: Sequence[ItemContamination]) -> dict[str, Any]:
    """``{items, touched, exact, normalized, words, short, tasks: {NAME: {items, touched}}}``, counts; each touched item
    is under its strongest match."""
    tasks: dict[str, Counter[str]] = {}
    for finding in findings:
        tasks.setdefault(finding.task, Counter())[finding.status] += 1
    return {
        "items": len(findings),
        "touched": sum(finding.status == "touched" for finding in findings),
        **{match: sum(finding.match == match for finding in findings) for match in MATCHES},
        "short": sum(finding.short for finding in findings),
        "tasks": {name: {"items": counts.total(), "touched": counts["touched"]} for name, counts in tasks.items()},
    }


def _messages(row: Row) -> Iterator[tuple[RowSide, str]]:
    """The texts of a training row, each message by itself. System messages are left out: whole files share them."""
    if isinstance(row, Text):
        yield "text", row.text
    elif isinstance(row, Conversation | Comparison):
        answers = (
            [message for answer in row.answers for message in answer.messages] if isinstance(row, Comparison) else []
        )
        for message in (*(row.messages if isinstance(row, Conversation) else row.prompt), *answers):
            if message.role != "system" and message.content:
                yield ("answer" if message.role == "assistant" else "prompt"), message.content


class _Index:
    """The items' texts by their hashed runs of ``n`` words, by all their words and by their characters.

    Runs are sorted by hash: those of hash k stand at ``start[k]:start[k+1]`` of ``text`` and ``begin``, which tell the
    text and the place of the run in it.
    """

    def __init__(self, items: Sequence[Item], n: int) -> None:
        self.n = n
        self.texts: list[_Text] = []
        self._exact: dict[str, list[int]] = {}
        self._normalized: dict[str, list[int]] = {}
        self._numbers: dict[str, int] = {}
        rng = np.random.default_rng(0)
        self._odd = rng.integers(0, 1 << 63, size=n, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        words = [self._add(*text) for number, item in enumerate(items) for text in _texts(number, item, n)]
        # The last code is that of all words that no item has.
        self._codes = rng.integers(0, 1 << 64, size=len(self._numbers) + 1, dtype=np.uint64)
        self._sort([self._runs(numbers) for numbers in words], [item.task for item in items])
        long = {text.item for text in self.texts if text.side == "question" and text.countable}
        self.short = set(range(len(items))) - long

    def look_up(self, message: str) -> list[tuple[_Text, float, Match]]:
        """Texts that share something with a message: the share of them that it covers, and how they match."""
        words = split_words(message)
        runs = np.unique(self._runs(np.array([self._numbers.get(word, -1) for word in words], np.int64)))
        places = np.searchsorted(self._hashes, runs)
        found = places[self._hashes.take(places, mode="clip") == runs] if len(self._hashes) else places[:0]
        covered: dict[int, set[int]] = {}
        for place in found.tolist():
            for entry in range(self._start[place], self._start[place + 1]):
                begin = int(self._begin[entry])
                covered.setdefault(int(self._text[entry]), set()).update(range(begin, begin + self.n))
        shared: dict[int, tuple[float, Match]] = {
            text: (len(positions) / self.texts[text].countable, "words") for text, positions in covered.items()
        }
        shared |= dict.fromkeys(self._normalized.get(" ".join(words), ()), (1.0, "normalized"))
        shared |= dict.fromkeys(self._exact.get(message.strip(), ()), (1.0, "exact"))
        return [(self.texts[text], share, match) for text, (share, match) in shared.items()]

    def _add(self, item: int, side: ItemSide, text: str) -> LongArray:
        words = split_words(text)
        self._exact.setdefault(text.strip(), []).append(len(self.texts))
        if words:
            self._normalized.setdefault(" ".join(words), []).append(len(self.texts))
        self.texts.append(_Text(item, side))
        return np.array([self._numbers.setdefault(word, len(self._numbers)) for word in words], np.int64)

    def _runs(self, numbers: LongArray) -> Hashes:
        """The hash of each run of n words, [len - n + 1]."""
        count = max(0, len(numbers) - self.n + 1)
        codes = self._codes[numbers]
        runs = np.zeros(count, np.uint64)
        for place, odd in enumerate(self._odd):
            mixed = (codes[place : place + count] ^ (codes[place : place + count] >> np.uint64(31))) * odd
            runs += mixed ^ (mixed >> np.uint64(29))
        return runs

    def _sort(self, runs: Sequence[Hashes], tasks: Sequence[str]) -> None:
        frame = self._frame_runs(runs, tasks)
        kept = [
            np.flatnonzero(~np.isin(own, frame[tasks[text.item]])) for own, text in zip(runs, self.texts, strict=True)
        ]
        for text, begins in zip(self.texts, kept, strict=True):
            text.countable = len(np.unique(begins[:, None] + np.arange(self.n)))
        hashes = np.concatenate(
            [own[begins] for own, begins in zip(runs, kept, strict=True)] or [np.zeros(0, np.uint64)]
        )
        order = np.argsort(hashes, kind="stable")
        self._hashes, first = np.unique(hashes[order], return_index=True)
        self._start = np.append(first, len(order))
        lengths = [len(begins) for begins in kept]
        self._text = np.repeat(np.arange(len(kept), dtype=np.int32), lengths)[order]
        self._begin = np.concatenate([*kept, np.zeros(0, np.int64)]).astype(np.int32)[order]

    def _frame_runs(self, runs: Sequence[Hashes], tasks: Sequence[str]) -> dict[str, Hashes]:
        """By task the runs that more than half of its items have."""
        by_item: dict[int, list[Hashes]] = {}
        for text, own in zip(self.texts, runs, strict=True):
            by_item.setdefault(text.item, []).append(own)
        by_task: dict[str, list[Hashes]] = {}
        for item, own_runs in by_item.items():
            by_task.setdefault(tasks[item], []).append(np.unique(np.concatenate(own_runs)))
        items = Counter(tasks)
        frames = {}
        for task, sets in by_task.items():
            values, counts = np.unique(np.concatenate(sets), return_counts=True)
            frames[task] = values[counts * 2 > items[task]] if items[task] >= FRAME_FROM else values[:0]
        return frames


def _texts(number: int, item: Item, n: int) -> Iterator[tuple[int, ItemSide, str]]:
    """The question without worked examples, else as its user turns ask it, each by itself, and the answers of n words
    or more."""
    turns = [message.content or "" for message in item.messages if message.role == "user"]
    for text in [item.question] if item.question else turns:
        if text.strip():
            yield number, "question", text
    for reference in item.references:
        if len(split_words(reference)) >= n:
            yield number, "answer", reference
