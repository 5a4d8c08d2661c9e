"""Body templates: what they can say, and every way out of the sandbox that we know of."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.domain.errors import Invalid
from taskyard.domain.templates import MAX_OUTPUT_BYTES, check, render
from taskyard.domain.templates import rendering as templates

CONTEXT: dict[str, Any] = {
    "job": {
        "id": UUID(int=7),
        "name": 'Nightly "backup"',
        "items": ["a", "b", {"at": datetime(2024, 1, 1, tzinfo=UTC)}],
        "get": "a key named as a method",
        "big": "x" * 60_000,
    },
    "execution": {"attempt": 2, "error": None, "ratio": 2.567, "took": timedelta(seconds=90)},
    "scheduled_at": datetime(2024, 5, 17, 9, 30, tzinfo=UTC),
}


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("{{ job.name }}", 'Nightly "backup"'),
        ('{"name": {{ job.name | tojson }}}', '{"name": "Nightly \\"backup\\""}'),
        ("{{ scheduled_at }}", "2024-05-17T09:30:00+00:00"),
        ("{{ scheduled_at.strftime('%Y-%m-%d') }}", "2024-05-17"),
        ("{{ scheduled_at.date().isoformat() }}", "2024-05-17"),
        ("{{ execution.took }} {{ execution.took.total_seconds() }}", "0:01:30 90.0"),
        ("{{ job.items }}", '["a", "b", {"at": "2024-01-01T00:00:00+00:00"}]'),
        ("{{ job.items[1] }}{{ job['items'][0] }}{{ job.items[::-1][1] }}", "bab"),
        ("{{ job.get }}", "a key named as a method"),
        ("{{ execution.get('nothing', 'else') }}", "else"),
        ("{{ job.id }}", "00000000-0000-0000-0000-000000000007"),
        ("{% if execution.attempt > 1 %}again{% else %}first{% endif %}{{ '' }}", "again"),
        ("{{ 'a' if execution.attempt == 1 else 'b' }}", "b"),
        ("{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 10 }} {{ -3 }}", "5.0 3 3 1024 -3"),
        ("{{ 'n' ~ execution.attempt ~ '!' }} {{ 'ab' * 2 }}", "n2! abab"),
        ("{{ job.nothing | default('none') }} {{ execution.error is none }}", "none True"),
        ("{{ '--x-' | trim('-') }} {{ 'x..'.strip('.') }}", "x x"),
        ("{{ '  x ' | trim | upper }} {{ 'Ab' | lower }} {{ 'ab c' | title }}", "X ab Ab C"),
        ("{{ 'aXbX' | replace('X', '-') }} {{ 'aXbX' | replace('X', '', 1) }}", "a-b- abX"),
        ("{{ '7' | int }} {{ 'x' | int(3) }} {{ '1.5' | float }} {{ execution.ratio | round(1) }}", "7 3 1.5 2.6"),
        ("{{ [1, 2] | join('-') }} {{ 'abc' | first }}{{ 'abc' | last }} {{ job.items | length }}", "1-2 ac 3"),
        ("{{ 'a b&ü' | urlencode }} {{ {'a': 'b c'} | urlencode }}", "a%20b%26%C3%BC a=b%20c"),
        ("{% raw %}{{ as it is }}{% endraw %}{# gone #}\n", "{{ as it is }}\n"),
    ],
)
def test_it_renders(template: str, written: str) -> None:
    check(template)
    assert render(template, CONTEXT) == written


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200).filter(lambda text: "{{" not in text))
def test_text_without_an_expression_is_unchanged(text: str) -> None:
    assert render(text, {}) == text


def test_braces_of_json_and_statements_without_an_expression_are_text() -> None:
    text = '{"a": {"b": {"c": 1}}}\r\n{% for x in y %}{# kept #}\n\n'
    assert render(text, CONTEXT) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=12,
    )
)
def test_tojson_writes_what_json_reads(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    assert json.loads(render("{{ job.value | tojson }}", {"job": {"value": value}})) == value


REFUSED_AT_CHECK = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ job.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ self._TemplateReference__context }}",
    "{{ config }}",
    "{{ lipsum() }}",
    "{{ namespace() }}",
    "{{ range(10**9) }}",
    "{{ dict() }}",
    "{{ '{0.__class__}'.format(job) }}",
    "{{ '{a.__class__}'.format_map({'a': job}) }}",
    "{{ job | attr('__class__') }}",
    "{{ [job] | map(attribute='__class__') | list }}",
    "{{ 'a' | center(10**9) }}",
    "{{ 'a' | indent(10**9) }}",
    "{{ 'a%s' | format('x') }}",
    "{{ job | pprint }}",
    "{{ job | xmlattr }}",
    "{{ job.pop('name') }}",
    "{{ job.update({'a': 1}) }}",
    "{{ job.items.append(1) }}",
    "{{ job.name.encode('idna') }}",
    "{{ job.name.zfill(10**9) }}",
    "{{ job.name.ljust(10**9) }}",
    "{{ scheduled_at.replace(year=1) }}",
    "{{ execution.get(**job) }}",
    "{{ execution.get(*job.items) }}",
    "{{ job.name | default(*job.items) }}",
    "{{ (1 if 1 else job)() }}",
    "{{ job | ` concat` }}",
    "{% for x in job %}{{ x }}{% endfor %}",
    "{% for a in range(9) recursive %}{{ loop(a) }}{% endfor %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% set x = 1 %}{{ x }}",
    "{% set job = 1 %}{{ job }}",
    "{% include 'secret' %}{{ 1 }}",
    "{% import 'os' as os %}{{ os }}",
    "{% from 'os' import path %}{{ path }}",
    "{% extends 'x' %}{{ 1 }}",
    "{% block a %}{% endblock %}{{ 1 }}",
    "{% call job() %}{% endcall %}{{ 1 }}",
    "{% filter upper %}{{ 1 }}{% endfilter %}",
    "{% with a = 1 %}{{ a }}{% endwith %}",
    "{% autoescape true %}{{ 1 }}{% endautoescape %}",
    "{% do job %}{{ 1 }}",
    "{% debug %}{{ 1 }}",
    "{{ 1 is callable }}",
    "{{ job is sameas job }}",
    "{{",
    "{{ }}",
    "{{ 1 +  }}",
    "{{ 'open }}",
    "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}",
    "{{ " + "[" * 5_000 + "]" * 5_000 + " }}",
    "{{ " + "not " * 10_000 + "1 }}",
    "{{ " + "-" * 50_000 + "1 }}",
    "{{ " + "1 + " * 10_000 + "1 }}",
    "{{ " + "1 ~ " * 10_000 + "1 }}",
    "{{ " + "1 ** " * 500 + "1 }}",
    "{{ " + "job" + ".a" * 30_000 + " }}",
    "{{ " + "0." * 20_000 + " }}",
    "{{ " + "9" * 50_000 + " }}",
    "{{ 1 }}" * 9_000,
    "{{" * 32_000,
    "{#" * 30_000 + "{{",
    "{% if 1 %}" * 2_000 + "{{ 1 }}" + "{% endif %}" * 2_000,
    "{{ 1 }}" + "x" * 65_536,
    "x" * (MAX_OUTPUT_BYTES + 1),
    "\ud800",
]


@pytest.mark.parametrize("template", REFUSED_AT_CHECK, ids=lambda template: template[:40].encode("utf-8", "replace"))
def test_an_attack_is_refused_when_saved_and_when_run(template: str) -> None:
    started = time.process_time()
    with pytest.raises(Invalid) as refused:
        check(template)
    with pytest.raises(Invalid):
        render(template, CONTEXT)
    assert time.process_time() - started < 2
    assert refused.value.field == "body_template"
    assert len(refused.value.message) < 400


REFUSED_AT_RUN = [
    "{{ job['__class__'] }}",
    "{{ job.name['__class__']['__mro__'] }}",
    "{{ job['_' ~ '_class__'] }}",
    "{{ job.name['format'] }}",
    "{{ job.name.upper }}",
    "{{ scheduled_at.utcoffset }}",
    "{{ job['pop'] }}",
    "{{ 'x' * 10**9 }}",
    "{{ 10**9 * 'x' }}",
    "{{ [1] * 10**9 }}",
    "{{ [[[job.big] * 1000] * 1000] * 1000 }}",
    "{{ 'x' * 1000 * 1000 * 1000 }}",
    "{{ 10 ** 10000000 }}",
    "{{ 9 ** 99 ** 99 ** 99 }}",
    "{{ 2 ** -10000000 }}",
    "{{ (2**2000) * (2**2000) * (2**2000) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%s' % job }}",
    "{{ " + " ~ ".join(["job.big"] * 900) + " }}",
    "{{ " + " ~ ".join(["(job.big in job.big)"] * 200) + " }}",
    "{{ job.big == job.big }}" * 200,
    "{{ job.big[1:] | length }}" * 200,
    "{{ job.big }}" * 20,
    "{{ ('a' * 100000) | replace('', 'b' * 100000) }}",
    "{{ ('ab' * 100000) | replace('b', 'c' * 100000) }}",
    "{{ (['a'] * 100000) | join('b' * 100000) }}",
    "{{ job.big | tojson | tojson | urlencode }}" * 60,
    "{{ ('ā' * 500000) | trim('Ā' * 500000 ~ 'ā') }}",
    "{{ ('ā' * 500000).strip('Ā' * 500000 ~ 'ā') }}",
    "{{ ([()] * 1390000) | length }}",
    "{{ ([[[]] * 1000] * 600) == ([[[]] * 1000] * 600) }}",
    "{{ 1 | round(-1000000000) }}",
    "{{ 1 | round(1000000000) }}",
    "{{ scheduled_at.strftime('%1000000000d') }}",
    "{{ scheduled_at.strftime('%Y' * 10000) }}",
    "{{ '\\ud800' }}",
    "{{ job.nothing }}",
    "{{ job.nothing.more }}",
    "{{ job.nothing | upper }}",
    "{{ job.nothing ~ '' }}",
    "{{ job.nothing | tojson }}",
    "{{ 1 / 0 }}",
    "{{ 'a' < 1 }}",
    "{{ execution.took * 10**20 }}",
    "{{ execution | first }}",
]


@pytest.mark.parametrize("template", REFUSED_AT_RUN, ids=lambda template: template[:40])
def test_an_attack_that_only_shows_when_run_ends_early(template: str) -> None:
    started = time.process_time()
    with pytest.raises(Invalid) as refused:
        render(template, CONTEXT)
    assert time.process_time() - started < 2
    assert "0x" not in refused.value.message


def test_a_result_of_almost_1_mb_is_fine() -> None:
    assert len(render("{{ job.big }}" * 17, CONTEXT)) == 17 * 60_000


def test_objects_that_are_no_plain_data_are_never_written() -> None:
    class Secretive:
        def __init__(self) -> None:
            self.name = "shown"

        def __str__(self) -> str:
            return "a secret"

        def get(self) -> str:
            return "called"

    context = {"job": Secretive()}
    assert render("{{ job.name }}", context) == "shown"
    for template in ("{{ job }}", "{{ [job] }}", "{{ job ~ '' }}", "{{ job | string }}", "{{ job.get() }}"):
        with pytest.raises(Invalid):
            render(template, context)


def test_names_beside_the_three_do_not_reach_the_template() -> None:
    with pytest.raises(Invalid, match="unknown name 'settings'"):
        render("{{ settings }}", {"settings": "secret"})


def test_the_line_of_a_mistake_is_named() -> None:
    with pytest.raises(Invalid, match="line 3: there is no filter 'nope'"):
        check("{\n{{ job.name }}\n{{ job.name | nope }}}")


def test_compiled_templates_are_kept_but_not_without_end() -> None:
    for number in range(300):
        render(f"{{{{ {number} }}}}", {})
    kept = templates._compiled.cache_info()
    assert kept.maxsize is not None
    assert kept.currsize <= kept.maxsize < 300


def test_a_template_cannot_change_what_the_next_one_sees() -> None:
    job = {"items": [1]}
    with pytest.raises(Invalid):
        render("{{ job.items.clear() }}", {"job": job})
    assert job == {"items": [1]}
