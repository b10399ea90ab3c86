"""Trees of messages: every answer is trained once over all rows, and shared beginnings are shared."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from tests.tiny import CHATML, tiny_tokenizer

from precept.errors import InputError
from precept.forest import build_forest
from precept.records.instructions.built import Built
from precept.records.instructions.trees import TreesSettings, build
from precept.render import Renderer, RenderSettings
from precept.types import Comparison, Conversation


def asked(name: str, *replies: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"message_id": name, "role": "prompter", "text": f"{name} asks", "replies": list(replies), **fields}


def said(name: str, *replies: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"message_id": name, "role": "assistant", "text": f"{name} says", "replies": list(replies), **fields}


def tree(prompt: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"message_tree_id": prompt["message_id"], "tree_state": "ready_for_export", "prompt": prompt, **fields}


# p -> a -> b -> c, b -> d;  a -> e (asked on, unanswered);  p -> f
SMALL = asked(
    "p", said("a", asked("b", said("c", rank=1), said("d", rank=0)), asked("e"), rank=0), said("f", rank=1), lang="en"
)


def made(folder: Path, *records: Any, **settings: Any) -> Built:
    path = folder / "trees.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return build([str(path)], TreesSettings(**settings))


def paths(built: Built) -> list[str]:
    """The names along each row, those of trained answers in capitals."""
    rows = []
    for row in built.train:
        assert isinstance(row, Conversation)
        names = [(message, (message.content or "").split()[0]) for message in row.messages]
        rows.append("".join(n.upper() if m.role == "assistant" and m.train is not False else n for m, n in names))
    return rows


def flat(prompt: dict[str, Any], parent: str | None = None) -> list[dict[str, Any]]:
    """The same tree, a message an object."""
    own = {key: value for key, value in prompt.items() if key != "replies"} | {"parent_id": parent}
    return [own, *(row for reply in prompt["replies"] for row in flat(reply, prompt["message_id"]))]


def test_rows_are_the_paths_to_last_answers_and_train_each_answer_once(tmp_path: Path) -> None:
    built = made(tmp_path, tree(SMALL))
    assert paths(built) == ["pAbC", "pabD", "pF"]
    assert built.report["messages"] == {"distinct": 6, "with_repetition": 10}  # p a b c d f; 4 + 4 + 2
    assert built.report["answers"] == 4


def test_the_flat_layout_gives_the_same_rows(tmp_path: Path) -> None:
    rows = flat(SMALL)
    assert paths(made(tmp_path, *rows)) == ["pAbC", "pabD", "pF"]
    assert sorted(paths(made(tmp_path, *reversed(rows)))) == sorted(["pF", "pAbD", "pabC"])


def test_a_shared_answer_is_trained_in_the_shortest_of_its_rows(tmp_path: Path) -> None:
    prompt = asked("p", said("a", asked("b", said("c", asked("d", said("e")))), asked("f", said("g"))))
    assert paths(made(tmp_path, tree(prompt))) == ["pabCdE", "pAfG"]


def test_the_forest_of_the_rows_has_the_tokens_of_the_tree_and_weight_one_each(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer(chat_template=CHATML)
    renderer = Renderer(tokenizer, RenderSettings(), template_date=datetime.date(2026, 1, 2), max_length=512)
    forest = build_forest(renderer.render(made(tmp_path, tree(SMALL)).train).sequences)

    def length(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False).input_ids)

    asks = sum(length(f"<|im_start|>user\n{name} asks<|im_end|>\n") for name in "pb")
    says = sum(length(f"{name} says<|im_end|>\n") for name in "acdf")
    # a and f answer p, c and d answer b: each pair of siblings shares its header.
    assert forest.distinct_tokens == asks + says + 2 * length("<|im_start|>assistant\n")
    assert forest.weight.tolist() == [1.0] * (says - 4)  # each answer once, without the line end behind its end token


def test_messages_that_cannot_be_used_take_what_follows_along(tmp_path: Path) -> None:
    prompt = asked(
        "p",
        said("a", asked("b", said("c")), deleted=True),
        said("d", asked("e", said("f", review_result=False), said("g"))),
        said("h", said("i")),
        said("j", text=" "),
        {"message_id": "k", "role": "moderator", "text": "x"},
    )
    built = made(tmp_path, tree(prompt), tree(asked("q", said("r")), tree_state="growing"), tree(said("s", asked("t"))))
    assert paths(built) == ["pDeG", "pH"]
    assert {what: entry["count"] for what, entry in built.report["left_out"].items()} == {
        "a reply of the assistant to the same role": 1,
        "a tree in the state growing": 1,
        "deleted": 1,
        "no text": 1,
        "rejected in review": 1,
        "the first message is not a prompt": 1,
        "unknown role 'moderator'": 1,
    }
    assert built.report["left_out"]["deleted"]["rows"] == [f"{tmp_path}/trees.jsonl row 1: a"]


def test_best_replies_ranks_qualities_and_languages_choose(tmp_path: Path) -> None:
    assert paths(made(tmp_path, tree(SMALL), replies="best")) == ["pAbD"]
    assert paths(made(tmp_path, tree(SMALL), max_rank=0)) == ["pAbD"]
    prompt = asked(
        "p",
        said("a", labels={"quality": {"value": 0.75, "count": 3}}, lang="en"),
        said("b", labels={"name": ["spam", "quality"], "value": [0, 0.5]}, lang="en-GB"),
        said("c", lang="de"),
        lang="en",
    )
    assert paths(made(tmp_path, tree(prompt), min_quality=0.5)) == ["pA", "pB"]
    assert paths(made(tmp_path, tree(prompt), min_quality=0.6)) == ["pA"]
    assert paths(made(tmp_path, tree(prompt), languages=("en",))) == ["pA", "pB"]
    with pytest.raises(InputError) as caught:
        made(tmp_path, tree(prompt), languages=("de",))
    assert caught.value.code == "all-rows-left-out"


def test_ranked_siblings_become_pairs(tmp_path: Path) -> None:
    prompt = asked("p", said("a", rank=1), said("b", rank=0), said("c", rank=1), said("d"))
    built = made(tmp_path, tree(prompt), rows="comparisons")
    pairs = []
    for row in built.train:
        assert isinstance(row, Comparison)
        assert [message.content for message in row.prompt] == ["p asks"]
        assert [answer.rank for answer in row.answers] == [1, 2]
        pairs.append([answer.messages[0].content for answer in row.answers])
    assert pairs == [["b says", "a says"], ["b says", "c says"]]  # a and c are equal, d has no rank


def test_records_that_are_no_tree_are_refused(tmp_path: Path) -> None:
    looping = [{**said("x"), "parent_id": "y"}, {**asked("y"), "parent_id": "x"}]
    for row in looping:
        del row["replies"]
    built = made(
        tmp_path,
        *(flat(asked("p", said("a")))),
        {**said("a"), "parent_id": "p"},
        *looping,
        {"text": "x"},
        {"prompt": {**asked("q"), "replies": ["r"]}},
    )
    assert paths(built) == ["pA"]
    assert sorted((refusal.row, refusal.code) for refusal in built.refused) == [
        (3, "message-twice"),
        (4, "no-parent"),
        (5, "no-parent"),
        (6, "not-a-tree"),
        (7, "not-a-tree"),
    ]


def test_a_tree_that_is_there_twice_is_refused_the_second_time(tmp_path: Path) -> None:
    nameless = tree({**asked("q", said("b")), "message_id": None})
    built = made(tmp_path, tree(asked("p", said("a"))), tree(asked("p", said("a"))), nameless, nameless)
    assert [(refusal.row, refusal.code) for refusal in built.refused] == [(2, "message-twice")]
    assert paths(built) == ["pA", "qB", "qB"]  # without an id nothing tells them apart from others


def test_a_rank_that_is_no_number_is_none(tmp_path: Path) -> None:
    prompt = asked("p", said("a", rank=1e400), said("b", rank=0))
    assert paths(made(tmp_path, tree(prompt), max_rank=3)) == ["pB"]


def test_a_tree_may_be_deep(tmp_path: Path) -> None:
    rows = [
        {"message_id": str(i), "parent_id": str(i - 1) if i else None, "role": role, "text": f"{i} t"}
        for i, role in enumerate(["prompter", "assistant"] * 1500)
    ]
    (row,) = made(tmp_path, *rows).train
    assert isinstance(row, Conversation)
    assert len(row.messages) == 3000


CSV = """message_id,parent_id,text,role,rank,deleted,review_result
p,,p asks,prompter,,False,True
a,p,a says,assistant,0,True,True
b,p,b says,assistant,2.0,false,1
c,p,c says,assistant,1,0,TRUE
d,p,d says,assistant,,,False
e,p,e says,assistant,3,,
"""


def test_tables_write_truths_and_ranks_as_text(tmp_path: Path) -> None:
    path = tmp_path / "trees.csv"
    path.write_text(CSV)
    assert paths(build([str(path)], TreesSettings(replies="best"))) == [
        "pC"
    ]  # a is deleted, d rejected, b ranks behind
    assert paths(build([str(path)], TreesSettings(max_rank=1))) == ["pC"]
    path.write_text(CSV.replace("2.0", "second").replace("c says,assistant,1,0", "c says,assistant,1,no"))
    built = build([str(path)], TreesSettings())
    assert [(refusal.row, refusal.code) for refusal in built.refused] == [(3, "bad-rank"), (4, "bad-truth")]


@pytest.mark.parametrize("fields", [{"rank": 0.5}, {"rank": True}, {"deleted": "maybe"}, {"review_result": [1]}])
def test_trees_with_ranks_or_truths_that_are_none_are_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    (refusal,) = made(tmp_path, tree(asked("p", said("a", **fields)))).refused
    assert refusal.code in ("bad-rank", "bad-truth")


def test_a_nested_tree_with_a_message_twice_is_refused(tmp_path: Path) -> None:
    twice = tree(asked("p", said("a"), said("b", asked("c", said("a")))))
    (refusal,) = made(tmp_path, twice, tree(asked("q", said("r")))).refused
    assert (refusal.row, refusal.reason) == (1, "message 'a' is there twice")
