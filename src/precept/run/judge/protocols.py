"""The protocols of ``precept judge``: what each asks, how a reply is read, and the numbers that come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from precept.errors import InputError, WorkError
from precept.evaluate.alpaca_eval import alpaca_requests, preference_of_reply
from precept.evaluate.judge import (
    Compared,
    Judgment,
    Request,
    compare,
    grade,
    pairwise_requests,
    single_requests,
    summarize_grades,
    summarize_pairs,
    summarize_scores,
)
from precept.evaluate.judge.mt_bench import check_questions, is_complete
from precept.evaluate.judge.pairwise import Form
from precept.evaluate.judge.verdict import parse_grade, parse_letter_verdict, parse_scores
from precept.run.judge.alpaca import Annotation, LengthFiles, summarize_annotations
from precept.run.judge.files import Answered

Document = dict[str, Any]


@dataclass(frozen=True)
class Asking:
    """What a protocol may use: the seed of the run, whether letters are weighed, and the files of length control."""

    seed: int
    weighted: bool
    length: LengthFiles
    judge: str


@dataclass(frozen=True)
class Protocol:
    """``requests`` to the judge, the ``verdict`` in a reply (None: unparsable), and the ``document`` of all of them.
    ``form`` is that of comparisons."""

    against: bool
    requests: Callable[[Answered, Asking], list[Request]]
    verdict: Callable[[Judgment, Asking], Any]
    document: Callable[[Answered, Sequence[Judgment], Asking], Document]
    one_turn: bool = False
    form: Form | None = None


def _pairwise_document(answered: Answered, judgments: Sequence[Judgment], asking: Asking) -> Document:
    return _pairs(compare(answered.questions, judgments, form="pairwise"), judge=asking.judge, seed=asking.seed)


def _relative_document(answered: Answered, judgments: Sequence[Judgment], asking: Asking) -> Document:
    return relative_document(
        compare(answered.questions, judgments, form="scores"), judge=asking.judge, seed=asking.seed
    )


def relative_document(compared: Sequence[Compared], *, judge: str, seed: int) -> Document:
    """Relative score over all and by category, beside how often which answer is better. Raises WorkError where no
    question has the scores of both answers, and where the reference has no points."""
    outcomes = _pairs(compared, judge=judge, seed=seed)
    groups: dict[str, list[Compared]] = {}
    for pair in compared:
        groups.setdefault(pair.category or "", []).append(pair)

    def scores(pairs: Sequence[Compared]) -> list[tuple[float, float]]:
        by_question: dict[str, list[tuple[float, float]]] = {}
        for pair in pairs:
            if pair.scores is not None:
                by_question.setdefault(pair.question, []).append(pair.scores)
        return [(sum(a for a, _ in turns), sum(b for _, b in turns)) for turns in by_question.values()]

    by_category = {
        name: summarize_scores(scores(group), judge=judge, seed=seed)["relative_score"]
        for name, group in groups.items()
        if name and sum(theirs for _, theirs in scores(group))
    }
    overall = summarize_scores(scores(compared), judge=judge, seed=seed)
    return {**overall, **({"relative_by_category": by_category} if by_category else {}), **outcomes}


def _pairs(compared: Sequence[Compared], *, judge: str, seed: int) -> Document:
    if all(pair.outcome is None for pair in compared):
        raise WorkError(
            f"not one of {len(compared)} comparisons has all its verdicts",
            code="judge-unparsable",
            where=judge,
            do="use a model that follows instructions, or raise judge_max_new_tokens if its replies are cut short",
        )
    categories = list(dict.fromkeys(pair.category for pair in compared if pair.category is not None))
    turns = sorted({pair.turn for pair in compared})
    by_category = {
        name: summarize_pairs([pair for pair in compared if pair.category == name], seed=seed) for name in categories
    }
    by_turn = {str(turn): summarize_pairs([p for p in compared if p.turn == turn], seed=seed) for turn in turns}
    return {
        **summarize_pairs(compared, seed=seed),
        **({"by_category": by_category} if by_category else {}),
        **({"by_turn": by_turn} if len(turns) > 1 else {}),
    }


def _grades_document(answered: Answered, judgments: Sequence[Judgment], asking: Asking) -> Document:
    graded = grade(answered.questions, judgments)
    by_id = {question.id: question for question in answered.questions}
    requests = [judgment.request for judgment in judgments]
    references = sum(by_id[request.question].has_reference(request.turn) for request in requests)
    return {**summarize_grades(graded, seed=asking.seed), "with_reference": references}


def _mt_bench_requests(answered: Answered, asking: Asking) -> list[Request]:
    return single_requests(check_questions(answered.questions), answered.ours)


def _mt_bench_document(answered: Answered, judgments: Sequence[Judgment], asking: Asking) -> Document:
    checked = Answered(check_questions(answered.questions), answered.ours, answered.theirs)
    return {**_grades_document(checked, judgments, asking), "complete": is_complete(checked.questions)}


def _alpaca_document(answered: Answered, judgments: Sequence[Judgment], asking: Asking) -> Document:
    preferences = {j.request.question: _preference(j, asking) for j in judgments}
    rows = [
        Annotation(
            preference=preferences.get(question.id, 1.5),  # what was not asked about are equal outputs
            len_1=len(theirs.turns[0]),
            len_2=len(ours.turns[0]),
            index=place,
        )
        for place, (question, ours, theirs) in enumerate(
            zip(answered.questions, answered.ours, answered.theirs, strict=True)
        )
    ]
    document = summarize_annotations(rows, asking.length, seed=asking.seed)
    return {**document, "unparsable": document["invalid"], "equal_outputs": len(rows) - len(judgments)}


def _preference(judgment: Judgment, asking: Asking) -> float | None:
    return preference_of_reply(judgment.reply, order=judgment.request.order, weighted=asking.weighted)


PROTOCOLS: Mapping[str, Protocol] = {
    "pairwise": Protocol(
        against=True,
        requests=lambda a, asking: pairwise_requests(a.questions, a.ours, a.theirs, form="pairwise"),
        verdict=lambda judgment, asking: parse_letter_verdict(judgment.reply),
        document=_pairwise_document,
        form="pairwise",
    ),
    "single": Protocol(
        against=False,
        requests=lambda a, asking: single_requests(a.questions, a.ours),
        verdict=lambda judgment, asking: parse_grade(judgment.reply),
        document=_grades_document,
    ),
    "mt_bench": Protocol(
        against=False,
        requests=_mt_bench_requests,
        verdict=lambda judgment, asking: parse_grade(judgment.reply),
        document=_mt_bench_document,
    ),
    "alpaca_eval": Protocol(
        against=True,
        requests=lambda a, asking: alpaca_requests(a.questions, a.ours, a.theirs, seed=asking.seed),
        verdict=_preference,
        document=_alpaca_document,
        one_turn=True,
    ),
    "relative": Protocol(
        against=True,
        requests=lambda a, asking: pairwise_requests(a.questions, a.ours, a.theirs, form="scores"),
        verdict=lambda judgment, asking: parse_scores(judgment.reply),
        document=_relative_document,
        form="scores",
    ),
}


def find_protocol(name: str) -> Protocol:
    """Raises InputError for a name that is none."""
    if name not in PROTOCOLS:
        raise InputError(
            f"'{name}' is no way of judging",
            code="unknown-protocol",
            do=f"use one of {', '.join(PROTOCOLS)}, agreement",
        )
    return PROTOCOLS[name]
