"""Questions on levels of novelty: what a base model is shown, what rules answer, how a level is scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from precept.bundled import build_tasks, build_world
from precept.bundled.tasks import Question, questions
from precept.run.levels import Asked, ask_base, ask_rules, ask_tuned, score_level
from precept.run.opened import open_model
from precept.types import Generation


def question(task: str, given: str, reference: str, *, options: tuple[str, ...] = ()) -> Asked:
    examples = (("Say it.\nred", "RED"), ("Say it.\nblue", "BLUE"))
    return Asked(
        "level", Question(f"{task}-{given}", task, "seen", given, f"Say it.\n{given}", reference, examples, options)
    )


ASKED = [
    question("a", "pear, fig", "fig", options=("pear", "fig")),
    question("a", "fig, pear", "pear", options=("fig", "pear")),
    question("a", "fig, plum", "fig", options=("fig", "plum")),
    question("b", "same", "same"),
]


def test_rules_copy_count_and_repeat_the_first_example() -> None:
    rules = ask_rules(ASKED)
    assert rules["copy the input"] == ["pear, fig", "fig, pear", "fig, plum", "same"]
    assert rules["most frequent answer"] == ["fig", "fig", "fig", "same"]
    assert rules["first example's answer"] == ["RED"] * 4


def test_a_level_takes_the_best_way_of_asking_and_compares_with_the_best_of_all() -> None:
    base = {"base": ["x", "x", "x", "same"], "base, 2 examples": ["fig", "x", "x", "same"]}
    level = score_level(ASKED, ["fig", "pear", "fig", "same"], base, ask_rules(ASKED))
    assert level["base_way"] == "base, 2 examples"
    assert level["base"]["exact_match"]["value"] == 0.5
    assert level["baselines"]["base"]["exact_match"]["value"] == 0.25
    assert level["difference"]["exact_match"]["value"] == 0.5
    assert level["best_other"]["name"] == "most frequent answer"
    assert level["best_other"]["difference"]["exact_match"]["value"] == 0.25
    assert {name: part["exact_match"]["n"] for name, part in level["tasks"].items()} == {"a": 3, "b": 1}


class Recorder:
    """Answers with a fixed text and keeps what it was asked."""

    def __init__(self) -> None:
        self.prompts: list[list[int]] = []
        self.stop_ids: tuple[int, ...] = ()

    def generate(self, prompts: list[np.ndarray], *, max_new_tokens: list[int], **options: Any) -> list[Generation]:
        assert len(max_new_tokens) == len(prompts)
        self.prompts += [list(map(int, prompt)) for prompt in prompts]
        return [Generation((), "First thing. Second thing.\nThird", False) for _ in prompts]


def test_the_base_sees_worked_examples_without_ends_and_stops_at_a_line_feed_or_full_stop(
    base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_model(str(base_folder), chat_template="plain")
    recorder = Recorder()

    def sampler(self: object, *, stop_ids: tuple[int, ...] | None = None) -> Recorder:
        recorder.stop_ids = stop_ids or ()
        return recorder

    monkeypatch.setattr(type(model), "sampler", sampler)
    answers = ask_base(model, ASKED)
    tokenizer = model.loaded.tokenizer
    plain, shown = (tokenizer.decode(recorder.prompts[place]) for place in (0, len(ASKED)))
    asked = "\n\nUser: Say it.\npear, fig\n\nAssistant:"
    worked = "\n\nUser: Say it.\nred\n\nAssistant: RED\n\nUser: Say it.\nblue\n\nAssistant: BLUE"
    assert plain == f"{tokenizer.bos_token}{asked}"
    assert shown == f"{tokenizer.bos_token}{worked}{asked}"
    for prompt in recorder.prompts:
        assert not set(prompt) & set(model.stop_ids)
    ends = {tokenizer.decode([token]) for token in recorder.stop_ids}
    assert {"\n", "."} <= ends
    assert answers["base, question alone"] == ["First thing. Second thing."] * 4
    chosen = answers["base, 2 examples, options by likelihood"]
    assert [choice in entry.question.options for choice, entry in zip(chosen, ASKED, strict=True)] == [True] * 3 + [
        False
    ]
    assert chosen[3] == "First thing. Second thing."
    assert ask_tuned(model, ASKED)[0] == "First thing. Second thing."


def test_options_are_the_words_of_a_list_only_where_every_answer_is_among_them() -> None:
    tasks = build_tasks(build_world(0))
    by_name = {task["Name"]: list(questions(task)) for own in tasks.levels.values() for task in own}
    assert all(entry.reference in entry.options for entry in by_name["first_fruit"])
    assert all(entry.reference in entry.options for entry in by_name["bigger"])
    for name in ("reverse_fruit", "count_colour", "pet_colour", "story_who", "plus"):
        assert not any(entry.options for entry in by_name[name])
