"""Row proofs: they hold on what the renderer makes, and each fails by name when its fault is planted."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from tests.tiny import BOS, CHATML, tiny_tokenizer

from precept.prove.matched import Matched, Unmatched, match_conversations
from precept.prove.proof import Proof
from precept.prove.rendition import PLAIN, Writer
from precept.prove.rows import (
    BosCheck,
    mask_equals_answer,
    nothing_lost,
    tally_masks,
    tally_rows,
    tally_terminators,
    tally_vocabulary,
    template_parity,
    terminator_trained,
    train_eval_disjoint,
    vocabulary_covered,
)
from precept.records import text_digest
from precept.render import Rendered, Renderer, RenderSettings, read_template, shipped_names
from precept.types import Conversation, Message, Refusal, Row, Source, Text, ToolCall

TODAY = datetime.date(2026, 1, 2)
NO_END = CHATML.replace("<|im_end|>", "")
USER_IN_ANSWER = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ '<|im_start|>user\n' + m.content + '<|im_end|>' }}"
    "{% else %}{{ '<|im_start|>assistant\n[' + messages[0].content + '] ' + m.content + '<|im_end|>' }}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
THOUGHT_IN_PROMPT = CHATML.replace("{{ '<|im_start|>assistant\n' }}", "{{ '<|im_start|>assistant\n<think>\n' }}")
TWICE = "{{ bos_token + bos_token }}" + CHATML
TODAYS_DATE = "{{ strftime_now('%d %B %Y') }}" + CHATML


def conversation(*turns: tuple[str, str], number: int = 1, **fields: Any) -> Conversation:
    messages = tuple(Message(role, text) for role, text in turns)
    return Conversation(messages, Source("rows.jsonl", number, "0" * 16), **fields)


ROWS: list[Row] = [
    conversation(("user", "hi"), ("assistant", "yes")),
    conversation(("user", "hi"), ("assistant", "yes"), ("user", "so?"), ("assistant", "yes"), number=2),
    conversation(("system", "Be good."), ("user", " end "), ("assistant", "\n assistant \n"), number=3),
    conversation(("user", "日本"), ("assistant", "😀 naïve"), number=4),
]


@dataclass
class Case:
    """Rows rendered with a template, and the proofs' own reading of them."""

    rows: list[Row]
    renderer: Renderer
    rendered: Rendered
    writer: Writer
    matched: list[Matched]
    unmatched: list[Unmatched]

    def prove(self, *, prompt_weight: float = 0.0, stop_ids: Sequence[int] | None = None) -> dict[str, Proof]:
        masks = tally_masks(self.matched, self.unmatched, prompt_weight=prompt_weight)
        bos = BosCheck(backend=self.writer.backend, bos_id=1)
        proofs = [
            mask_equals_answer(masks, writer=self.writer),
            terminator_trained(tally_terminators(self.matched), stop_ids=stop_ids or self.rendered.stop_ids),
            bos.single_bos(bos.tally(self.rendered.sequences)),
            template_parity(
                masks, self.matched, shapes=1, prompt_ids=self.renderer.prompt_ids, prompt_weight=prompt_weight
            ),
        ]
        return {proof.name: proof for proof in proofs}


def make_case(template: str, rows: list[Row] = ROWS, *, tokenizer: Any = None, **settings: Any) -> Case:
    tokenizer = tokenizer or tiny_tokenizer()
    tokenizer.chat_template = template
    renderer = Renderer(
        tokenizer, RenderSettings(**settings), template_date=TODAY, max_length=settings.get("max_length", 256)
    )
    return match(rows, renderer, renderer.render(rows), Writer(tokenizer, template, TODAY))


def match(rows: list[Row], renderer: Renderer, rendered: Rendered, writer: Writer) -> Case:
    train_on = renderer.settings.train_on
    found = list(match_conversations(rows, rendered.sequences, rendered.places, writer, train_on=train_on))
    matched = [one for one in found if isinstance(one, Matched)]
    return Case(rows, renderer, rendered, writer, matched, [one for one in found if isinstance(one, Unmatched)])


def failed(case: Case) -> set[str]:
    return {name for name, proof in case.prove().items() if not proof.ok}


@pytest.mark.parametrize("settings", [{}, {"train_on": "last"}, {"turns": "split"}, {"prompt_weight": 0.5}])
def test_the_proofs_hold_on_what_the_renderer_makes(settings: dict[str, Any]) -> None:
    case = make_case(CHATML, **settings)
    assert len(case.matched) == len(case.rendered.sequences) >= 4
    proofs = case.prove(prompt_weight=settings.get("prompt_weight", 0.0))
    assert [proof.detail for proof in proofs.values() if not proof.ok] == []


