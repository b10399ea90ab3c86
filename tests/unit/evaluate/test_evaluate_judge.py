"""Judging: verdicts, both orders, grades, MT-bench, relative scores and agreement."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.fakes import ScriptedChat

from precept.errors import InputError, WorkError
from precept.evaluate.judge import (
    Compared,
    JudgeSettings,
    Judgment,
    Question,
    Response,
    Vote,
    agreement,
    ask,
    compare,
    grade,
    pairwise_requests,
    refuse_nonsense,
    single_requests,
    summarize_grades,
    summarize_pairs,
    summarize_scores,
)
from precept.evaluate.judge.mt_bench import CATEGORIES, check_questions, is_complete
from precept.evaluate.judge.prompt import judge_prompt, prompts_hash
from precept.evaluate.judge.single import Graded
from precept.evaluate.judge.verdict import better_of, parse_grade, parse_letter_verdict, parse_scores
from precept.evaluate.run import ItemResult, by_words, score_means


def question(id: str, *turns: str, category: str | None = None, references: tuple[str, ...] = ()) -> Question:
    return Question(id, turns or (f"question {id}?",), category, references)


def answers(*texts: str) -> list[Response]:
    return [Response(row, str(row), None, (text,)) for row, text in enumerate(texts, 1)]


QUESTIONS = [question("1"), question("2"), question("3")]
OURS, THEIRS = answers("a", "bb", "ccc"), answers("aa", "b", "c")


def judged(chat: ScriptedChat, form: str = "pairwise", ours: list[Response] = OURS, theirs: list[Response] = THEIRS):  # type: ignore[no-untyped-def]
    requests = pairwise_requests(QUESTIONS, ours, theirs, form=form)  # type: ignore[arg-type]
    return compare(QUESTIONS, ask(chat, requests, JudgeSettings(), keep=lambda block: None), form=form)  # type: ignore[arg-type]


def shown(prompt: str) -> tuple[str, str]:
    """The last answer in each of the two conversations, in the order shown."""
    parts = prompt.split("### Assistant:\n")[1:]
    first, second = (part.split("\n</conversation")[0] for part in parts)
    return first, second


def likes_longer(prompt: str) -> str:
    first, second = shown(prompt)
    return "[[A]]" if len(first) > len(second) else "[[B]]"


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("Both are fine.\n[[A]]", "A"),
        ("[[B]]", "B"),
        ("a tie: [[C]], as said [[C]]", "tie"),
        ("[A]", None),
        ("assistant A", None),
        ("[[A]] or [[B]]?", None),  # FastChat's code would say A
        ("", None),
    ],
)
def test_a_verdict_is_one_letter_in_double_brackets(reply: str, verdict: str | None) -> None:
    assert parse_letter_verdict(reply) == verdict


@pytest.mark.parametrize(
    ("reply", "grade_"),
    [
        ("Good. Rating: [[8]]", 8.0),
        ("[[7.5]]", 7.5),
        ("[[10.]]", 10.0),
        ("rating [9]", 9.0),  # single brackets where there are no double ones
        ("see [1]. Rating: [[6]]", 6.0),
        ("[[0]]", 0.0),
        ("[[11]]", None),
        ("[[3]] ... [[4]]", None),
        ("[[-2]]", None),
        ("eight", None),
    ],
)
def test_a_grade_is_one_number_in_brackets_on_the_scale(reply: str, grade_: float | None) -> None:
    assert parse_grade(reply) == grade_


@pytest.mark.parametrize(
    ("reply", "scores"),
    [
        ("8 9\nBoth are good.", (8.0, 9.0)),
        ("\n 8.5, 9 \nwhy", (8.5, 9.0)),
        ("8,9", (8.0, 9.0)),
        ("I say [[7, 6.5]]", (7.0, 6.5)),
        ("[[8,9]] as I said: [[8.0, 9]]", (8.0, 9.0)),
        ("[[8,9]] or [[9,8]]", None),
        ("First I solve it.\n2 + 2 = 4\n1 8", (1.0, 8.0)),
        ("1 8\n5 5", (1.0, 8.0)),  # the first line, where it holds them
        ("text\n1 8\n5 5", None),
        ("8\n9", None),
        ("8 12", None),
        ("89", None),
        ("", None),
    ],
)
def test_two_scores_stand_on_a_line_of_their_own(reply: str, scores: tuple[float, float] | None) -> None:
    assert parse_scores(reply) == scores


def test_scores_that_differ_by_a_tenth_are_a_tie() -> None:
    assert [better_of(pair) for pair in ((1.1, 1.0), (8.0, 8.1), (8.2, 8.0), (3.0, 7.0))] == ["tie", "tie", "A", "B"]


def test_a_judge_that_always_says_a_finds_nothing_but_ties() -> None:
    found = summarize_pairs(judged(ScriptedChat(lambda prompt: "[[A]]")))
    assert (found["wins"], found["losses"], found["ties"], found["unparsable"]) == (0, 0, 3, 0)
    assert found["win_rate"]["value"] == 0 and found["win_rate_adjusted"]["value"] == 0.5
    assert found["order_consistency"]["value"] == 0 and found["prefers_first"]["value"] == 1


def test_a_judge_that_likes_length_is_consistent_so_that_two_orders_do_not_cure_it() -> None:
    found = summarize_pairs(judged(ScriptedChat(likes_longer)))
    # "a" loses to "aa"; "bb" and "ccc" win.
    assert (found["wins"], found["losses"], found["ties"]) == (2, 1, 0)
    assert found["order_consistency"] == {"value": 1.0, "low": pytest.approx(1 - 3.8415 / 6.8415, abs=1e-4)} | {
        "high": 1.0,
        "n": 3,
    }
    assert found["win_rate"]["value"] == pytest.approx(2 / 3)


def test_changing_sides_changes_wins_into_losses() -> None:
    there, back = (
        summarize_pairs(judged(ScriptedChat(likes_longer), ours=a, theirs=b))
        for a, b in ((OURS, THEIRS), (THEIRS, OURS))
    )
    assert (there["wins"], there["losses"]) == (back["losses"], back["wins"]) == (2, 1)


def test_an_unparsable_reply_leaves_its_comparison_out_and_is_counted() -> None:
    found = summarize_pairs(
        judged(
            ScriptedChat(
                lambda p: "hm" if "question 2" in p and "bb\n</conversation with assistant B" in p else likes_longer(p)
            )
        )
    )
    # question 2 is unparsable when "bb" stands second; of 1 and 3 one is lost and one is won
    assert (found["wins"], found["losses"], found["ties"], found["unparsable"]) == (1, 1, 0, 1)
    assert found["win_rate"]["n"] == 2


def test_turns_of_one_question_hang_together_in_the_interval() -> None:
    once = [Compared(str(n), 1, None, ("A", "A") if n < 30 else ("B", "B")) for n in range(100)]
    twice = [*once, *(Compared(pair.question, 2, None, pair.games) for pair in once)]
    one, two = summarize_pairs(once)["win_rate"], summarize_pairs(twice)["win_rate"]
    # the second turns say nothing new, so that the interval stays as wide as that of a hundred questions
    assert (one["n"], two["n"]) == (100, 200) and one["value"] == two["value"] == pytest.approx(0.3)
    assert (one["low"], one["high"]) == pytest.approx((two["low"], two["high"]), abs=0.015)


def test_a_verdict_and_a_tie_are_a_tie() -> None:
    assert Compared("1", 1, None, ("A", "tie")).outcome == "tie"
    assert Compared("1", 1, None, ("A", "A")).outcome == "win"
    assert Compared("1", 1, None, ("B", "B")).outcome == "loss"
    assert Compared("1", 1, None, ("A", None)).outcome is None


def test_scores_are_averaged_over_both_orders() -> None:
    # The first place gets 9, the second 7: each answer gets 8, and no order agrees with the other.
    compared = judged(ScriptedChat(lambda prompt: "9 7"), form="scores")
    assert [pair.scores for pair in compared] == [(8.0, 8.0)] * 3
    assert [pair.games for pair in compared] == [("A", "B")] * 3
    found = summarize_scores([pair.scores for pair in compared if pair.scores], judge="scripted")
    assert found["relative_score"]["value"] == 1 and found["points"] == {"model": 24.0, "against": 24.0}


@pytest.mark.parametrize(("ours", "theirs", "per_cent"), [(606, 726.5, 83.4), (631, 722.5, 87.3), (613, 521, 117.7)])
def test_the_relative_score_is_the_published_ratio_of_points(ours: float, theirs: float, per_cent: float) -> None:
    # Peng et al.: totals over 80 questions; here each question has an equal part of them.
    found = summarize_scores([(ours / 80, theirs / 80)] * 80, judge="gpt-4")
    assert round(100 * found["relative_score"]["value"], 1) == per_cent
    # No question differs from another; of an event not seen in 80 the share is at most 3.8415 / 83.8415.
    unseen = 800 * 3.8415 / 83.8415
    low = ours * 80 / 83.8415 / (theirs * 80 / 83.8415 + unseen)
    high = (ours * 80 / 83.8415 + unseen) / (theirs * 80 / 83.8415)
    assert found["relative_score"]["low"] == pytest.approx(low, abs=1e-4)
    assert found["relative_score"]["high"] == pytest.approx(high, abs=1e-4)


def test_one_question_has_the_interval_of_one_item() -> None:
    graded = [Graded("q1", turn, "math", grade) for turn, grade in ((1, 1.0), (2, 2.0))]
    score = summarize_grades(graded)["by_category"]["math"]
    assert (score["value"], score["n"]) == (1.5, 2)
    share = 3.8415 / 4.8415  # of an event not seen in one
    assert (score["low"], score["high"]) == pytest.approx((1.5 - share * 1.5, 1.5 + share * 8.5), abs=1e-3)


# Peng et al., 4.5: ROUGE-L by words of the reference, with how many of 9,000 instructions are in each bin.
ROUGE_BINS = {2: 5089, 5: 868, 10: 936, 11: 2107}
PUBLISHED_ROUGE = {
    "LLaMA-GPT4": ((0.3171, 0.2961, 0.3903, 0.4119), 0.344870, 0.344677),
    "Alpaca": ((0.4165, 0.3442, 0.3647, 0.3398), 0.386190, 0.386000),
    "GPT-4": ((0.3603, 0.3055, 0.3770, 0.4166), 0.369911, 0.369735),
}


@pytest.mark.parametrize("model", PUBLISHED_ROUGE)
def test_the_published_bins_of_rouge_give_the_published_whole(model: str) -> None:
    means, weighted, published = PUBLISHED_ROUGE[model]
    results = [
        ItemResult("i", "t", "", (" ".join(["word"] * words),), "", "", {"rouge_l": mean})
        for (words, count), mean in zip(ROUGE_BINS.items(), means, strict=True)
        for _ in range(count)
    ]
    bins = by_words(results, (2, 5, 10))
    assert {name: len(part) for name, part in bins.items()} == {"0-2": 5089, "3-5": 868, "6-10": 936, ">10": 2107}
    overall = score_means(results)["rouge_l"]["value"]
    # The means of the bins are rounded to four places; the package behind the published whole aggregates by bootstrap.
    assert overall == pytest.approx(weighted, abs=5e-5) and overall == pytest.approx(published, abs=5e-4)


def test_published_scores_lie_on_the_scale_that_replies_are_held_to(shared_data: Path) -> None:
    scores = json.loads((shared_data / "gpt4_llm" / "cmp_data_scores.json").read_text())
    everything = [score for model in scores.values() for score in model]
    assert min(everything) == 0 and max(everything) == 10 and 8.5 in everything
    assert all(parse_scores(f"{score} {score}") == (score, score) for score in set(everything))


def test_a_reference_without_points_has_no_relative_score() -> None:
    with pytest.raises(WorkError) as error:
        summarize_scores([(5.0, 0.0), (1.0, 0.0)], judge="strict")
    assert error.value.code == "relative-undefined"


def test_the_published_reviews_read_as_their_scores(shared_data: Path) -> None:
    lines = (shared_data / "vicuna80_eval" / "review_alpaca-13b_vicuna-13b.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    parsed = [parse_scores(row["text"]) for row in rows]
    # Three reviews of mathematical questions spell their scores out in sentences; the file's were added by hand.
    assert sum(scores is None for scores in parsed) == 3
    assert all(scores in (None, tuple(row["score"])) for scores, row in zip(parsed, rows, strict=True))
    found = summarize_scores([tuple(row["score"]) for row in rows], judge="gpt-4")
    assert found["points"] == {"model": 583.0, "against": 704.0}


def test_what_was_judged_is_not_asked_again_and_each_block_is_kept() -> None:
    chat = ScriptedChat(likes_longer)
    requests = pairwise_requests(QUESTIONS, OURS, THEIRS, form="pairwise")
    kept: list[Judgment] = []
    whole = ask(chat, requests, JudgeSettings(), keep=kept.extend)
    assert kept == whole and len(chat.asked) == 6
    again = ask(chat, requests, JudgeSettings(), kept=kept[:4], keep=lambda block: None)
    assert again == whole and chat.asked[6:] == [request.prompt for request in requests[4:]]


def test_each_question_keeps_its_seed_however_blocks_are_cut() -> None:
    chat = ScriptedChat(likes_longer)
    requests = pairwise_requests(QUESTIONS, OURS, THEIRS, form="pairwise")
    whole = ask(chat, requests, JudgeSettings(seed=7), block=4, keep=lambda block: None)
    ask(chat, requests, JudgeSettings(seed=7), kept=whole[:4], keep=lambda block: None)
    assert chat.seeds == [7, 11, 11]  # questions 1 to 4, 5 and 6; then 5 and 6 again


def test_a_judge_that_answers_nonsense_only_is_an_error_with_an_example() -> None:
    requests = pairwise_requests(QUESTIONS, OURS, THEIRS, form="pairwise")
    judgments = [Judgment(request, "potato") for request in requests]
    with pytest.raises(WorkError, match="not one of 6 replies") as error:
        refuse_nonsense(judgments, [None] * 6, judge="spud")
    assert "potato" in str(error.value) and error.value.code == "judge-unparsable"
    refuse_nonsense(judgments, [None] * 5 + ["A"], judge="spud")


def test_the_name_of_a_slot_in_an_answer_stays_text() -> None:
    prompt = judge_prompt("pairwise", question("1", "Say {conversation_b}"), [("{reference}",), ("harmless",)], turn=1)
    assert "Say {conversation_b}" in prompt and "\n{reference}\n" in prompt and prompt.count("harmless") == 1


def test_a_later_turn_is_shown_below_the_turns_before_it() -> None:
    two = question("1", "first?", "second?", references=("one", "two"))
    first = judge_prompt("single", two, [("1st", "2nd")], turn=1)
    second = judge_prompt("single", two, [("1st", "2nd")], turn=2)
    assert "second?" not in first and "2nd" not in first and "several turns" not in first
    assert "### User:\nfirst?\n\n### Assistant:\n1st\n\n### User:\nsecond?\n\n### Assistant:\n2nd" in second
    assert "### Reference:\none" in second and "### Reference:\ntwo" in second and "several turns" in second


def test_a_reference_that_a_turn_lacks_is_not_spoken_of() -> None:
    prompt = judge_prompt("single", question("1", references=(" ",)), [("x",)], turn=1)
    assert "eference" not in prompt and "{" not in prompt


def test_the_hash_of_the_prompts_stays_while_they_do() -> None:
    assert prompts_hash() == prompts_hash() and len(prompts_hash()) == 16


def test_grades_are_averaged_over_turns_and_missing_ones_left_out() -> None:
    two = [question("1", "a?", "b?", category="math"), question("2", "c?", "d?", category="stem")]
    said = [Response(1, "1", None, ("x", "y")), Response(2, "2", None, ("z", "w"))]
    replies = iter(["[[9]]", "[[4]]", "no idea", "[[8]]"])
    graded = grade(two, [Judgment(request, next(replies)) for request in single_requests(two, said)])
    found = summarize_grades(graded)
    assert found["score"]["value"] == 7 and found["score"]["n"] == 3  # (9 + 4 + 8) / 3
    assert found["by_turn"]["1"]["value"] == 9 and found["by_turn"]["2"]["value"] == 6
    assert found["by_category"]["math"]["value"] == 6.5 and found["by_category"]["stem"]["n"] == 1
    assert found["unparsable"] == 1 and 0 <= found["score"]["low"] <= 7 <= found["score"]["high"] <= 10


def mt_bench_questions() -> list[Question]:
    """Eighty questions numbered as those of MT-bench are: ten of each category, 81 to 160."""
    return [
        question(str(81 + 10 * place + n), "first?", "second?", category=category, references=("r1", "r2"))
        for place, category in enumerate(CATEGORIES)
        for n in range(10)
    ]


def test_mt_bench_has_80_questions_160_judgments_and_30_questions_with_references() -> None:
    checked = check_questions(mt_bench_questions())
    requests = single_requests(checked, [Response(1, q.id, None, ("a", "b")) for q in checked])
    assert is_complete(checked) and len(checked) == 80 and len(requests) == 160
    with_reference = [q for q in checked if q.has_reference(1) and q.has_reference(2)]
    assert len(with_reference) == 30 and {q.category for q in with_reference} == {"math", "reasoning", "coding"}
    assert {q.category for q in checked if 131 <= int(q.id) <= 140} == {"extraction"}
    assert not is_complete(checked[:-1]) and not is_complete([*checked, checked[0]])


def test_what_is_no_question_of_mt_bench_is_named() -> None:
    with pytest.raises(InputError, match="no questions of MT-bench") as error:
        check_questions([question("7", "only one?", category="math")])
    assert "7" in str(error.value) and error.value.code == "not-mt-bench"


def test_mathematics_without_a_reference_answer_is_refused() -> None:
    with pytest.raises(InputError) as error:
        check_questions([question("111", "a?", "b?", category="math", references=("one",))])
    assert error.value.code == "references-missing" and "111" in str(error.value)


def test_agreement_counts_equal_votes_on_the_same_question_and_pair() -> None:
    ours = [
        Vote("1", 1, ("x", "y"), "A"),
        Vote("2", 1, ("x", "y"), "tie"),
        Vote("3", 1, ("x", "y"), "B"),
        Vote("4", 1, ("x", "y"), "A"),
    ]
    theirs = [
        Vote("1", 1, ("y", "x"), "B"),
        Vote("2", 1, ("x", "y"), "A"),
        Vote("3", 1, ("x", "y"), "A"),
        Vote("4", 1, ("x", "z"), "A"),
    ]
    # 1 agrees (x won, named in the other order), 2 differs (tie), 3 differs, 4 is about another pair.
    with_ties = agreement(ours, theirs, ties=True)
    without = agreement(ours, theirs, ties=False)
    assert with_ties is not None and with_ties["value"] == pytest.approx(1 / 3) and with_ties["n"] == 3
    assert without is not None and without["value"] == 0.5 and without["n"] == 2
    assert agreement(ours[:1], theirs[1:], ties=True) is None
    second = [Vote(vote.question, 2, vote.models, vote.winner) for vote in theirs]
    assert agreement(ours, second, ties=True) is None  # votes on other turns


def test_all_votes_of_several_people_count() -> None:
    people = [Vote("1", 1, ("x", "y"), winner) for winner in ("A", "A", "B")]  # type: ignore[arg-type]
    found = agreement([Vote("1", 1, ("x", "y"), "A")], people, ties=True)
    assert found is not None and found["value"] == pytest.approx(2 / 3) and found["n"] == 3
