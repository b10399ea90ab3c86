"""Each trained sequence beside the row it came from: the row's text, offsets and answers, written anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from precept.prove.rendition import FORMS, PLAIN, Form, Turn, Writer
from precept.types import Conversation, IntArray, LongArray, Row, TokenSequence

CHUNK = 2000


@dataclass(frozen=True, eq=False)
class Matched:
    """A sequence and the text that its ids are the tokens of.

    ``offsets`` are the characters of its tokens, int64 [n, 2]; ``turns`` the trained turns whose characters stand in
    them, with the weight of each; ``row`` is the conversation up to where the sequence ends.
    """

    sequence: TokenSequence
    row: Conversation
    text: str
    offsets: LongArray
    turns: tuple[tuple[Turn, float], ...]


@dataclass(frozen=True)
class Unmatched:
    """A sequence whose ids are not those of its row's text."""

    sequence: TokenSequence
    why: str


def match_conversations(
    rows: Sequence[Row],
    sequences: Sequence[TokenSequence],
    places: IntArray,
    writer: Writer,
    *,
    train_on: Literal["all", "last"],
) -> Iterator[Matched | Unmatched]:
    """Each sequence of a conversation, in order; ``places`` [S] are their rows."""
    by_row: dict[int, list[TokenSequence]] = {}
    for place, sequence in zip(places.tolist(), sequences, strict=True):
        by_row.setdefault(place, []).append(sequence)
    found = [(row, by_row.get(place, [])) for place, row in enumerate(rows) if isinstance(row, Conversation)]
    for start in range(0, len(found), CHUNK):
        chunk = found[start : start + CHUNK]
        yield from _match_chunk(chunk, writer, train_on)


def _match_chunk(
    chunk: Sequence[tuple[Conversation, list[TokenSequence]]], writer: Writer, train_on: str
) -> Iterator[Matched | Unmatched]:
    alone = [len(own) == 1 and own[0].encoder_ids is None for _, own in chunk]
    written = iter(writer.write_rows([row for (row, _), one in zip(chunk, alone, strict=True) if one]))
    texts = [next(written) if one else None for one in alone]
    places = _whole(writer, texts, [own[0].ids if one else None for (_, own), one in zip(chunk, alone, strict=True)])
    for (row, own), text, offsets in zip(chunk, texts, places, strict=True):
        if text is not None and offsets is not None:
            yield _matched(row, own[0], text, offsets, writer, PLAIN, weights(row, train_on))
            continue
        match = _match_target if own and own[0].encoder_ids is not None else _search
        for number, sequence in enumerate(own):
            yield match(row, sequence, number, len(own), writer, train_on)


def _whole(writer: Writer, texts: Sequence[str | None], sequences: Sequence[IntArray | None]) -> list[LongArray | None]:
    """The characters of each sequence that holds the ids of its whole text, None for the others.

    Texts are encoded by words where the tokenizer has such; those that come out otherwise once more, as wholes.
    """
    found: list[LongArray | None] = [None] * len(texts)
    asked = [place for place, text in enumerate(texts) if text is not None]
    by_words = writer.words.encode([texts[place] or "" for place in asked]) if writer.words else [None] * len(asked)
    left = []
    for place, one in zip(asked, by_words, strict=True):
        if one is not None and np.array_equal(one[0], sequences[place]):  # type: ignore[arg-type]  # asked: not None
            found[place] = one[1]
        else:
            left.append(place)
    for place, (ids, offsets) in zip(left, encode(writer.backend, [texts[p] or "" for p in left]), strict=True):
        if np.array_equal(ids, sequences[place]):  # type: ignore[arg-type]  # asked: not None
            found[place] = offsets
    return found


def _search(
    row: Conversation, sequence: TokenSequence, number: int, count: int, writer: Writer, train_on: str
) -> Matched | Unmatched:
    """Match a sequence that is not its row's whole text in the first form: another form, one turn of the row, or a part
    of the row that fits the longest length."""
    wishes = weights(row, train_on)
    trained = [place for place, weight in wishes.items() if weight > 0]
    parts: list[tuple[Conversation, Mapping[int, float]]] = [(row, wishes)]
    if len(trained) == count:
        place = trained[number]
        parts.insert(0, (_until(row, place), {place: wishes[place]}))
    parts += [(_from(part, place), _shifted(own, place, part)) for part, own in tuple(parts) for place in _cuts(part)]
    window: Matched | None = None
    for part, own in parts:
        for form in FORMS:
            text = writer.write(part.messages, part.tools, form=form)
            if text is None:
                continue
            ids, offsets = encode(writer.backend, [text])[0]
            if np.array_equal(ids, sequence.ids):
                return _matched(part, sequence, text, offsets, writer, form, own)
            start = _place(sequence.ids, ids)
            if start is not None and window is None:
                kept = offsets[start : start + len(sequence.ids)]
                window = _matched(part, sequence, text, kept, writer, form, own)
    return window or Unmatched(sequence, "its ids are not those of transformers' own rendering")


