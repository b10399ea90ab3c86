"""Each conversation format with literal rows: what comes out, and what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from precept.types import Conversation, Message, Row, ToolCall

USER = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello"}


def only(rows: list[Row]) -> Conversation:
    (row,) = rows
    assert isinstance(row, Conversation)
    return row


def turns(row: Row) -> list[tuple[str, str | None]]:
    assert isinstance(row, Conversation)
    return [(message.role, message.content) for message in row.messages]


def reasons(report: Any) -> list[str]:
    return [refusal.reason for refusal in report.refused]


def test_messages_are_read_with_their_source(read: Any) -> None:
    rows, report = read({"messages": [USER, ANSWER], "id": "a1", "license": "MIT"})
    row = only(rows)
    assert turns(row) == [("user", "Hi"), ("assistant", "Hello")]
    assert (row.source.file, row.source.row, row.source.id, row.source.licence) == ("rows.jsonl", 1, "a1", "MIT")
    assert len(row.source.hash) == 16
    assert (report.format, report.mapping, report.licence) == ("messages", {"messages": "messages"}, "MIT")


def test_system_column_becomes_the_first_message(read: Any) -> None:
    rows, report = read({"system": "Be brief.", "messages": [USER, ANSWER]})
    assert turns(only(rows))[0] == ("system", "Be brief.")
    assert report.mapping["system"] == "system"


def test_two_different_system_texts_are_refused(read: Any) -> None:
    rows, report = read({"system": "A", "messages": [{"role": "system", "content": "B"}, USER, ANSWER]})
    assert not rows
    assert "different system texts" in reasons(report)[0]


def test_per_message_wishes_are_kept(read: Any) -> None:
    answers = [
        {**ANSWER, "train": False},
        {**ANSWER, "training": True},
        {**ANSWER, "weight": 0.5},
        {**ANSWER, "loss_weight": 0},
        {**ANSWER, "loss": True},
    ]
    row = only(read({"messages": [USER, *answers]})[0])
    assert [m.train for m in row.messages[1:]] == [False, True, None, None, True]
    assert [m.weight for m in row.messages[1:]] == [None, None, 0.5, 0.0, None]


@pytest.mark.parametrize("weight", [-1, "half"])
def test_a_weight_that_is_none_is_refused(read: Any, weight: Any) -> None:
    rows, report = read({"messages": [USER, {**ANSWER, "weight": weight}]})
    assert not rows
    assert "message 2 of 'messages': weight" in reasons(report)[0]


@pytest.mark.parametrize("key", ["reasoning_content", "thinking", "reasoning"])
def test_reasoning_is_read_under_each_of_its_names(read: Any, key: str) -> None:
    row = only(read({"messages": [USER, {**ANSWER, key: "They greet."}]})[0])
    assert row.messages[1].reasoning_content == "They greet."


def test_tool_calls_keep_objects_and_parse_json_text(read: Any) -> None:
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}},
        {"name": "add", "arguments": '{"a": 2}'},
        {"name": "say", "arguments": "not json"},
    ]
    answer = {"role": "assistant", "content": None, "tool_calls": calls}
    result = {"role": "tool", "content": "3", "tool_call_id": "c1", "name": "add"}
    tools = [{"name": "add", "parameters": {}}]
    row = only(read({"messages": [USER, answer, result, ANSWER], "tools": tools})[0])
    assert row.messages[1] == Message(
        "assistant",
        None,
        tool_calls=(ToolCall("add", {"a": 1}, "c1"), ToolCall("add", {"a": 2}), ToolCall("say", "not json")),
    )
    assert (row.messages[2].tool_call_id, row.messages[2].name) == ("c1", "add")
    assert row.tools == ({"name": "add", "parameters": {}},)


def test_tools_may_be_json_text(read: Any) -> None:
    row = only(read({"messages": [USER, ANSWER], "tools": '[{"type": "function", "function": {"name": "f"}}]'})[0])
    assert row.tools == ({"type": "function", "function": {"name": "f"}},)


def test_tools_that_are_no_schemas_are_refused(read: Any) -> None:
    assert "column 'tools'" in reasons(read({"messages": [USER, ANSWER], "tools": ["add"]})[1])[0]


def test_content_parts_are_joined_and_images_marked(read: Any) -> None:
    parts = [
        {"type": "image", "image": "a.png"},
        {"type": "text", "text": "What"},
        {"type": "text", "value": " is it?"},
    ]
    row = only(read({"messages": [{"role": "user", "content": parts}, ANSWER]})[0])
    assert row.messages[0] == Message("user", "<image>What is it?", images=("a.png",))


def test_images_go_to_the_markers_in_order(read: Any) -> None:
    messages = [
        {"role": "user", "content": "<image> or <image>?"},
        ANSWER,
        {"role": "user", "content": "<image>"},
        ANSWER,
    ]
    row = only(read({"messages": messages, "images": ["1.jpg", "2.jpg", "3.jpg"]})[0])
    assert [m.images for m in row.messages] == [("1.jpg", "2.jpg"), (), ("3.jpg",), ()]


def test_images_without_markers_are_refused(read: Any) -> None:
    assert reasons(read({"messages": [USER, ANSWER], "images": ["1.jpg"]})[1]) == [
        "0 <image> markers for 1 images in column 'images'"
    ]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"role": "narrator", "content": "x"}, "unknown role 'narrator'"),
        ({"content": "x"}, "no role"),
        ({"role": "user", "content": None}, "content is null"),
        ({"role": "user", "content": 7}, "content holds a number, not text"),
        ({"role": "user", "content": [{"type": "audio", "audio": "a.wav"}]}, "unknown content part 'audio'"),
        (
            {"role": "user", "content": [{"type": "image", "image": "a.png"}, {"type": "image"}]},
            "some image parts have a path and some have none",
        ),
        ({"role": "assistant", "content": None, "tool_calls": [{"arguments": {}}]}, "a tool call without a name"),
        ("Hi", "a string, not a message"),
    ],
)
def test_bad_messages_are_refused_with_their_place(read: Any, message: Any, reason: str) -> None:
    rows, report = read({"messages": [USER, message, ANSWER]}, {"messages": [USER, ANSWER]})
    assert len(rows) == 1
    assert [refusal.row for refusal in report.refused] == [1]
    assert reasons(report)[0].startswith("message 2 of 'messages': ")
    assert reason in reasons(report)[0]


def test_roles_out_of_order_are_read_as_they_are(read: Any) -> None:
    assert turns(only(read({"messages": [USER, USER, ANSWER, ANSWER]})[0])) == [
        ("user", "Hi"),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("assistant", "Hello"),
    ]


def test_rows_without_an_answer_are_refused_and_with_a_reference_kept(read: Any) -> None:
    rows, report = read({"messages": [USER], "ground_truth": "3"}, {"messages": [USER]})
    assert only(rows).references == ("3",)
    assert reasons(report) == ["no assistant turn"]
    assert "1 rows have references and no answer: for evaluation, not for training" in report.notes


def test_conversations_with_only_blank_answers_are_refused(read: Any) -> None:
    blank = {"role": "assistant", "content": " \n"}
    rows, report = read({"messages": [USER, blank, USER, blank]}, {"messages": [USER, blank, USER, ANSWER]})
    assert [row.source.row for row in rows] == [2]
    assert reasons(report) == ["empty answer"]


def test_messages_may_be_json_text_and_whole_rows_may_be_lists(read: Any, read_bytes: Any) -> None:
    table = b'messages\n"[{""role"":""user"",""content"":""Hi""},{""role"":""assistant"",""content"":""Hello""}]"\n'
    expected = [("user", "Hi"), ("assistant", "Hello")]
    assert turns(only(read_bytes(table, "a.csv")[0])) == expected
    assert [turns(row) for row in read([USER, ANSWER], [USER, ANSWER])[0]] == [expected] * 2


def test_message_keys_that_are_not_used_are_noted(read: Any) -> None:
    report = read({"messages": [{**USER, "mood": "glad"}, ANSWER], "split": "a"})[1]
    assert report.notes == ["keys of messages that are not used: mood", "columns that are not used: split"]


def test_sharegpt_speakers_become_roles(read: Any) -> None:
    speakers = ["system", "human", "gpt", "user", "chatgpt", "human", "bing", "human", "bard", "tool", "assistant"]
    rows, report = read({"conversations": [{"from": name, "value": "x"} for name in speakers]})
    roles = ["system", *["user", "assistant"] * 4, "tool", "assistant"]
    assert [message.role for message in only(rows).messages] == roles
    assert report.format == "sharegpt"


def test_sharegpt_function_calls_become_tool_calls(read: Any) -> None:
    call = '{"name": "add", "arguments": {"a": 1}}'
    conversation = [
        {"from": "human", "value": "1+?"},
        {"from": "function_call", "value": call},
        {"from": "observation", "value": "2"},
        {"from": "function_call", "value": f"[{call}, {call}]"},
        {"from": "gpt", "value": "2"},
    ]
    row = only(read({"conversations": conversation, "tools": '[{"name": "add"}]'})[0])
    assert [m.role for m in row.messages] == ["user", "assistant", "tool", "assistant", "assistant"]
    assert row.messages[1].tool_calls == (ToolCall("add", {"a": 1}),)
    assert row.messages[3].tool_calls == (ToolCall("add", {"a": 1}),) * 2
    assert row.tools == ({"name": "add"},)


def test_sharegpt_names_an_unknown_speaker_and_a_broken_call(read: Any) -> None:
    _, report = read(
        {"conversations": [{"from": "moderator", "value": "x"}]},
        {"conversations": [{"from": "function_call", "value": "add(1)"}]},
    )
    assert "unknown role 'moderator'" in reasons(report)[0]
    assert "tool calls are a string" in reasons(report)[1]


def test_alpaca_joins_instruction_and_input_by_a_blank_line(read: Any) -> None:
    rows, report = read(
        {"instruction": "Add.", "input": "1 2", "output": "3"}, {"instruction": "Sing.", "input": " ", "output": "La"}
    )
    assert [turns(row)[0][1] for row in rows] == ["Add.\n\n1 2", "Sing."]
    assert report.mapping == {"user": "instruction + blank line + input", "assistant": "output"}


def test_alpaca_takes_response_system_and_history(read: Any) -> None:
    row = {"instruction": "c", "response": "d", "system": "s", "history": [["a", "b"]]}
    assert turns(only(read(row)[0])) == [
        ("system", "s"),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
    ]


def test_alpaca_ignores_a_rendered_text_column_and_says_so(read: Any) -> None:
    rows, report = read({"instruction": "a", "input": "", "output": "b", "text": "Below is ... a ... b"})
    assert turns(only(rows)) == [("user", "a"), ("assistant", "b")]
    assert report.notes == ["column 'text' is not used: it repeats the row as rendered"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, "column 'output' holds null, not text"), (3, "column 'output' holds a number, not text")],
)
def test_no_text_where_text_belongs_is_refused_naming_column_and_type(read: Any, value: Any, reason: str) -> None:
    rows, report = read({"instruction": "a", "output": "b"}, {"instruction": "a", "output": value})
    assert len(rows) == 1
    assert [(refusal.row, refusal.reason) for refusal in report.refused] == [(2, reason)]


def test_dolly_joins_instruction_and_context(read: Any) -> None:
    rows, report = read({"instruction": "Who?", "context": "Ann ran.", "response": "Ann", "category": "qa"})
    assert turns(only(rows)) == [("user", "Who?\n\nAnn ran."), ("assistant", "Ann")]
    assert report.format == "dolly"


@pytest.mark.parametrize(
    "pair", ["prompt completion", "query response", "question answer", "input output", "input target"]
)
def test_pairs_are_read_under_their_names(read: Any, pair: str) -> None:
    prompt, answer = pair.split()
    rows, report = read({prompt: "a", answer: "b"})
    assert turns(only(rows)) == [("user", "a"), ("assistant", "b")]
    assert report.mapping == {"user": prompt, "assistant": answer}


def test_prompt_and_completion_may_be_message_lists(read: Any) -> None:
    assert turns(only(read({"prompt": [USER], "completion": [ANSWER]})[0])) == [("user", "Hi"), ("assistant", "Hello")]


def test_prompts_alone_are_refused_with_a_reason(read: Any) -> None:
    rows, report = read({"prompt": "a", "key": 1})
    assert (rows, report.format, report.refused[0].row) == ([], None, None)
    assert reasons(report)[0].startswith("'prompt' without a column that answers it; columns found: key, prompt.")


def test_gsm8k_references_follow_the_hashes(read: Any) -> None:
    row = only(read({"question": "1+1?", "answer": "It is 2.\n#### 2"})[0])
    assert row.references == ("2",)
    assert turns(row)[1] == ("assistant", "It is 2.\n#### 2")


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("a\n#### 1,234", "1,234"),
        ("a\n#### 1\nb\n####-$2.50 \n", "-$2.50"),  # the last line counts
        ("#### 40%", "40%"),
        ("a\n#### +.5", "+.5"),
        ("Steps:\n#### First\nmix, then bake", None),  # a Markdown heading
        ("a\n#### Step 2", None),
        ("a\n#### 2\nmix", None),
        ("a\n##### 2", None),
        ("a #### 2", None),
        ("a\n####", None),
    ],
)
def test_only_a_last_line_of_hashes_and_a_number_is_a_solution(read: Any, answer: str, number: str | None) -> None:
    asked = only(read({"question": "?", "answer": answer})[0])
    assert asked.references == ((number,) if number else ())
    stated = only(read({"prompt": "?", "completion": "x", "references": [answer]})[0])
    assert stated.references == (number or answer,)


def test_the_shared_end_marker_and_leading_blank_are_removed_and_reported(read: Any) -> None:
    rows, report = read(*[{"prompt": "p\n", "completion": f" {word}<|endoftext|>"} for word in ("a", "b")])
    assert [turns(row)[1][1] for row in rows] == ["a", "b"]
    assert turns(rows[0])[0][1] == "p\n"
    assert report.notes == [
        "removed the end marker '<|endoftext|>' that all 2 answers share",
        "removed the blank that all 2 answers start with",
    ]


def test_an_end_marker_that_not_all_rows_share_stays(read: Any) -> None:
    rows, report = read({"prompt": "p", "completion": "a</s>"}, {"prompt": "p", "completion": " b"})
    assert [turns(row)[1][1] for row in rows] == ["a</s>", " b"]
    assert report.notes == ["1 of 2 answers end in '</s>', which stays since not all do"]


def test_a_completion_that_is_only_the_marker_is_an_empty_answer(read: Any) -> None:
    rows, report = read(*[{"prompt": "p", "completion": f"{word}<|endoftext|>"} for word in ("a", "")])
    assert len(rows) == 1
    assert [(refusal.row, refusal.reason) for refusal in report.refused] == [(2, "empty answer")]


def test_a_file_of_empty_completions_names_the_defect(read: Any) -> None:
    rows, report = read(*[{"prompt": "p", "completion": "<|endoftext|>"}] * 3)
    assert not rows
    assert (report.rows, report.format, len(report.refused)) == (3, "prompt_completion", 3)
    assert "every one of the 3 answers is empty" in report.notes


def test_a_file_with_one_answer_for_all_is_read_and_named(read: Any) -> None:
    rows, report = read(*[{"prompt": f"p{n}", "completion": "Company"} for n in range(5)])
    assert len(rows) == 5
    assert report.notes == ["all 5 answers are the same: 'Company'"]


def test_bbh_examples_have_references_and_options(read: Any) -> None:
    lettered = {"input": "Which?\nOptions:\n(A) one\n(B) two", "target": "(B)"}
    listed = {"input": "Sure?\nOptions:\n- Yes\n- No", "target": "No"}
    rows, report = read({"canary": "KEEP OUT", "examples": [lettered, listed]}, name="causal.json")
    assert [(row.options, row.references, row.task) for row in rows] == [
        (("(A)", "(B)"), ("(B)",), "causal"),
        (("Yes", "No"), ("No",), "causal"),
    ]
    assert report.format == "bbh"
    assert report.notes == ["the file asks not to be trained on: KEEP OUT"]


def test_flan_cot_lines_end_in_the_answer(read_bytes: Any) -> None:
    line = b'2+2? \'Say "so"\\nOptions:\\n- (A) 4\\n- (B) 5\t(A)\t2+2 is 4\\nsurely.\n'
    row = only(read_bytes(line, "train.tsv")[0])
    assert turns(row) == [
        ("user", '2+2? \'Say "so"\nOptions:\n- (A) 4\n- (B) 5'),
        ("assistant", "2+2 is 4\nsurely.\nThe answer is (A)"),
    ]
    assert (row.references, row.options) == (("(A)",), ("(A)", "(B)"))


def test_self_instruct_rows_are_instances(read: Any) -> None:
    first = {
        "name": "add",
        "instruction": "Add.",
        "instances": [{"input": "1 2", "output": "3"}, {"input": "", "output": "0"}],
    }
    second = {"name": "sing", "instruction": "Sing.", "instances": [{"input": "", "output": "La"}]}
    rows, report = read(first, second)
    assert [(row.source.row, turns(row)[0][1], row.task) for row in rows] == [
        (1, "Add.\n\n1 2", "add"),
        (2, "Add.", "add"),
        (3, "Sing.", "sing"),
    ]
    assert report.rows == 3


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"question_id": 1, "text": "x", "answer_id": "a", "model_id": "m"}, "answers of a model"),
        ({"prompt": "p", "instruction": "i", "input": "", "response": "r", "target": "t"}, "a model's predictions"),
        ({"system_prompt": "s", "prompt_template": "t", "name": "n"}, "prompt templates"),
        ({"messages": [{"speaker": "a", "said": "b"}]}, "'messages' holds no messages with role and content"),
        ({"instruction": "a", "input": "b"}, "'instruction' without a column that answers it"),
        ({"alpaca_en": {"file_name": "a.json"}}, "no known format; columns found: alpaca_en. Known: "),
    ],
)
def test_files_of_other_things_are_refused_whole(read: Any, record: Any, reason: str) -> None:
    rows, report = read(record, record)
    assert (rows, report.format, report.rows, report.refused[0].row) == ([], None, 0, None)
    assert reason in reasons(report)[0]


def test_rows_of_a_second_format_are_refused_naming_their_columns(read: Any) -> None:
    alpaca = {"instruction": "a", "input": "", "output": "b"}
    rows, report = read(alpaca, {"messages": [USER, ANSWER]}, alpaca)
    assert [row.source.row for row in rows] == [1, 3]
    assert [(refusal.row, refusal.code) for refusal in report.refused] == [(2, "other-format")]
    assert "the file's format, alpaca (" in reasons(report)[0]
    assert reasons(report)[0].endswith("columns found: messages")


def test_optional_columns_may_come_and_go(read: Any) -> None:
    rows, report = read(
        {"instruction": "a", "output": "b"},
        {"output": "b", "input": "i", "instruction": "a"},
        {"instruction": "a", "response": "c"},
    )
    assert [turns(row)[0][1] for row in rows] == ["a", "a\n\ni", "a"]
    assert report.mapping["assistant"] == "output | response"


def test_a_column_that_is_null_throughout_does_not_decide_the_format(read: Any) -> None:
    row = {"messages": [USER, ANSWER], "chosen": None, "rejected": None, "system": None}
    assert read(row, row)[1].format == "messages"


def test_repeated_ids_are_noted(read: Any) -> None:
    row = {"id": 7, "prompt": "a", "completion": "b"}
    rows, report = read(row, row)
    assert (rows[0].source.id, report.notes) == ("7", ["1 ids occur more than once"])
