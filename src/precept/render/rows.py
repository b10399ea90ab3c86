"""One pass over rows: drafts, tokens, lengths, and the tallies of what became of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from precept.render import lengths
from precept.render.drafts import Draft, Drafter, Plan
from precept.render.encode import Made, SequenceEncoder
from precept.render.refused import RowRefused
from precept.render.rendered import RenderCounts, Rendered
from precept.render.settings import OverLength, RenderSettings
from precept.types import Comparison, Conversation, Refusal, Row, Text, TokenSequence

# Rows whose texts are tokenised together: enough to keep the cores busy, few enough to stay in cache.
CHUNK = 512


@dataclass(slots=True)
class _RowResult:
    """The drafts of a row (none for texts and ready-made ids) and the sequences made of them."""

    drafts: list[Draft] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)


class RowsPass:
    """Renders one list of rows, once."""

    def __init__(
        self,
        rows: Sequence[Row],
        drafter: Drafter,
        sequences: SequenceEncoder,
        *,
        settings: RenderSettings,
        max_length: int,
    ) -> None:
        self._rows = rows
        self._drafter = drafter
        self._encode = sequences
        self._settings = settings
        self._over_length = settings.over_length
        self._limit = max_length
        self._counts = RenderCounts(rows=len(rows))
        self._kept: dict[int, list[TokenSequence]] = {}
        self._too_long: dict[int, _RowResult] = {}
        self._refusals: dict[int, Refusal] = {}
        self._dropped: list[Refusal] = []
        self._terminators: set[str | None] = set()
        self._tools = False

    def run(self) -> Rendered:
        """All of it, sequences in the order of the rows; notices and end tokens are told of all calls together."""
        self._render_chunks()
        self._settle_lengths()
        kept = sorted(self._kept)
        sequences = [sequence for place in kept for sequence in self._kept[place]]
        counts = self._counts
        counts.sequences = len(sequences)
        counts.real_tokens = sum(lengths.tokens(sequence) for sequence in sequences)
        counts.trained_tokens = sum(int(np.count_nonzero(sequence.weights > 0)) for sequence in sequences)
        return Rendered(
            sequences=sequences,
            refusals=[self._refusals[place] for place in sorted(self._refusals)],
            dropped=self._dropped,
            counts=counts,
            notices=[],
            stop_ids=(),
            places=np.repeat(np.array(kept, np.int32), [len(self._kept[place]) for place in kept]),
            terminators=frozenset(self._terminators),
            tools=self._tools,
        )

    def _render_chunks(self) -> None:
        for start in range(0, len(self._rows), CHUNK):
            results = self._draft_chunk(range(start, min(start + CHUNK, len(self._rows))))
            drafts = [draft for result in results.values() for draft in result.drafts]
            self._finish_chunk(results, iter(self._encode.made(drafts)))

    def _draft_chunk(self, places: range) -> dict[int, _RowResult]:
        results: dict[int, _RowResult] = {}
        for place in places:
            try:
                results[place] = self._drafted(self._rows[place])
            except RowRefused as refused:
                self._refuse(place, refused)
        return results

    def _finish_chunk(self, results: dict[int, _RowResult], made: Iterator[Made | RowRefused]) -> None:
        """``made`` are the outcomes of the rows' drafts, in order."""
        for place, result in results.items():
            outcomes = [next(made) for _ in result.drafts]
            fault = next((outcome for outcome in outcomes if isinstance(outcome, RowRefused)), None)
            result.made += [outcome for outcome in outcomes if isinstance(outcome, Made)]
            if fault is None and not all((one.sequence.weights > 0).any() for one in result.made):
                fault = RowRefused("nothing is trained: the row has no answer to learn", code="nothing-trained")
            if fault is not None:
                self._refuse(place, fault)
            else:
                self._accept(place, result)

    def _drafted(self, row: Row) -> _RowResult:
        if isinstance(row, Conversation | Comparison):
            self._tools |= bool(row.tools)
            return _RowResult(drafts=self._drafter.drafts(row))
        if isinstance(row, Text):
            return _RowResult(made=[self._encode.text(row)])
        return _RowResult(made=[self._encode.ready(row)])

    def _accept(self, place: int, result: _RowResult) -> None:
        for draft in result.drafts:
            self._terminators.update(draft.terminators)
            self._counts.reasoning_dropped += draft.reasoning_dropped
        self._counts.straddling_tokens += sum(one.straddling for one in result.made)
        self._counts.not_given_back += not all(one.given_back for one in result.made)
        row = self._rows[place]
        if isinstance(row, Conversation):
            self._note_habits(row)
            turned = len(result.drafts) > 1 or len(result.drafts[0].plan.messages) < len(row.messages)
            self._counts.rows_split += turned
            self._counts.rows_whole += not turned
        if any(lengths.length(one.sequence) > self._limit for one in result.made):
            self._too_long[place] = result
        else:
            self._kept[place] = [one.sequence for one in result.made]

    def _note_habits(self, row: Conversation) -> None:
        form = self._drafter.conversations.habits(tools=bool(row.tools)).form
        for message in row.messages:
            if message.tool_calls:
                self._counts.arguments = form.arguments
            if message.content is None:
                self._counts.null_content = form.null_content

    def _refuse(self, place: int, refused: RowRefused) -> None:
        source = self._rows[place].source
        self._refusals[place] = Refusal(source.file, source.row, refused.reason, refused.code)

    def _settle_lengths(self) -> None:
        """Apply the policy to the rows that are too long, and count what each policy would lose."""
        if not self._too_long:
            return
        counts, policy = self._counts, self._over_length
        counts.rows_over_length = len(self._too_long)
        for other in lengths.POLICIES:
            lost_rows = lost_tokens = 0
            for place, result in self._too_long.items():
                before = sum(lengths.tokens(one.sequence) for one in result.made)
                kept = self._shortened(self._rows[place], result, other)
                lost_rows += kept is None
                lost_tokens += before - sum(lengths.tokens(one) for one in kept or [])
                if other == policy and kept is not None:
                    self._kept[place] = kept
                    counts.rows_cut += 1
            counts.over_length_losses[other] = lost_rows, lost_tokens
        for place, result in self._too_long.items():
            if place in self._kept:
                continue
            longest = max(lengths.length(one.sequence) for one in result.made)
            source = self._rows[place].source
            reason = f"{longest:,} tokens, more than max_length {self._limit:,}"
            if policy == "drop":
                self._dropped.append(Refusal(source.file, source.row, reason, "over-length"))
                counts.rows_dropped += 1
            elif policy == "error":
                self._refuse(place, RowRefused(f"{reason} (over_length drops or cuts)", code="over-length"))
            else:
                nothing_left = f"{reason}, and {policy} leaves nothing trained"
                self._refuse(place, RowRefused(nothing_left, code="over-length"))

    def _shortened(self, row: Row, result: _RowResult, policy: OverLength) -> list[TokenSequence] | None:
        """What a policy keeps of a row, None if nothing."""
        if policy == "split":
            if not isinstance(row, Text):
                return None
            return lengths.split(result.made[0].sequence, self._limit)
        kept: list[TokenSequence] = []
        for number, one in enumerate(result.made):
            shorter: TokenSequence | None = one.sequence
            if lengths.length(one.sequence) > self._limit:
                plan = result.drafts[number].plan if result.drafts else None
                shorter = self._shorter(one.sequence, plan, policy)
            if shorter is not None:
                kept.append(shorter)
            elif isinstance(row, Comparison):
                return None  # an answer less would change what is compared
        return kept or None

    def _shorter(self, sequence: TokenSequence, plan: Plan | None, policy: OverLength) -> TokenSequence | None:
        if policy in ("cut_left", "cut_right"):
            return lengths.cut(sequence, self._limit, left=policy == "cut_left")
        if policy == "cut_turns" and plan is not None:
            return lengths.without_oldest_turns(plan, self._limit, self._encoded)
        return None

    def _encoded(self, plan: Plan) -> TokenSequence | None:
        try:
            made = self._encode.made([self._drafter.draft(plan)])[0]
        except RowRefused:
            return None
        return made.sequence if isinstance(made, Made) else None


