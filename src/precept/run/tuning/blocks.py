"""Rows rendered and proven block by block, by as many processes as there are cores, with the same result."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np

from precept.errors import InputError
from precept.prove.matched import Matched, Unmatched, match_conversations
from precept.prove.rendition import Writer
from precept.prove.rows import (
    BosCheck,
    tally_masks,
    tally_rows,
    tally_shapes,
    tally_terminators,
    tally_vocabulary,
)
from precept.prove.tally import Accounts, Masks, Openings, Shapes, Tally, Terminators, Vocabulary
from precept.records.load import collector_paused
from precept.render import Rendered, Renderer
from precept.render.store import Packed, pack
from precept.run.console import say
from precept.types import Conversation, Row

BLOCK = 2048  # rows; what is looked up once for rows of a shape is looked up once a block
FEWEST_FOR_PROCESSES = 8 * BLOCK

END_WITH_PARENT = 1  # PR_SET_PDEATHSIG: a killed run leaves no process behind

R = TypeVar("R")


@dataclass
class Seen(Tally):
    """What the row proofs need to know of rows."""

    masks: Masks
    terminators: Terminators
    shapes: Shapes
    openings: Openings
    vocabulary: Vocabulary
    accounts: Accounts


@dataclass(frozen=True)
class Block:
    """A block's result: records of its sequences, what became of the rest, and what the proofs saw. ``read`` are the
    render settings that had a say."""

    packed: Packed
    rendered: Rendered
    seen: Seen
    read: frozenset[str]


@dataclass(frozen=True)
class BlockWork:
    """Renders and proves rows ``start:stop``. Shapes name the block's sequences by their place in it."""

    renderer: Renderer
    writer: Writer
    bos: BosCheck
    embeddings: int
    train_on: Literal["all", "last"]
    prompt_weight: float

    def nothing_seen(self) -> Seen:
        """What is seen of no rows, to add to."""
        used = Vocabulary(np.zeros(max(self.embeddings, 1), bool))
        return Seen(Masks(), Terminators(), Shapes(), Openings(), used, Accounts())

    def __call__(self, rows: Sequence[Row], start: int, stop: int) -> Block:
        """The result for one block."""
        own = rows[start:stop]
        rendered = self.renderer.render_part(own)
        sequences, places = rendered.sequences, rendered.places
        told = [isinstance(own[place], Conversation) for place in places.tolist()]
        found = list(match_conversations(own, sequences, places, self.writer, train_on=self.train_on))
        numbered = zip(np.flatnonzero(told).tolist(), found, strict=True)
        numbers, texts = [], []
        for number, one in numbered:
            if isinstance(one, Matched):
                numbers.append(number)
                texts.append(one)
        odd = [one for one in found if isinstance(one, Unmatched)]
        seen = Seen(
            tally_masks(texts, odd, prompt_weight=self.prompt_weight),
            tally_terminators(texts),
            tally_shapes(texts, numbers),
            self.bos.tally(sequences),
            tally_vocabulary(sequences, embeddings=self.embeddings),
            tally_rows(own, sequences, refused=rendered.refusals, dropped=rendered.dropped),
        )
        packed = pack(sequences, places + np.int32(start), told)
        bare = replace(rendered, sequences=[], places=places[:0])
        return Block(packed, bare, seen, self.renderer.settings.read_keys())


def in_blocks(work: Callable[[Sequence[Row], int, int], R], rows: Sequence[Row], *, processes: int) -> Iterator[R]:
    """The results of ``work`` for the blocks of rows, in order, at most two a process at once."""
    cuts = [(start, min(start + BLOCK, len(rows))) for start in range(0, len(rows), BLOCK)]
    if processes == 1:
        with collector_paused():
            yield from (work(rows, start, stop) for start, stop in cuts)
        return
    waiting: deque[Future[R]] = deque()
    done = 0
    # Forked processes find rows and tokenizer in memory as they are; nothing of torch runs before.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(work, rows)) as pool:
        try:
            for start, stop in cuts:
                waiting.append(pool.submit(_work_on, start, stop))
                if len(waiting) > 2 * processes:
                    yield waiting.popleft().result()
                    done += 1
            while waiting:
                yield waiting.popleft().result()
                done += 1
        except BrokenProcessPool:
            say("a process that prepared rows ended (out of memory?): going on with one")
            yield from (work(rows, start, stop) for start, stop in cuts[done:])


def usable_processes(rows: int) -> int:
    """How many processes prepare so many rows: ``$PRECEPT_PROCESSES``, else one a core; one where rows are few."""
    if sys.platform != "linux" or rows < FEWEST_FOR_PROCESSES:
        return 1
    asked = os.environ.get("PRECEPT_PROCESSES")
    if not asked:
        return len(os.sched_getaffinity(0))
    if not asked.isdecimal() or int(asked) == 0:
        raise InputError(
            "the number of processes is a whole number above 0",
            code="bad-processes",
            where="PRECEPT_PROCESSES",
            found=asked,
            do="set it to a number, or not at all for one process a core",
        )
    return int(asked)


_inherited: list[Any] = []


def _begin(work: object, rows: Sequence[Row]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # each process has a core of its own
    gc.freeze()
    _inherited[:] = [work, rows]


def _work_on(start: int, stop: int) -> Any:
    work, rows = _inherited
    return work(rows, start, stop)
