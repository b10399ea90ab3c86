"""Rows to token sequences: the room's front."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from precept.errors import InputError
from precept.render.choice import prepare, refuse_missing
from precept.render.drafts import Draft, Drafter
from precept.render.encode import SequenceEncoder
from precept.render.refused import RowRefused
from precept.render.rendered import Explained, ExplainedSequence, ExplainedToken, RenderCounts, Rendered
from precept.render.rows import RowsPass, notices_of
from precept.render.settings import RenderSettings
from precept.render.tokens import Span
from precept.types import Comparison, Conversation, IntArray, Message, Refusal, Row, Text, TokenSequence


class Renderer:
    """Renders rows for one tokenizer, template and set of settings."""

    def __init__(
        self,
        tokenizer: Any,
        settings: RenderSettings,
        *,
        template_date: datetime.date,
        max_length: int,
        encoder_decoder: bool = False,
        decoder_start_id: int | None = None,
    ) -> None:
        """``tokenizer`` is a loaded fast tokenizer of transformers; ``template_date`` and ``max_length`` hold where the
        settings name none.

        Raises InputError: a slow tokenizer, no template, one that does not parse, special tokens that are missing.
        """
        self.settings = settings
        self.max_length = settings.max_length or max_length
        if settings.template_date is not None:
            template_date = datetime.date.fromisoformat(settings.template_date)
        prepared = prepare(tokenizer, settings, template_date=template_date)
        refuse_missing(prepared.choice, prepared.conversations, prepared.missing)
        self.chat_template = prepared.choice.text
        """The text in force, to be saved with the model."""
        self.missing_tokens = prepared.missing
        """Texts like special tokens that the tokenizer's own template writes as plain text."""
        self.template_date = template_date
        self._encoder = prepared.encoder
        self._conversations = prepared.conversations
        self._always_split = encoder_decoder
        self.decoder_start_id = decoder_start_id if encoder_decoder else None
        self._drafter = Drafter(prepared.conversations, prepared.encoder, settings, always_split=encoder_decoder)
        self._sequences = SequenceEncoder(
            prepared.encoder, settings, encoder_decoder=encoder_decoder, decoder_start_id=decoder_start_id
        )
        self._notices = self._standing_notices(prepared.choice.notices)

    def _standing_notices(self, told: Sequence[str]) -> list[str]:
        notices = list(told)
        habits = self._conversations.habits(tools=False)
        if self.missing_tokens:
            notices.append(
                f"the template writes {', '.join(self.missing_tokens)} as plain text: the tokenizer lacks such tokens"
            )
        if habits.terminator is None:
            turn = "no turn" if habits.earlier_terminator is None else "the turns before the last, but not the last,"
            notices.append(f"the template ends {turn} with a special token: the model is not taught where to stop")
        prefix = self._encoder.prefix_ids
        if prefix and self._encoder.ids(habits.lead)[: len(prefix)].tolist() != prefix:
            notices.append("the template writes no BOS token though the tokenizer's convention has one: none is added")
        return notices

    def render(self, rows: Sequence[Row]) -> Rendered:
        """The token sequences of the rows, in order, and what became of the rest.

        A row gives one sequence, or one for each trained turn, or one for each answer of a comparison; all of them or
        none. Rows that cannot be rendered are refused, not raised.
        """
        part = self.render_part(rows)
        return self.join([part], part.sequences, part.places)

    def render_part(self, rows: Sequence[Row]) -> Rendered:
        """``render`` for some of the rows, without the notices and end tokens: ``join`` tells them of all parts.

        What is looked up once for rows of a shape is looked up anew in each part, so that it depends on nothing else.
        """
        drafter = Drafter(self._conversations, self._encoder, self.settings, always_split=self._always_split)
        return RowsPass(rows, drafter, self._sequences, settings=self.settings, max_length=self.max_length).run()

    def join(self, parts: Iterable[Rendered], sequences: Sequence[TokenSequence], places: IntArray) -> Rendered:
        """One result of several parts in order, whose sequences and places are given beside them."""
        counts, refusals, dropped = RenderCounts(), [], []
        terminators: frozenset[str | None] = frozenset()
        tools = False
        for part in parts:
            counts.add(part.counts)
            refusals += part.refusals
            dropped += part.dropped
            terminators |= part.terminators
            tools |= part.tools
        for kind in {False, tools}:
            self._conversations.habits(tools=kind)  # stop_ids looks at all that were met
        ends = () if self._sequences.closes_with_eos else terminators
        stop_ids = self._conversations.stop_ids(ends, self._encoder.eos_id)
        notices = [*self._notices, *notices_of(counts, self.settings, limit=self.max_length)]
        return Rendered(sequences, refusals, dropped, counts, notices, stop_ids, places, terminators, tools)

    def prompt_text(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> str:
        """The text that asks the model for the next assistant message. Raises InputError where the template raises."""
        try:
            return self._conversations.text(messages, tools, add_generation_prompt=True)
        except RowRefused as refused:
            raise _not_a_prompt(refused) from refused

    def prompt_ids(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> IntArray:
        """Token ids of ``prompt_text``, int32 [n]: what chat, evaluation and the server send.

        Raises InputError where the template raises, and for special-token text in contents under the policy `error`.
        """
        text = self.prompt_text(messages, tools)
        try:
            return self._sequences.prompt_ids(text, self._prompt_literals(text, messages, tools))
        except RowRefused as refused:
            raise _not_a_prompt(refused) from refused

    def _prompt_literals(
        self, text: str, messages: Sequence[Message], tools: Sequence[dict[str, Any]]
    ) -> tuple[tuple[int, int], ...]:
        policy = self.settings.special_tokens_in_text
        if not self._conversations.may_hold_literals(messages, tools, policy=policy):
            return ()
        layout = self._conversations.lay_out(messages, tools, add_generation_prompt=True)
        return self._conversations.literals(layout, messages, tools, policy=policy)

    def explain(self, row: Row) -> Explained:
        """A row laid open: text, weighted characters and tokens of each of its sequences, before any cutting."""
        try:
            if isinstance(row, Conversation | Comparison):
                return Explained(tuple(self._explained(draft) for draft in self._drafter.drafts(row)))
            if isinstance(row, Text):
                made = self._sequences.text(row)
            else:
                made = self._sequences.ready(row)
        except RowRefused as refused:
            source = row.source
            return Explained((), Refusal(source.file, source.row, refused.reason, refused.code))
        text, tokens = "", []
        for token, weight in zip(made.sequence.ids, made.sequence.weights, strict=True):
            piece = self._encoder.decode_one(int(token))
            tokens.append(ExplainedToken(int(token), len(text), len(text) + len(piece), float(weight), False))
            text += piece
        spans = tuple(Span(token.start, token.end, token.weight) for token in tokens if token.weight > 0)
        return Explained((ExplainedSequence(text, spans, tuple(tokens)),))

    def _explained(self, draft: Draft) -> ExplainedSequence:
        encoded, places = self._encoder.encode_pieces(
            draft.text, draft.literals, draft.spans, context_weight=self.settings.prompt_weight
        )
        borders = {edge for span in draft.spans if span.weight > 0 for edge in span[:2]}
        tokens = tuple(
            ExplainedToken(token, start, end, float(weight), any(start < edge < end for edge in borders))
            for (token, start, end), weight in zip(places, encoded.weights, strict=True)
        )
        return ExplainedSequence(draft.text, draft.spans, tokens)


def _not_a_prompt(refused: RowRefused) -> InputError:
    return InputError(refused.reason, code=refused.code, where="messages")
