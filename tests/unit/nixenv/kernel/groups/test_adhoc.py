from __future__ import annotations

import pytest

from nixenv.kernel.groups.adhoc import parse
from nixenv.kernel.groups.group import is_name
from nixlib.spec.private import is_group_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pandas==2.0.3", "pandas_2_0_3"),
        ("'pandas == 2.0.3'", "pandas_2_0_3"),
        ("Pandas==2.0.3", "pandas_2_0_3"),
        ("pydantic<2", "pydantic_lt_2"),
        ("pydantic<=2", "pydantic_le_2"),
        ("pandas>=1,<2", "pandas_ge_1_lt_2"),
        ("click==7.0 jinja2", "click_7_0_jinja2"),
        ("jinja2 click==7.0", "click_7_0_jinja2"),
        ("--process pydantic<2", "pydantic_lt_2_process"),
        ("pydantic<2 --process --python 3.8", "pydantic_lt_2_process_python_3_8"),
        ("pydantic<2 --process --python=3.8", "pydantic_lt_2_process_python_3_8"),
        ("ruamel.yaml==0.18", "ruamel_yaml_0_18"),
        ("7zip==1", "p_7zip_1"),
    ],
)
def test_name_follows_from_the_words(text, name):
    wanted = parse(text)
    assert wanted is not None
    assert wanted.name == name


@pytest.mark.parametrize(
    "text",
    [
        "'requests[socks]==2.31'",
        "'pandas @ https://host/pandas-2.0.3-py3-none-any.whl'",
        "'tomli; python_version < \"3.11\"' attrs==23",
        "./folder",
        " ".join(f"package-{number}==1" for number in range(20)),
        "é==1",
        "a==1.0+local",
        "3d==1 '" + "x" * 500 + "'",
    ],
)
def test_name_of_words_that_a_module_cannot_spell_has_a_hash(text):
    names = [parse(text).name, parse(text + " other").name]
    assert len(set(names)) == len(names)
    assert names[0][-8:].isalnum()
    assert "_" in names[0]
    assert all(is_name(name) and is_group_name(name) for name in names)
    assert parse(text).name == names[0]


def test_equal_names_of_different_words_have_another_each():
    first, second = parse("a-1==2"), parse("a==1.2")
    assert first.name == second.name
    assert first.other_name != second.other_name
    assert (first.packages, second.packages) == ({"a-1"}, {"a"})


@pytest.mark.parametrize("name", ["old", "pandas", "pandas_2_0_3"])
def test_one_identifier_is_a_group(name):
    assert parse(name) is None


def test_options_come_before_requirements_in_what_the_engine_is_given():
    wanted = parse("pydantic<2 --process --singleton numpy --python=3.8 attrs==1")
    assert wanted.arguments == ("--process", "--singleton", "numpy", "--python", "3.8", "pydantic<2", "attrs==1")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("'pandas", "quotation"),
        ("--for x pandas==1", "no option `--for`"),
        ("--python", "needs a value"),
        ("--singleton --process a==1", "needs a value"),
        ("--process", "no requirement"),
        ("-e .", "no option `-e`"),
    ],
)
def test_what_cannot_be_understood_is_said(text, part):
    with pytest.raises(ValueError, match=part):
        parse(text)