def test_flags_and_weights_of_single_messages_are_followed() -> None:
    messages = (
        Message("user", "a"),
        Message("assistant", "b", train=False),
        Message("user", "c"),
        Message("assistant", "d", weight=0.5),
    )
    case = make_case(CHATML, [Conversation(messages, Source("rows.jsonl", 1, "0" * 16))])
    assert [weight for one in case.matched for _, weight in one.turns] == [0.0, 0.5]
    assert failed(case) == set()


def test_tool_calls_are_matched_in_the_form_that_the_template_wants() -> None:
    call = Message("assistant", None, tool_calls=(ToolCall("lookup", {"word": "tree", "n": 3}, id="call00001"),))
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{{ m.content or '' }}"
        "{% for c in m.tool_calls or [] %}{{ c.function.name + c.function.arguments | tojson }}{% endfor %}"
        "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    tool = {"type": "function", "function": {"name": "lookup", "parameters": {}}}
    row = Conversation((Message("user", "q"), call), Source("rows.jsonl", 1, "0" * 16), tools=(tool,))
    case = make_case(template, [row])
    assert len(case.matched) == 1
    assert failed(case) == set()


def test_templates_that_print_the_date_are_compared_on_the_day_of_the_run() -> None:
    case = make_case(TODAYS_DATE)
    assert case.matched[0].text.startswith("02 January 2026")
    assert failed(case) == set()


def test_a_template_that_drops_the_terminator_is_caught() -> None:
    case = make_case(NO_END)
    assert "terminator_trained" in failed(case)
    assert "no special token" in case.prove()["terminator_trained"].detail


def test_an_end_token_that_is_not_exported_is_caught() -> None:
    case = make_case(CHATML)
    assert not case.prove(stop_ids=[2])["terminator_trained"].ok


def test_a_template_that_trains_on_user_text_is_caught() -> None:
    rows: list[Row] = [conversation(("user", "hello there"), ("assistant", "yes"))]
    assert failed(make_case(USER_IN_ANSWER, rows)) == {"mask_equals_answer"}


def test_a_tokenizer_that_doubles_bos_is_caught() -> None:
    assert failed(make_case(TWICE, tokenizer=tiny_tokenizer(adds_bos=True))) == {"single_bos"}


def test_a_missing_bos_is_caught_unless_the_template_is_the_models_own() -> None:
    case = make_case(CHATML, tokenizer=tiny_tokenizer(adds_bos=True))
    given: dict[str, Any] = {"backend": case.writer.backend, "bos_id": 1}
    for own_template in (False, True):
        bos = BosCheck(own_template=own_template, **given)
        assert bos.single_bos(bos.tally(case.rendered.sequences)).ok is own_template
    assert failed(make_case("{{ bos_token }}" + CHATML, tokenizer=tiny_tokenizer(adds_bos=True))) == set()
    assert BOS in make_case("{{ bos_token }}" + CHATML).matched[0].text


@pytest.mark.parametrize("shift", [1, -1])
def test_a_mask_shifted_by_one_is_caught(shift: int) -> None:
    case = make_case(CHATML)
    shifted = [replace(s, weights=np.roll(s.weights, shift)) for s in case.rendered.sequences]
    wrong = match(case.rows, case.renderer, replace(case.rendered, sequences=shifted), case.writer)
    assert {"mask_equals_answer", "template_parity"} <= failed(wrong)
    assert "against the rule" in wrong.prove()["mask_equals_answer"].detail


def test_ids_that_are_not_the_texts_are_caught() -> None:
    case = make_case(CHATML)
    other = [replace(s, ids=s.ids[::-1].copy()) for s in case.rendered.sequences]
    wrong = match(case.rows, case.renderer, replace(case.rendered, sequences=other), case.writer)
    assert {"mask_equals_answer", "template_parity"} <= failed(wrong)


def test_a_prompt_that_opens_a_thought_which_rows_lack_is_caught() -> None:
    assert failed(make_case(THOUGHT_IN_PROMPT, ROWS[:1])) == {"template_parity"}


@pytest.mark.parametrize("policy", ["cut_right", "cut_left", "cut_turns"])
def test_rows_cut_to_fit_are_matched_too(policy: str) -> None:
    turns = [(role, f"{role} says {n}") for n in range(4) for role in ("user", "assistant")]
    case = make_case(CHATML, [conversation(*turns)], over_length=policy, max_length=90, turns="whole")
    assert len(case.rendered.sequences[0].ids) <= 90
    assert len(case.matched) == 1
    assert case.prove()["mask_equals_answer"].ok


