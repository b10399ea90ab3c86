"""No template runs for ever or fills the memory: each of these ends with a row error in bounded time."""

from __future__ import annotations

import datetime
import time

import pytest

from precept.render.chat_template import ChatTemplate
from precept.render.refused import RowRefused

MESSAGES = [{"role": "user", "content": "hi"}]
GROWING = "{% set n = namespace(s='aa', l=['aa']) %}{% for i in range(99) %}BODY{% endfor %}"
RUNAWAYS = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    "adding": GROWING.replace("BODY", "{% set n.s = n.s + n.s %}"),
    "joining": GROWING.replace("BODY", "{% set n.s = n.s ~ n.s %}"),
    "replacing": GROWING.replace("BODY", "{% set n.s = n.s | replace('a', n.s) %}"),
    "replacing by method": GROWING.replace("BODY", "{% set n.s = n.s.replace('a', n.s) %}"),
    "blocks": "{% set s = 'aa' %}" + "{% set s %}{{ s }}{{ s }}{% endset %}" * 60 + "{{ s }}",
    "formatting": GROWING.replace("BODY", "{% set n.s = '%s%s' % (n.s, n.s) %}"),
    "format method": GROWING.replace("BODY", "{% set n.s = '{0}{0}'.format(n.s) %}"),
    "shared lists as JSON": GROWING.replace("BODY", "{% set n.l = [n.l, n.l] %}") + "{{ n.l | tojson }}",
    "shared lists as text": GROWING.replace("BODY", "{% set n.l = [n.l, n.l] %}") + "{{ n.l }}",
    "shared lists joined": GROWING.replace("BODY", "{% set n.l = [n.l, n.l] %}") + "{{ n.l ~ 'x' }}",
    "lists": GROWING.replace("BODY", "{% set n.l = n.l + n.l %}"),
    "many places": "{% set s = 'a' * 900000 %}{{ ('{0}' * 900000).format(s) }}",
    "many places of a format": "{% set s = 'a' * 900000 %}{{ ('%s' * 9) % ((s,) * 9) * 900000 }}",
    "width": "{{ 'a'.ljust(99999999999) }}",
    "width of a filter": "{{ 'a' | center(99999999999) }}",
    "width of a format": "{{ '%9999999999d' % 1 }}",
    "width of a format filter": "{{ '{:>9999999999}'.format('a') }}",
    "repeating": "{{ 'a' * 9999999999 }}",
    "power": "{{ 9 ** 9 ** 9 }}",
    "recursion": "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    "branching recursion": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "long output": "{% for i in range(99999) %}" + "abcdefgh" * 500 + "{% endfor %}",
    "indent": "{{ ('a\n' * 90000) | indent(900000) }}",
}


def render(text: str) -> str:
    template = ChatTemplate(text, name="test", variables={}, template_date=datetime.date(2026, 1, 1))
    return template.render(MESSAGES, None, add_generation_prompt=False)


@pytest.mark.parametrize("text", RUNAWAYS.values(), ids=RUNAWAYS.keys())
def test_a_template_without_bounds_is_refused_in_bounded_time(text: str) -> None:
    began = time.process_time()
    with pytest.raises(RowRefused) as caught:
        render(text)
    assert "the chat template 'test' raises on this row" in str(caught.value)
    assert time.process_time() - began < 10


def test_a_long_honest_conversation_stays_within_the_bounds() -> None:
    template = ChatTemplate(
        "{% set n = namespace(s='') %}{% for m in messages %}{% set n.s = n.s + m.role ~ ': ' ~ m.content | trim %}"
        "{% endfor %}{{ n.s }}",
        name="test",
        variables={},
        template_date=datetime.date(2026, 1, 1),
    )
    messages = [{"role": "user", "content": "word " * 200}] * 1000
    assert len(template.render(messages, None, add_generation_prompt=False)) == 1000 * (6 + 999)
