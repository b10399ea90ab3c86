"""Conversations cleaned, filtered and cut into whole rounds, and what the report says of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.fakes import WordCounter

from precept.errors import InputError
from precept.records.instructions.built import Built
from precept.records.instructions.conversations import ConversationsSettings, build
from precept.records.instructions.language import detect_language
from precept.records.instructions.page_text import is_page, to_markdown


def chat(*texts: str, id: str = "c", first: str = "human") -> dict[str, Any]:
    """A ShareGPT row whose speakers alternate."""
    speakers = ["human", "gpt"] if first == "human" else ["gpt", "human"]
    return {"id": id, "conversations": [{"from": speakers[i % 2], "value": text} for i, text in enumerate(texts)]}


def made(folder: Path, *records: Any, **settings: Any) -> Built:
    path = folder / "chats.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return build([str(path)], ConversationsSettings(**settings), count_tokens=WordCounter())


def texts(built: Built) -> list[list[str | None]]:
    return [[message.content for message in row.messages] for row in built.train]


def test_a_first_turn_of_the_assistant_and_a_last_one_of_the_user_are_dropped(tmp_path: Path) -> None:
    built = made(tmp_path, chat("Hello, how can I help?", "Hi", "Hello", "Bye", first="gpt"))
    assert texts(built) == [["Hi", "Hello"]]
    assert {what: entry["count"] for what, entry in built.report["changed"].items()} == {
        "first turn dropped, which is not the user's": 1,
        "turns after the last answer dropped": 1,
    }


def test_turns_that_do_not_alternate_leave_a_conversation_out_by_name(tmp_path: Path) -> None:
    twice = {
        "conversations": [
            {"from": "human", "value": "a"},
            {"from": "human", "value": "b"},
            *chat("c", "d")["conversations"][1:],
        ]
    }
    built = made(tmp_path, chat("Hi", "Hello"), twice, chat("Hi", " ", "So?", "Yes"))
    assert built.report["left_out"] == {
        "a blank message": {"count": 1, "rows": [f"{tmp_path}/chats.jsonl row 3"]},
        "turns do not alternate": {"count": 1, "rows": [f"{tmp_path}/chats.jsonl row 2"]},
    }
    assert texts(built) == [["Hi", "Hello"]]


def test_a_long_conversation_is_cut_between_rounds(tmp_path: Path) -> None:
    # Rounds of 2 + 2 words and 2 x 6 overhead: 16, 16, 20 and 16 tokens. 35 hold two of 16, not 16 and 20.
    built = made(
        tmp_path, chat("a b", "c d", "e f", "g h", "i j k l", "m n o p", "q r", "s t"), max_length=35, turn_overhead=6
    )
    assert texts(built) == [["a b", "c d", "e f", "g h"], ["i j k l", "m n o p"], ["q r", "s t"]]
    assert [row.source.id for row in built.train] == ["c_0", "c_4", "c_6"]
    assert len({row.source.hash for row in built.train}) == 3
    assert built.report["changed"]["cut into pieces"]["rows"] == [f"{tmp_path}/chats.jsonl row 1: 3 pieces"]
    assert built.report["answers"] == 4


def test_the_last_round_stays_where_it_starts_a_piece_and_a_long_one_stands_alone(tmp_path: Path) -> None:
    # 16 and 32 tokens with a limit of 16: the second round is too long for any piece and the last one.
    long = " ".join("abcdefghijklmnopqr")
    built = made(tmp_path, chat("a b", "c d", "e f", long), max_length=16)
    assert texts(built) == [["a b", "c d"], ["e f", long]]
    assert built.report["changed"]["a piece of one round has more than 16 tokens"]["count"] == 1


def test_the_system_text_goes_with_every_piece_and_counts(tmp_path: Path) -> None:
    # The system text has 3 + 6 tokens, a round 16: 26 hold one round, 41 hold two.
    row = {"system": "Be very brief.", **chat("a b", "c d", "e f", "g h")}
    assert [len(piece) for piece in texts(made(tmp_path, row, max_length=40))] == [3, 3]
    assert [len(piece) for piece in texts(made(tmp_path, row, max_length=41))] == [5]


def test_calls_and_their_results_stay_in_their_round(tmp_path: Path) -> None:
    speakers = ["human", "function_call", "observation", "gpt", "human", "gpt"]
    values = ["Rain?", '{"name": "look", "arguments": {"at": "sky"}}', "none", "No.", "Sure?", "Yes."]
    row = {"conversations": [{"from": s, "value": v} for s, v in zip(speakers, values, strict=True)]}
    built = made(tmp_path, row, max_length=27)  # 1 + 3 + 1 + 1 words and 24: over the limit, and still whole
    assert [[message.role for message in piece.messages] for piece in built.train] == [
        ["user", "assistant", "tool", "assistant"],
        ["user", "assistant"],
    ]


def test_languages_and_lengths_are_filtered_with_their_counts(tmp_path: Path) -> None:
    german = chat("Was ist das für ein Tier?", "Das ist eine Katze, und sie schläft auf dem Dach.")
    greek = chat("Τι είναι αυτό;", "Είναι μια γάτα.")
    english = chat("What is this animal?", "It is a cat, and it sleeps on the roof.")
    long = chat("What is it?", "A cat on the roof.", "And this?", "That is a dog in the yard.")
    short = chat("What is this animal?", "A cat.")
    built = made(tmp_path, german, greek, english, long, short, languages=("en",), max_rounds=1, min_chars=10)
    assert {what: entry["count"] for what, entry in built.report["left_out"].items()} == {
        "answers of fewer than 10 characters": 1,
        "language de": 1,
        "language el": 1,
        "more than 1 rounds": 1,
    }
    assert built.report["languages"] == {"en": 3, "de": 1, "el": 1}
    assert [row.source.row for row in built.train] == [3]
    assert [row.source.row for row in made(tmp_path, english, long, min_rounds=2).train] == [2]


def test_whole_conversations_that_repeat_are_counted_and_dropped_on_request(tmp_path: Path) -> None:
    rows = (chat("Hi", "Hello", id="a"), chat("hi ", "HELLO", id="b"), chat("Hi", "Hello", "So?", "So."))
    built = made(tmp_path, *rows)
    assert len(built.train) == 3
    named = built.report["duplicates"]["says the same as an earlier conversation"]
    assert named == {"count": 1, "rows": [f"{tmp_path}/chats.jsonl row 2: as {tmp_path}/chats.jsonl row 1"]}
    assert [row.source.row for row in made(tmp_path, *rows, duplicates="drop").train] == [1, 3]
    twice = [str(tmp_path / "chats.jsonl")] * 2  # the same rows of the same file again
    assert len(build(twice, ConversationsSettings(duplicates="drop")).train) == 2
    tools = [{"name": "look"}], [{"name": "hear"}]
    assert made(tmp_path, *({**rows[0], "tools": json.dumps(held)} for held in tools)).report["duplicates"] == {}


def test_answers_are_weighed_by_turn_and_what_rows_state_stays(tmp_path: Path) -> None:
    row = chat("a", "b", "c", "d", "e", "f")
    answers = [
        message
        for message in made(tmp_path, row, turn_weights=(0.25, 1)).train[0].messages
        if message.role == "assistant"
    ]
    assert [message.weight for message in answers] == [0.25, 1, 1]
    last = made(tmp_path, row, train_on="last").train[0].messages
    assert [message.train for message in last if message.role == "assistant"] == [False, False, None]
    stated = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0.5}]}
    assert made(tmp_path, stated, turn_weights=(2,)).train[0].messages[1].weight == 0.5


def test_settings_and_rows_that_cannot_serve_are_refused(tmp_path: Path) -> None:
    for bad in ({"turn_weights": (0.0,)}, {"turn_weights": (-1,)}, {"languages": ("english",)}):
        with pytest.raises(ValidationError):
            ConversationsSettings(**bad)
    for records, settings, code in (
        (({"prompt": "a", "chosen": "b", "rejected": "c"},), {}, "wrong-kind-of-rows"),
        ((chat("Hi", "Hello"),), {"min_rounds": 2}, "all-rows-left-out"),
    ):
        with pytest.raises(InputError) as caught:
            made(tmp_path, *records, **settings)
        assert caught.value.code == code
    with pytest.raises(InputError) as caught:
        build([str(tmp_path / "chats.jsonl")], ConversationsSettings(max_length=64))
    assert caught.value.code == "tokenizer-not-named"


PAGE = """<div class="markdown prose w-full break-words light"><p>Use <code>len</code> &amp; <strong>not</strong>
a <em>loop</em>:</p><pre><div class="bg-black"><div class="flex"><span>python</span><button><svg></svg>Copy
code</button></div><div><code class="hljs language-python"><span>print</span>(<span>len</span>("a &lt; b"))