def test_ids_beyond_the_embedding_are_caught() -> None:
    case = make_case(CHATML)
    largest = max(int(s.ids.max()) for s in case.rendered.sequences)
    given: dict[str, Any] = {"trained": False, "added": [3], "special": [2, 3, 4]}
    held = vocabulary_covered(tally_vocabulary(case.rendered.sequences, embeddings=largest + 1), **given)
    assert held.ok
    assert "added and trained: [3]" in held.detail
    assert "stay frozen: [4]" in held.detail
    assert not vocabulary_covered(tally_vocabulary(case.rendered.sequences, embeddings=largest), **given).ok


def test_a_row_that_vanishes_is_caught_and_one_dropped_by_name_is_not() -> None:
    case = make_case(CHATML)
    kept = case.rendered.sequences[:-1]
    assert not nothing_lost(tally_rows(case.rows, kept, refused=[], dropped=[]), unread=0, policy="drop").ok
    dropped = [Refusal("rows.jsonl", 4, "too long", "over-length")]
    told = nothing_lost(tally_rows(case.rows, kept, refused=[], dropped=dropped), unread=0, policy="drop")
    assert told.ok
    assert "4 rows, 3 trained" in told.detail
    assert "1 over-length" in told.detail


def test_a_sequence_without_a_trained_token_is_caught() -> None:
    case = make_case(CHATML)
    empty = [replace(s, weights=np.zeros_like(s.weights)) for s in case.rendered.sequences]
    accounts = tally_rows(case.rows, empty, refused=[], dropped=[])
    assert not nothing_lost(accounts, unread=0, policy="error").ok


def test_a_row_copied_from_the_evaluation_set_is_caught() -> None:
    held_out: list[Row] = [conversation(("user", " HI"), ("assistant", "Yes\n"), number=9)]
    proof = train_eval_disjoint(ROWS, held_out, text_digest=text_digest)
    assert not proof.ok
    assert "rows.jsonl row 9 is rows.jsonl row 1" in proof.detail
    assert train_eval_disjoint(ROWS[1:], held_out, text_digest=text_digest).ok
    assert not train_eval_disjoint([], [], text_digest=text_digest).applies
    assert not train_eval_disjoint(
        [Text("A b", ROWS[0].source)], [Text("a  B", ROWS[0].source)], text_digest=text_digest
    ).ok


def test_rows_are_written_together_as_alone() -> None:
    tools = ({"type": "function", "function": {"name": "f", "description": "", "parameters": {}}},)
    rows = [*ROWS, conversation(("user", "hi"), ("assistant", "yes"), tools=tools), *ROWS[:2]]
    raises = CHATML + "{% if messages[0].content == '日本' %}{{ raise_exception('no') }}{% endif %}"
    for template in (CHATML, raises, read_template("alpaca")):  # the last raises on several turns
        writer = Writer(tiny_tokenizer(), template, TODAY)
        alone = [writer.write(row.messages, row.tools) for row in rows]
        assert writer.write_rows(rows) == alone
        assert writer.write_rows(rows[:1]) == alone[:1] and writer.write_rows([]) == []
    assert None in alone


@pytest.mark.parametrize("name", shipped_names())
def test_prompts_by_what_stands_around_texts_are_those_written(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tiny_tokenizer(), read_template(name), TODAY)
    texts = ["hi", " two ", "quokka 0.", "so?", "a\nb", "yes", "", "last"]
    checked = 0
    for start, count in itertools.product(range(3), (2, 6)):
        row = conversation(*zip(["user", "assistant"] * 3, texts[start : start + count], strict=False))
        text = writer.write(row.messages, ())
        for place in range(1, count, 2) if text else ():  # some templates write one turn alone
            quick = writer.turn(row, place, text, form=PLAIN)
            with monkeypatch.context() as patch:
                patch.setattr(Writer, "_around", lambda *given: ())
                assert writer.turn(row, place, text, form=PLAIN) == quick
            checked += 1
    assert checked


def test_a_header_that_depends_on_the_question_is_seen() -> None:
    mark = "{% if '!' in messages[0].content %}>>{% endif %}"
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        f"{{% if m.role == 'assistant' %}}{mark}{{% endif %}}{{{{ m.content }}}}<|im_end|>\n{{% endfor %}}"
        f"{{% if add_generation_prompt %}}<|im_start|>assistant\n{mark}{{% endif %}}"
    )
    writer = Writer(tiny_tokenizer(), template, TODAY)
    for asked, header in (("go", ""), ("go!", ">>")):
        row = conversation(("user", asked), ("assistant", "yes"))
        text = writer.write(row.messages, ())
        turn = writer.turn(row, 1, text, form=PLAIN)
        assert text[: turn.start].endswith(f"<|im_start|>assistant\n{header}")
        assert text[turn.start :].startswith("yes")
