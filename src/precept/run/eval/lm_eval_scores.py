"""What lm-evaluation-harness asks of a model, answered with shared prefixes: log-likelihoods, whole texts, answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from math import log
from typing import Any

import numpy as np

from precept.decode import Sampling
from precept.errors import InputError
from precept.evaluate.run import cut_at
from precept.forest import build_forest, cut
from precept.run.eval.plain import PlainText, plain_text, weigh_last
from precept.run.opened import FOREST_TOKENS, OpenedModel
from precept.types import Forest, Generation, IntArray, TokenSequence

DEFAULT_NEW_TOKENS = 256
"""Where a task names no bound, as in the harness's own models."""


@dataclass
class HarnessScores:
    """A decoder-only model as the harness sees it. ``in_chat`` is set once prompts come out of the chat template: what
    spells a special token in them is one then, and nothing is put before them."""

    model: OpenedModel
    in_chat: bool = False

    @cached_property
    def plain(self) -> PlainText:
        """The encoder of texts."""
        return plain_text(self.model)

    @cached_property
    def prefix_id(self) -> int:
        """What the first token of a text is predicted from: BOS, else EOS."""
        if self.plain.first_id is None:
            raise InputError("the tokenizer has neither BOS nor EOS", code="no-prefix-token", do="set bos_token")
        return self.plain.first_id

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        """Of each (context, continuation) the continuation's log-probability, and whether greedy decoding would write
        it. A pair longer than the context loses its beginning."""
        sequences = [self._within(self._pair(*pair)) for pair in pairs]
        found = list(self._scored(sequences))
        unsure = [place for place, (_, greedy) in enumerate(found) if greedy is None]
        written = self._continue([sequences[place] for place in unsure])
        settled = dict(zip(unsure, written, strict=True))
        return [(logp, settled[place] if greedy is None else greedy) for place, (logp, greedy) in enumerate(found)]

    def rolling(self, texts: Sequence[str]) -> list[float]:
        """The log-probability of each whole text, in windows where it is longer than the context."""
        parts = [self.plain.windows(text, self.prefix_id, self.model.loaded.max_positions) for text in texts]
        logps = iter(logp for logp, _ in self._scored([sequence for part in parts for sequence in part]))
        return [sum(next(logps) for _ in part) for part in parts]

    def generate(self, requests: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
        """The answer to each (context, settings), cut at the first of its stop texts. Requests with equal settings are
        answered together; a context that leaves too little room loses its beginning."""
        groups: dict[tuple[tuple[str, ...], int, float], list[int]] = {}
        for place, (_, settings) in enumerate(requests):
            groups.setdefault(_generation_settings(settings), []).append(place)
        texts: dict[int, str] = {}
        for (until, bound, temperature), places in groups.items():
            room = (self.model.loaded.max_positions or 2**31) - bound
            prompts = [self._ids(requests[place][0])[-max(room, 1) :] for place in places]
            answers = self._answers(prompts, bound, temperature)
            texts |= {place: cut_at(answer.text, until) for place, answer in zip(places, answers, strict=True)}
        return [texts[place] for place in range(len(requests))]

    def _answers(self, prompts: Sequence[IntArray], bound: int, temperature: float) -> list[Generation]:
        sampler: Any = self.model.sampler()
        if temperature > 0:
            sampled = sampler.sample(prompts, Sampling(temperature=temperature), max_new_tokens=bound)
            return [answers[0] for answers in sampled]
        found: list[Generation] = sampler.generate(prompts, max_new_tokens=bound)
        return found

    def _ids(self, text: str) -> IntArray:
        return self.plain.encoder.ids(text) if self.in_chat else self.plain.encode(text)

    def _pair(self, context: str, continuation: str) -> TokenSequence:
        if self.in_chat:
            return weigh_last(self.plain.encoder.ids(context).tolist(), self.plain.encoder.ids(continuation).tolist())
        if not context and not self.plain.encoder.prefix_ids:
            return weigh_last([self.prefix_id], self.plain.encode(continuation).tolist())
        return self.plain.encode_pair(context, continuation)

    def _within(self, sequence: TokenSequence) -> TokenSequence:
        limit = self.model.loaded.max_positions
        if limit is None or len(sequence.ids) <= limit:
            return sequence
        weights = sequence.weights[-limit:].copy()
        weights[0] = 0.0
        return replace(sequence, ids=sequence.ids[-limit:], weights=weights)

    def _scored(self, sequences: Sequence[TokenSequence]) -> Iterator[tuple[float, bool | None]]:
        """The log-probability of each sequence's weighted tokens, and whether they are the likeliest ones; None where
        their own probabilities do not tell."""
        import torch

        chosen = self.model.chosen
        found: dict[int, tuple[float, bool | None]] = {}
        divide = partial(cut, max_tokens=FOREST_TOKENS, share=chosen.share, switches=chosen.length_switches)
        with torch.no_grad():
            for group in divide(sequences):
                forest = build_forest([sequences[place] for place in group], share=chosen.share)
                logps = chosen.policy.edge_logps(forest).double().cpu().numpy()
                found |= zip(group, _sums(forest, logps), strict=True)
        return (found[place] for place in range(len(sequences)))

    def _continue(self, sequences: Sequence[TokenSequence]) -> list[bool]:
        """Whether greedy decoding writes the weighted tokens of each sequence."""
        counts = [int(np.count_nonzero(sequence.weights)) for sequence in sequences]
        prompts = [sequence.ids[:-count] for sequence, count in zip(sequences, counts, strict=True)]
        written = self.model.sampler(stop_ids=()).generate(prompts, max_new_tokens=counts) if prompts else []
        pairs = zip(sequences, counts, written, strict=True)
        return [list(answer.ids) == sequence.ids[-count:].tolist() for sequence, count, answer in pairs]


def _sums(forest: Forest, logps: Any) -> Iterator[tuple[float, bool | None]]:
    """Per sequence: the sum, and True where each token has more than half of the probability, False where another
    token of the forest in the same place has more."""
    parents = forest.parent[forest.edges]
    best: dict[int, float] = {}
    for parent, logp in zip(parents.tolist(), logps.tolist(), strict=True):
        best[parent] = max(best.get(parent, -np.inf), logp)
    answers = forest.answers
    for start, end in pairwise(answers.start.tolist()):
        edges = answers.edge[start:end][answers.weight[start:end] > 0]
        own = logps[edges]
        if (own > log(0.5)).all():
            greedy: bool | None = True
        else:
            beaten = any(
                logp < best[parent] for parent, logp in zip(parents[edges].tolist(), own.tolist(), strict=True)
            )
            greedy = False if beaten else None
        yield float(own.sum()), greedy


def _generation_settings(settings: Mapping[str, Any]) -> tuple[tuple[str, ...], int, float]:
    """Stop texts, bound and temperature; 0 is greedy. Raises InputError for settings that are not followed."""
    until = settings.get("until") or ()
    known = {"until", "max_gen_toks", "max_new_tokens", "max_tokens", "do_sample", "temperature"}
    if unknown := sorted(settings.keys() - known):
        raise InputError(
            "generation settings that are not followed",
            code="generation-setting",
            found=", ".join(unknown),
            do=f"leave them out; known are {', '.join(sorted(known))}",
        )
    bounds = [settings[name] for name in ("max_gen_toks", "max_new_tokens", "max_tokens") if name in settings]
    temperature = float(settings.get("temperature") or 0.0)
    drawn = settings.get("do_sample", temperature > 0)
    texts = (until,) if isinstance(until, str) else tuple(text for text in until if text)
    return texts, int(bounds[0]) if bounds else DEFAULT_NEW_TOKENS, (temperature or 1.0) if drawn else 0.0