print()
</code></div></div></pre><h2>Why</h2><ol><li><p>It is short.</p></li><li>It is
<a href="https://x.org">known</a>:<ul><li>here</li><li>there</li></ul></li></ol><table><thead><tr><th>a</th><th>b</th>
</tr></thead><tbody><tr><td>1</td><td>2|3</td></tr></tbody></table></div>"""
MARKDOWN = """Use `len` & **not** a *loop*:

```python
print(len("a < b"))

print()
```

## Why

1. It is short.
2. It is [known](https://x.org):
   - here
   - there

| a | b |
| --- | --- |
| 1 | 2\\|3 |"""


def test_saved_pages_become_markdown_and_talk_about_html_stays(tmp_path: Path) -> None:
    assert to_markdown(PAGE) == MARKDOWN
    plain = "Write <p>text</p> like this: <div>"
    built = made(tmp_path, chat("How?", PAGE, "And?", plain), clean_html=True)
    assert texts(built)[0][1::2] == [MARKDOWN, plain]
    assert built.report["changed"]["HTML turned into Markdown"]["count"] == 1
    assert texts(made(tmp_path, chat("How?", PAGE)))[0][1] == PAGE
    assert not is_page('<div class="row">a page that was asked for</div>')


def test_broken_pages_lose_no_text() -> None:
    assert to_markdown("<p>one<p>two</b><ul><li>a<li>b") == "one\n\ntwo\n\n- a\n- b"
    assert to_markdown("<pre>a\n```\nb</pre>") == "````\na\n```\nb\n````"
    assert to_markdown("<p>" + "<div>" * 5000 + "deep" + "</div>" * 5000) == "deep"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How many apples does she have?", "en"),
        ("Combien de pommes est-ce qu’elle a dans le panier ?", "fr"),
        ("¿Cuántas manzanas tiene en la mesa?", "es"),
        ("她有多少个苹果？use python", "zh"),
        ("りんごは何個ありますか", "ja"),
        ("사과가 몇 개 있나요", "ko"),
        ("Сколько у неё яблок?", "ru"),
        ("Скільки в неї яблук і груш?", "uk"),
        ("كم تفاحة لديها؟", "ar"),
        ("چند سیب دارد؟", "fa"),
        ("```python\nfor i in the_of_and: pass\n```", "und"),
        ("42", "und"),
        ("", "und"),
        ("Xylophone quartz", "und"),
    ],
)
def test_languages_are_told_by_script_and_function_words(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_languages_of_real_questions_are_told(shared_data: Path) -> None:
    for language in ("en", "de", "es", "zh", "sw"):
        lines = (shared_data / "mgsm" / f"mgsm_{language}.tsv").read_text("utf-8").splitlines()
        told = sum(detect_language(line.partition("\t")[0]) == language for line in lines)
        assert told >= 0.99 * len(lines)


def test_real_conversations_are_read(shared_data: Path) -> None:
    built = build([str(shared_data / "fastchat" / "dummy_conversation.json")], ConversationsSettings(languages=("en",)))
    assert (len(built.train), built.report["answers"], built.report["left_out"]) == (500, 1000, {})


@pytest.mark.parametrize(
    ("page", "text"),
    [
        # a list directly in a list belongs to the item before it
        ("<ul><li>one</li><ul><li>in</li></ul><li>two</li></ul>", "- one\n  - in\n- two"),
        ("<ol><li>one</li>\n<ul><li>in</li></ul>\n<li>two</li></ol>", "1. one\n   - in\n2. two"),
        # and so do text and blocks; before all items they stand above
        (
            "<ol>So: <b>now</b><li>one</li>and <i>on</i><p>more</p><li>two</li></ol>",
            "So: **now**\n\n1. one\n\n   and *on*\n\n   more\n2. two",
        ),
        ("<ul><ul><li>in</li></ul></ul>", "- in"),
        # captions and what stands in no cell come before the table
        (
            "<table><caption>Sums</caption><tr><td>x</td>stray<td>y</td></tr></table>",
            "Sums\n\nstray\n\n| x | y |\n| --- | --- |",
        ),
        (
            "<table>loose<tbody><tr><th>x</th></tr><tr></tr><tr><td>1</td></tr></tbody></table>",
            "loose\n\n| x |\n| --- |\n| 1 |",
        ),
        ("<table><td>x</td><td>y</td></table>", "| x | y |\n| --- | --- |"),
        ("<table><p>none</p></table>", "none"),
        (
            "<table><tr><table><tr><td>in</td></tr></table><td>out</td></tr></table>",
            "| in |\n| --- |\n\n| out |\n| --- |",
        ),
    ],
)
def test_what_stands_loose_in_lists_and_tables_is_kept(page: str, text: str) -> None:
    assert to_markdown(page) == text