def _match_target(
    row: Conversation, sequence: TokenSequence, number: int, count: int, writer: Writer, train_on: str
) -> Matched | Unmatched:
    """Match what an encoder reads and what its decoder writes: the text before a trained turn, and the turn."""
    wishes = weights(row, train_on)
    trained = [place for place, weight in wishes.items() if weight > 0]
    if len(trained) == count and sequence.encoder_ids is not None:
        part, weight = _until(row, trained[number]), wishes[trained[number]]
        for form in FORMS:
            text = writer.write(part.messages, part.tools, form=form)
            if text is None:
                continue
            turn = writer.turn(part, trained[number], text, form=form)
            (prompt, _), (ids, offsets) = encode(writer.backend, [text[: turn.start], text[turn.start : turn.end]])
            added = len(sequence.ids) - 1 - len(ids)  # the decoder's start, and an EOS that the text lacks
            read = np.array_equal(sequence.encoder_ids[: len(prompt)], prompt)
            if read and added in (0, 1) and np.array_equal(sequence.ids[1 : 1 + len(ids)], ids):
                start = np.full((1, 2), turn.start)
                end = np.repeat(np.array([[turn.end - 1, turn.end]]), added, axis=0)
                placed = np.concatenate([start, offsets + turn.start, end])
                return Matched(sequence, part, text, placed, ((turn, weight),))
    return Unmatched(sequence, "input or target is not transformers' own rendering")


def _matched(
    row: Conversation,
    sequence: TokenSequence,
    text: str,
    offsets: LongArray,
    writer: Writer,
    form: Form,
    wishes: Mapping[int, float],
) -> Matched:
    turns = [(writer.turn(row, place, text, form=form), weight) for place, weight in sorted(wishes.items())]
    return Matched(sequence, row, text, offsets, tuple(turns))


def weights(row: Conversation, train_on: str) -> dict[int, float]:
    """Assistant messages that have a say -> the weight of their turn; 0 for those that the row excludes."""
    answers = [place for place, message in enumerate(row.messages) if message.role == "assistant"]
    chosen = answers if train_on == "all" else answers[-1:]
    wishes = {}
    for place in answers:
        message = row.messages[place]
        if message.train is False:
            wishes[place] = 0.0
        elif place in chosen:
            wishes[place] = 1.0 if message.weight is None else message.weight
    return wishes


def encode(backend: Any, texts: Sequence[str]) -> list[tuple[IntArray, LongArray]]:
    """Ids and character offsets of each text, nothing added; a leading blank that a tokenizer trims off its offsets is
    put back."""
    made = []
    for encoding in backend.encode_batch(list(texts), add_special_tokens=False):
        offsets = np.asarray(encoding.offsets, np.int64).reshape(-1, 2)
        if len(offsets) > 1:
            ends = np.maximum.accumulate(offsets[:-1, 1])
            offsets[1:, 0] = np.where(offsets[1:, 1] > ends, np.minimum(offsets[1:, 0], ends), offsets[1:, 0])
        made.append((np.asarray(encoding.ids, np.int32), offsets))
    return made


def _until(row: Conversation, place: int) -> Conversation:
    return replace(row, messages=row.messages[: place + 1])


def _cuts(row: Conversation) -> list[int]:
    """User messages from which a row may go on when its oldest turns are dropped."""
    return [place for place, message in enumerate(row.messages) if message.role == "user"][1:]


def _from(row: Conversation, place: int) -> Conversation:
    system = _system(row)
    return replace(row, messages=(*row.messages[:system], *row.messages[place:]))


def _shifted(wishes: Mapping[int, float], place: int, row: Conversation) -> dict[int, float]:
    shift = place - _system(row)
    return {own - shift: weight for own, weight in wishes.items() if own >= place}


def _system(row: Conversation) -> int:
    return next((place for place, message in enumerate(row.messages) if message.role != "system"), 0)


def _place(part: IntArray, whole: IntArray) -> int | None:
    """Where ``part`` stands in ``whole``: at its start or its end, as rows are cut."""
    length = len(part)
    if 0 < length < len(whole):
        if np.array_equal(whole[:length], part):
            return 0
        if np.array_equal(whole[-length:], part):
            return len(whole) - length
    return None
