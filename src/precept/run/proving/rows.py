"""The row proofs of a training step: its rows as read, as rendered, and as transformers writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from precept.prove.matched import Matched, match_conversations
from precept.prove.proof import Proof
from precept.prove.rows import (
    mask_equals_answer,
    nothing_lost,
    parity_sample,
    template_parity,
    terminator_trained,
    train_eval_disjoint,
    vocabulary_covered,
)
from precept.records import text_digest
from precept.render import Rendered
from precept.render.store import StoredSequences
from precept.run.data.rows import RawData
from precept.run.tuning.blocks import BlockWork, Seen
from precept.types import Row, TokenSequence

if TYPE_CHECKING:
    from precept.run.tuning.prepare import RenderedData


@dataclass(frozen=True)
class Asked:
    """What the proofs tell beside what the rows show: settings of the run, and how many rows could not be read."""

    seed: int
    trained: bool
    added: Sequence[int]
    special: Sequence[int]
    unread: int
    policy: str


def row_proofs(raw: RawData, data: RenderedData, *, asked: Sequence[Row] = ()) -> list[Proof]:
    """All row proofs, over all rows of training and of evaluation; ``asked`` are those of later evaluation steps."""
    return [*data.proofs, train_eval_disjoint(raw.train, raw.held_out, text_digest=text_digest, asked=asked)]


def proofs_of(
    parts: Sequence[Sequence[Row]], made: Sequence[Rendered], seen: Seen, work: BlockWork, asked: Asked
) -> list[Proof]:
    """The proofs of all parts but the one that compares them with rows to evaluate on."""
    sample = _sample(parts, made, seen, work, asked)
    return [
        mask_equals_answer(seen.masks, writer=work.writer),
        terminator_trained(seen.terminators, stop_ids=made[0].stop_ids),
        template_parity(
            seen.masks,
            sample,
            shapes=len(seen.shapes.first),
            prompt_ids=work.renderer.prompt_ids,
            prompt_weight=work.prompt_weight,
        ),
        work.bos.single_bos(seen.openings),
        vocabulary_covered(seen.vocabulary, trained=asked.trained, added=asked.added, special=asked.special),
        nothing_lost(seen.accounts, unread=asked.unread, policy=asked.policy),
    ]


def _sample(
    parts: Sequence[Sequence[Row]], made: Sequence[Rendered], seen: Seen, work: BlockWork, asked: Asked
) -> list[Matched]:
    """The sequences whose prompts are compared, read and matched once more."""
    told = np.concatenate([_stored(one).entries["conversation"] for one in made])
    chosen = parity_sample(seen.shapes, np.flatnonzero(told), np.random.default_rng(asked.seed))
    found: list[Matched] = []
    before = 0
    for rows, one in zip(parts, made, strict=True):
        own = [number - before for number in chosen if before <= number < before + len(one.places)]
        before += len(one.places)
        picked = sorted(set(one.places[own].tolist()))
        sequences: list[TokenSequence] = []
        places, wanted = [], []
        for number, place in enumerate(picked):
            first, last = np.searchsorted(one.places, [place, place + 1]).tolist()
            sequences += one.sequences[first:last]
            places += [number] * (last - first)
            wanted += [index in set(own) for index in range(first, last)]
        matches = match_conversations(
            [rows[place] for place in picked],
            sequences,
            np.array(places, np.int32),
            work.writer,
            train_on=work.train_on,
        )
        found += [match for match, want in zip(matches, wanted, strict=True) if want and isinstance(match, Matched)]
    return found


def _stored(rendered: Rendered) -> StoredSequences:
    assert isinstance(rendered.sequences, StoredSequences)
    return rendered.sequences
