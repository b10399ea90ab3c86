"""What is proven of rows: each is compared with what transformers writes for it, by characters and by ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from precept.errors import PreceptError
from precept.prove.matched import Matched, Unmatched
from precept.prove.proof import Proof, not_applicable, within
from precept.prove.rendition import Writer
from precept.prove.tally import SHOWN, Accounts, Faults, Masks, Openings, Shapes, Terminators, Vocabulary
from precept.types import (
    Conversation,
    FloatArray,
    IntArray,
    LongArray,
    Message,
    Refusal,
    Row,
    Source,
    TokenSequence,
)

BoolArray: TypeAlias = npt.NDArray[np.bool_]

SAMPLE = 500


def tally_masks(matched: Sequence[Matched], unmatched: Sequence[Unmatched], *, prompt_weight: float = 0.0) -> Masks:
    """Compare the weights of each token with the turn that it holds a character of."""
    wrong = _wrong_tokens(matched, prompt_weight) if matched else []
    told = []
    for one, token in wrong[:SHOWN]:
        start, end = one.offsets[token]
        given = "is trained" if one.sequence.weights[token] > prompt_weight else "is not trained"
        told.append(f"{_at(one.sequence.source)}: token {token} ({one.text[start:end]!r}) {given}, against the rule")
    tokens = sum(len(one.offsets) for one in matched)
    odd = Faults.of(f"{_at(one.sequence.source)}: {one.why}" for one in unmatched)
    return Masks(len(matched), tokens, odd, Faults(len(wrong), told))


def mask_equals_answer(masks: Masks, *, writer: Writer) -> Proof:
    """In every sequence the tokens with weight are those that hold a character of a trained turn, all and only they."""
    if not masks.sequences and not masks.unmatched.count:
        return not_applicable("mask_equals_answer", "no row is a conversation: all tokens of a text are trained")
    told = [*masks.unmatched.told, *masks.wrong.told]
    strange = writer.answers_hold_questions()
    told += ["the template writes the user's text into the answer, so it would be trained"] if strange else []
    detail = f"{masks.sequences:,} sequences, {masks.tokens:,} tokens compared by their characters"
    faults = masks.wrong.count + masks.unmatched.count + strange
    return within("mask_equals_answer", faults, 0, "; ".join([detail, *told]))


def _wrong_tokens(matched: Sequence[Matched], prompt_weight: float) -> list[tuple[Matched, int]]:
    """Tokens whose weight is not that of the turn that they hold a character of, first of each sequence."""
    sizes = np.array([len(one.offsets) for one in matched])
    base = np.cumsum([0, *(len(one.text) + 1 for one in matched)])[:-1]
    offsets = np.concatenate([one.offsets for one in matched]) + np.repeat(base, sizes)[:, None]
    weights = np.concatenate([one.sequence.weights for one in matched])
    spans = [
        (start + turn.start, start + turn.written, start + turn.end, turn.closed, weight)
        for start, one in zip(base, matched, strict=True)
        for turn, weight in one.turns
    ]
    expected, certain = _expected(offsets, np.array(spans, np.float64).reshape(-1, 5))
    context = np.isnan(expected)
    right = np.where(context, (weights == 0) | (weights == np.float32(prompt_weight)), weights == expected)
    places = np.flatnonzero(~right & certain)
    ends = np.cumsum(sizes)
    owners = np.searchsorted(ends, places, side="right")
    first = np.unique(owners, return_index=True)[1]
    return [(matched[owners[i]], int(places[i] - (ends[owners[i]] - sizes[owners[i]]))) for i in first]


def _expected(offsets: LongArray, spans: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[FloatArray, Any]:
    """The weight of the turn that each token holds a character of, NaN for context, float32 [n]; and whether the rule
    tells: behind an answer that no token ends it does not."""
    starts, ends = offsets[:, 0], offsets[:, 1]
    if not len(spans):
        return np.full(len(offsets), np.nan, np.float32), np.ones(len(offsets), bool)
    place = np.searchsorted(spans[:, 2], starts, side="right").clip(max=len(spans) - 1)
    first, written, last, closed, weight = spans[place].T
    inside = (first < ends) & (starts < last) & (starts < ends)
    certain = ~(inside & (closed == 0) & (starts >= written))
    return np.where(inside, weight, np.nan).astype(np.float32), certain


def tally_terminators(matched: Sequence[Matched]) -> Terminators:
    """Look at the token that ends each trained turn."""
    checked, told = 0, []
    ends: Counter[int] = Counter()
    for one in matched:
        for turn, weight in one.turns:
            if not weight:
                continue
            if not turn.closed:
                told.append(f"{_at(one.sequence.source)}: the template ends the turn with no special token")
                continue
            token = int(one.offsets[:, 1].searchsorted(turn.end))
            if token >= len(one.offsets) or one.offsets[token, 0] >= turn.end:
                continue  # cut off with the end of a row that was too long
            checked += 1
            if turn.message == len(one.row.messages) - 1:  # an earlier turn may end otherwise than generation
                ends[int(one.sequence.ids[token])] += 1
            if one.sequence.weights[token] <= 0:
                told.append(f"{_at(one.sequence.source)}: {one.text[turn.written : turn.end]!r} is not trained")
    return Terminators(checked, ends, Faults.of(told))


def terminator_trained(seen: Terminators, *, stop_ids: Sequence[int]) -> Proof:
    """The token that ends each trained turn has weight, and is among the exported end tokens."""
    if not seen.turns and not seen.faults.count:
        return not_applicable("terminator_trained", "no row is a conversation: a text ends with the tokenizer's EOS")
    faults = seen.faults + Faults.of(f"the end token {t} is not exported" for t in seen.ends if t not in stop_ids)
    detail = f"{seen.turns:,} turns end with the tokens {sorted(seen.ends)}; exported: {sorted(stop_ids)}"
    return within("terminator_trained", faults.count, 0, "; ".join([detail, *faults.told]))


class BosCheck:
    """Whether rows begin with the tokens that the tokenizer itself puts before a text, once.

    A template that came with the tokenizer (``own_template``) may leave them out: then that is the model's convention.
    """

    def __init__(self, *, backend: Any, bos_id: int | None, own_template: bool = False) -> None:
        bare = backend.encode("a", add_special_tokens=False).ids
        whole = backend.encode("a", add_special_tokens=True).ids
        self._prefix = whole[: max(0, len(whole) - len(bare))] if whole[-len(bare) :] == bare else []
        self._opening = self._prefix or ([] if bos_id is None else [bos_id])
        self._own_template = own_template

    def tally(self, sequences: Sequence[TokenSequence]) -> Openings:
        """Look at the sequences of whole rows."""
        length, told = len(self._opening), []
        seen: set[tuple[str, int]] = set()
        for sequence in sequences if length else ():
            key = (sequence.source.file, sequence.source.row)
            first = (sequence.ids if sequence.encoder_ids is None else sequence.encoder_ids)[: 2 * length].tolist()
            if first == self._opening * 2:
                told.append(f"{_at(sequence.source)}: begins with {self._opening} twice")
            elif self._prefix and not self._own_template and key not in seen and first[:length] != self._prefix:
                told.append(f"{_at(sequence.source)}: does not begin with {self._prefix}")
            seen.add(key)
        return Openings(len(sequences), Faults.of(told))

    def single_bos(self, openings: Openings) -> Proof:
        """The proof of all rows."""
        said = f"the tokenizer begins a text with {self._prefix}" if self._prefix else "the tokenizer adds no BOS"
        told = [f"{said}; {openings.sequences:,} rows", *openings.faults.told]
        return within("single_bos", openings.faults.count, 0, "; ".join(told))


def tally_shapes(matched: Sequence[Matched], places: Sequence[int]) -> Shapes:
    """The first sequence of each shape; ``places`` number the sequences."""
    return Shapes({_shape(one): place for place, one in reversed(list(zip(places, matched, strict=True)))})


def parity_sample(shapes: Shapes, conversations: LongArray, rng: np.random.Generator) -> list[int]:
    """500 random sequences and one of every shape, among the sequences of conversations, ascending."""
    drawn = conversations[rng.permutation(len(conversations))[:SAMPLE]].tolist()
    return sorted({*shapes.first.values(), *drawn})


def template_parity(
    masks: Masks,
    sample: Sequence[Matched],
    *,
    shapes: int,
    prompt_ids: Callable[[Sequence[Message], Sequence[dict[str, Any]]], IntArray],
    prompt_weight: float = 0.0,
) -> Proof:
    """What chat and server send before each trained turn is how the row begins, up to where trained tokens begin; the
    texts of all rows are those of ``apply_chat_template``, and of the ``sample`` the prompts too."""
    if not masks.sequences and not masks.unmatched.count:
        return not_applicable("template_parity", "no row is a conversation")
    told = []
    turns = 0
    for one in sample:
        for turn, weight in one.turns:
            if not weight:
                continue
            try:
                prompt = prompt_ids(one.row.messages[: turn.message], one.row.tools)
            except PreceptError:
                continue  # no server can send it either
            if one.sequence.encoder_ids is None and one.offsets[0, 0] > 0:
                continue  # the row was cut on the left, to fit
            turns += 1
            if why := _differs(one.sequence, prompt, context=prompt_weight, border=one.offsets[:, 1] > turn.start):
                told.append(f"{_at(one.sequence.source)}, message {turn.message + 1}: {why}")
    faults = masks.unmatched + Faults.of(told)
    detail = f"{masks.sequences:,} texts; prompts of {turns:,} turns in {len(sample):,} sequences of {shapes} shapes"
    return within("template_parity", faults.count, 0, "; ".join([detail, *faults.told]))


def _differs(sequence: TokenSequence, prompt: IntArray, *, context: float, border: BoolArray) -> str | None:
    """How a sequence does not go on where a prompt ends; tokens of ``context`` weight or less are not trained.

    ``border`` [n] tells which tokens hold characters of the answer: a token that holds prompt and answer is trained.
    """
    length = len(prompt)
    if sequence.encoder_ids is not None:
        same = np.array_equal(sequence.encoder_ids[-length:], prompt[-len(sequence.encoder_ids) :])
        return None if same else "what a server sends is not what the encoder reads"
    if not np.array_equal(sequence.ids[:length], prompt[: len(sequence.ids)]):
        return "what a server sends is not how the row begins"
    if length >= len(sequence.ids):
        return None  # the row was cut on the right, before the answer
    if sequence.weights[length] <= context:
        return "trained tokens begin after what a server sends"
    if length and sequence.weights[length - 1] > context and not border[length - 1]:
        return "trained tokens begin before what a server sends ends"
    return None


def _shape(one: Matched) -> tuple[object, ...]:
    messages = tuple((m.role, bool(m.content), bool(m.reasoning_content), len(m.tool_calls)) for m in one.row.messages)
    return bool(one.row.tools), messages, tuple(turn.message for turn, _ in one.turns)


def tally_vocabulary(sequences: Sequence[TokenSequence], *, embeddings: int) -> Vocabulary:
    """Count the tokens of sequences; an embedding has ``embeddings`` rows."""
    arrays = [ids for one in sequences for ids in (one.ids, one.encoder_ids) if ids is not None]
    ids = np.concatenate([np.zeros(0, np.int32), *arrays])
    outside = (ids < 0) | (ids >= embeddings)
    used = np.zeros(max(embeddings, 1), bool)
    used[ids[~outside]] = True
    return Vocabulary(used, Counter(ids[outside].tolist()))


def vocabulary_covered(seen: Vocabulary, *, trained: bool, added: Sequence[int], special: Sequence[int]) -> Proof:
    """Every id has a row in the embedding. Listed are tokens of the data that training added, and special ones whose
    embeddings it leaves as they are (``trained`` False)."""
    used, beyond = seen.used, seen.beyond
    new = [token for token in added if token < len(used) and used[token]]
    frozen = [] if trained else [t for t in special if t < len(used) and used[t] and t not in added]
    told = [f"{int(used.sum()):,} of {len(used):,} tokens are used"]
    told += [f"added and trained: {new}"] if new else []
    told += [f"special tokens whose embeddings stay frozen: {frozen}"] if frozen else []
    told += [f"no embedding for the ids {sorted(beyond)[:SHOWN]}"] if beyond else []
    return within("vocabulary_covered", len(beyond), 0, "; ".join(told))


def tally_rows(
    rows: Sequence[Row], sequences: Sequence[TokenSequence], *, refused: Sequence[Refusal], dropped: Sequence[Refusal]
) -> Accounts:
    """Look for each row among its sequences, refusals and drops."""
    kept = {(sequence.source.file, sequence.source.row) for sequence in sequences}
    known = kept | {(refusal.file, refusal.row) for refusal in (*refused, *dropped)}
    return Accounts(
        len(rows),
        len(kept),
        Faults.of(f"{_at(r.source)}: vanished" for r in rows if (r.source.file, r.source.row) not in known),
        Faults.of(f"{_at(s.source)}: has no trained token" for s in sequences if not (s.weights > 0).any()),
        Counter(refusal.code for refusal in (*refused, *dropped)),
    )


def nothing_lost(accounts: Accounts, *, unread: int, policy: str) -> Proof:
    """Every row is trained, or refused or dropped by name; no sequence is without a trained token.

    ``value`` counts rows of which nothing is known; ``unread`` rows were refused by their reader.
    """
    lost = ", ".join(f"{count} {code}" for code, count in accounts.reasons.most_common()) or "none"
    rows = accounts.rows + unread
    detail = f"{rows:,} rows, {accounts.kept:,} trained; lost by name under {policy}: {lost}"
    told = [f"{unread:,} refused when read"] if unread else []
    told += [*accounts.silent.told, *accounts.empty.told]
    return within("nothing_lost", accounts.silent.count + accounts.empty.count, 0, "; ".join([detail, *told]))


def train_eval_disjoint(
    train: Sequence[Row],
    held_out: Sequence[Row],
    *,
    text_digest: Callable[[Row], bytes],
    asked: Sequence[Row] = (),
) -> Proof:
    """No row to evaluate on stands in the training data; rows of one ``text_digest`` are the same row.

    Of rows that are ``asked`` by an evaluation the prompts count, whatever the answer.
    """
    if not held_out and not asked:
        return not_applicable("train_eval_disjoint", "no row is held out: set eval_data or eval_fraction")
    whole: dict[bytes, Source | None] = dict.fromkeys(map(text_digest, held_out))
    prompts: dict[bytes, Source | None] = {text_digest(_prompts(row)[-1]): None for row in asked}
    different = np.empty(len(train), "S16")
    for place, row in enumerate(train):
        different[place] = digest = text_digest(row)
        if digest in whole:
            whole[digest] = row.source
        for prompt in _prompts(row) if asked else ():
            if (digest := text_digest(prompt)) in prompts:
                prompts[digest] = row.source
    pairs = [(row.source, whole[text_digest(row)]) for row in held_out]
    pairs += [(row.source, prompts[text_digest(_prompts(row)[-1])]) for row in asked]
    faults = Faults.of(f"{_at(own)} is {_at(other)} of the training data" for own, other in pairs if other is not None)
    against = len(np.unique(different))
    detail = f"{len(held_out):,} rows held out and {len(asked):,} asked, against {against:,} different ones"
    return within("train_eval_disjoint", faults.count, 0, "; ".join([detail, *faults.told]))


def _prompts(row: Row) -> list[Row]:
    """What stands before each answer of a conversation, and all of one without a last answer."""
    if not isinstance(row, Conversation):
        return [row]
    ends = [place for place, message in enumerate(row.messages) if message.role == "assistant"]
    if not ends or ends[-1] != len(row.messages) - 1:
        ends.append(len(row.messages))
    return [replace(row, messages=row.messages[:end]) for end in ends]


def _at(source: Source) -> str:
    return f"{source.file} row {source.row}"