def notices_of(counts: RenderCounts, settings: RenderSettings, *, limit: int) -> list[str]:
    """What to tell of rows that were rendered."""
    notices = []
    if counts.rows_over_length:
        losses = ", ".join(
            f"{policy} loses {rows:,} rows and {tokens:,} tokens"
            for policy, (rows, tokens) in counts.over_length_losses.items()
        )
        notices.append(
            f"{counts.rows_over_length:,} rows are longer than max_length {limit:,} tokens: over_length={losses}"
        )
    if counts.rows_split and settings.turns == "auto":
        notices.append(
            f"{counts.rows_split:,} rows become one sequence a turn: the prompt a server would send for an earlier "
            "turn differs from the history of a later one"
        )
    if counts.null_content is not None or counts.arguments is not None:
        parts = []
        if counts.null_content is not None:
            parts.append(f"null content as {'null' if counts.null_content == 'null' else 'an empty string'}")
        if counts.arguments is not None:
            parts.append(f"tool arguments as {'an object' if counts.arguments == 'object' else 'a string'}")
        notices.append(f"the template is given {' and '.join(parts)}")
    if counts.reasoning_dropped:
        notices.append(f"the template removes the reasoning of {counts.reasoning_dropped:,} earlier messages")
    if counts.straddling_tokens:
        notices.append(f"{counts.straddling_tokens:,} tokens hold both trained text and context")
    if counts.not_given_back:
        notices.append(f"{counts.not_given_back:,} rows hold text that the tokenizer cannot give back from its tokens")
    return notices
