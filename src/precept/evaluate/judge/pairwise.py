"""Two answers to a question compared by a judge, in both orders (Zheng et al., 2306.05685, section 3.4).

An answer wins only where the judge prefers it in both orders; anything else is a tie, since a judge that changes its
mind with the order has shown no preference. A comparison with an unparsable reply is left out and counted. Two orders
do not cure every bias: a judge that likes length likes it in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from precept.evaluate.judge.ask import Judgment, Request
from precept.evaluate.judge.metric import Metric, grouped_metric
from precept.evaluate.judge.prompt import judge_prompt
from precept.evaluate.judge.question import Question, Response, content_hash
from precept.evaluate.judge.verdict import Letter, better_of, parse_letter_verdict, parse_scores

Form = Literal["pairwise", "scores"]
Outcome = Literal["win", "loss", "tie"]
Verdict: TypeAlias = "Letter | tuple[float, float] | None"
OURS_FIRST, THEIRS_FIRST = "ab", "ba"
PARSERS: Mapping[Form, Callable[[str], Verdict]] = {"pairwise": parse_letter_verdict, "scores": parse_scores}


@dataclass(frozen=True, slots=True)
class Compared:
    """A question's turn judged in each order, one game an order. ``games`` says who was preferred, as ``A`` for ours
    whatever the order, None where a reply was unparsable; ``scores`` are (ours, theirs), the mean over the orders,
    where scores were given. Reviews of others may have one order only.
    """

    question: str
    turn: int
    category: str | None
    games: tuple[Letter | None, ...]
    scores: tuple[float, float] | None = None

    @property
    def outcome(self) -> Outcome | None:
        """For ours; None where a reply was unparsable."""
        if None in self.games:
            return None
        if set(self.games) == {"A"}:
            return "win"
        return "loss" if set(self.games) == {"B"} else "tie"


def pairwise_requests(
    questions: Sequence[Question], ours: Sequence[Response], theirs: Sequence[Response], *, form: Form
) -> list[Request]:
    """Two requests, one in each order, for every turn of every question."""
    requests = []
    for question, a, b in zip(questions, ours, theirs, strict=True):
        for turn in range(1, len(question.turns) + 1):
            for order, shown in ((OURS_FIRST, (a.turns, b.turns)), (THEIRS_FIRST, (b.turns, a.turns))):
                hashes = tuple(content_hash(turns[:turn]) for turns in shown)
                prompt = judge_prompt(form, question, shown, turn=turn)
                requests.append(Request(question.id, turn, order, hashes, prompt))
    return requests


def compare(questions: Sequence[Question], judgments: Sequence[Judgment], *, form: Form) -> list[Compared]:
    """What the judgments of ``pairwise_requests``, in its order, say about each turn."""
    categories = {question.id: question.category for question in questions}
    compared = []
    for first, second in zip(judgments[::2], judgments[1::2], strict=True):
        request = first.request
        verdicts = (PARSERS[form](first.reply), PARSERS[form](second.reply))
        compared.append(_compared(request.question, request.turn, categories[request.question], verdicts))
    return compared


def _compared(question: str, turn: int, category: str | None, verdicts: tuple[Verdict, Verdict]) -> Compared:
    letters = [better_of(verdict) if isinstance(verdict, tuple) else verdict for verdict in verdicts]
    games = (letters[0], _turned(letters[1]))
    first, second = verdicts
    scores = None
    if isinstance(first, tuple) and isinstance(second, tuple):
        scores = ((first[0] + second[1]) / 2, (first[1] + second[0]) / 2)
    return Compared(question, turn, category, games, scores)


def _turned(letter: Letter | None) -> Letter | None:
    """A verdict on (theirs, ours) as one on (ours, theirs)."""
    if letter is None or letter == "tie":
        return letter
    return "B" if letter == "A" else "A"


def summarize_pairs(compared: Sequence[Compared], *, seed: int = 0) -> dict[str, Any]:
    """Win rates of ours with wins, losses, ties and the judge's own habits. Turns of one question hang together.

    ``win_rate`` is w / (w + l + t), ``win_rate_adjusted`` counts ties half; ``order_consistency`` is the share of
    comparisons in which both orders say the same, ``prefers_first`` and ``prefers_second`` those in which the judge
    sides with a place: it names the answer shown there both times. These need both orders.
    """
    valid = [pair for pair in compared if pair.outcome is not None]
    outcomes = [pair.outcome for pair in valid]

    def mean(score: Callable[[Compared], float]) -> Metric | None:
        groups: dict[str, list[float]] = {}
        for pair in valid:
            groups.setdefault(pair.question, []).append(float(score(pair)))
        return grouped_metric(groups.values(), highest=1.0, seed=seed)

    found: dict[str, Any] = {
        "win_rate": mean(lambda pair: pair.outcome == "win"),
        "win_rate_adjusted": mean(lambda pair: {"win": 1.0, "tie": 0.5}.get(pair.outcome or "", 0.0)),
        "wins": outcomes.count("win"),
        "losses": outcomes.count("loss"),
        "ties": outcomes.count("tie"),
        "unparsable": len(compared) - len(valid),
    }
    if all(len(pair.games) == 2 for pair in compared):
        found["order_consistency"] = mean(lambda pair: pair.games[0] == pair.games[1])
        found["prefers_first"] = mean(lambda pair: pair.games == ("A", "B"))
        found["prefers_second"] = mean(lambda pair: pair.games == ("B", "A"))
    return found
