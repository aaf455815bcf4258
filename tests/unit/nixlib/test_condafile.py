"""`environment.yml` as a spec: hand-written files, exported ones, and what is none."""

import pytest

from nixlib.condafile import parse_condafile
from nixlib.errors import SpecError
from nixlib.requirements import parse_line

WRITTEN = """\
name: analysis
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - numpy>=1.26,<2   # a comment of people
  - blas=*=mkl
  - ruamel.yaml
  - conda-forge::graphviz
  - pip
  - pip:
      - requests[socks]>=2 ; python_version > "3.8"
"""
EXPORTED = """\
name: base
channels: [defaults]
dependencies:
  - _libgcc_mutex=0.1=main
  - ca-certificates=2023.12.12=h06a4308_0
  - python=3.9.18=h955ad1f_0
  - pip=23.3.1=py39h06a4308_0
  - pip:
    - anyio==4.2.0
prefix: /home/somebody/miniconda3
"""


def test_hand_written_file_becomes_a_spec():
    read = parse_condafile(WRITTEN)
    assert read.name == "analysis"
    assert read.notes == ()
    assert read.spec.to_json() == {
        "version": 1,
        "python": "3.11",
        "interpreter": "conda",
        "channels": ["conda-forge"],
        "requirements": [
            'numpy[version=">=1.26,<2"]',
            "blas * mkl",
            "ruamel.yaml *",
            "conda-forge::graphviz",
            "pip *",
            'requests[socks]>=2; python_version > "3.8"',
        ],
    }


def test_exported_file_keeps_each_build():
    spec = parse_condafile(EXPORTED).spec
    assert spec.requirements == (
        "_libgcc_mutex ==0.1 main",
        "ca-certificates ==2023.12.12 h06a4308_0",
        "python ==3.9.18 h955ad1f_0",
        "pip ==23.3.1 py39h06a4308_0",
        "anyio==4.2.0",
    )
    assert (spec.python, spec.interpreter) == (None, "conda")


@pytest.mark.parametrize("text", [WRITTEN, EXPORTED])
def test_every_line_is_read_as_it_was_meant(text):
    kinds = [parse_line(line).kind for line in parse_condafile(text).spec.requirements]
    assert kinds[:-1] == ["conda"] * (len(kinds) - 1)
    assert kinds[-1] == "pypi"


@pytest.mark.parametrize(
    ("lines", "python", "requirements"),
    [
        ("- python", None, ()),
        ("- python=3.9.*", "3.9", ()),
        ("- python==3.9.7", "3.9.7", ()),
        ("- python>=3.8", None, ('python[version=">=3.8"]',)),
        ("- python=3.9|3.10", None, ("python 3.9.*|==3.10",)),
        ("- conda-forge::python=3.9", None, ("conda-forge::python 3.9.*",)),
    ],
)
def test_python_is_what_the_spec_calls_python(lines, python, requirements):
    spec = parse_condafile(f"dependencies:\n{lines}\n").spec
    assert (spec.python, spec.requirements, spec.interpreter) == (python, requirements, "conda")


def test_file_without_python_leaves_the_interpreter_open():
    assert parse_condafile("dependencies: [r-base]").spec.interpreter is None


@pytest.mark.parametrize(
    ("said", "priority"),
    [
        ("channels: [a]", "strict"),
        ("channels: [a, b]", "flexible"),
        ("channels: [a, b]\nchannel_priority: strict", "strict"),
        ("channels: [a]\nchannel-priority: flexible", "flexible"),
        ("channels: [a]\nchannel_priority: disabled", "flexible"),
        ("channels: [a]\nchannel_priority: true", "flexible"),
    ],
)
def test_priority_is_the_files_or_condas_own(said, priority):
    assert parse_condafile(f"{said}\ndependencies: []").spec.channel_priority == priority


def test_selectors_are_reported():
    read = parse_condafile(
        "dependencies:\n"
        "  - pywin32 >=3  # [win]\n"
        "  - epoll  # [linux64]\n"
        "  - sel(unix): readline\n"
        "  - sel(win): winpty\n"
        "  - sel(osx): [appnope]\n"
    )
    assert read.spec.requirements == ("epoll *", "readline *", "appnope *")
    assert read.notes == (
        "`pywin32 >=3` is left out: it is for `win`",
        "`epoll` is asked for everywhere, not only on `linux64`",
        "`winpty` is left out: it is for `win`",
        "`appnope` is asked for everywhere, not only on `osx`",
    )


def test_options_of_pip_become_indexes_or_notes():
    read = parse_condafile(
        "dependencies:\n- pip:\n"
        "  - --extra-index-url https://me:hush@host.example/simple\n"
        "  - -r requirements.txt\n"
        "  - six  # why\n"
    )
    assert read.spec.indexes == ("https://host.example/simple",)
    assert read.spec.requirements == ("six",)
    assert read.notes == (
        "the credentials in the address of an index are left out: they stay with you",
        "`-r requirements.txt` is left out: it is an option of pip",
    )


def test_what_a_spec_has_no_words_for_is_named():
    read = parse_condafile("variables: {A: b}\nplatforms: [linux-64, win-64]\ndependencies: [x]")
    assert read.spec.systems == ("x86_64-linux",)
    assert read.notes == (
        "the platform `win-64` is left out: no lock is for it",
        "`variables` is left out: a notebook's environment has nothing like it",
    )


def test_every_line_that_cannot_be_read_is_named():
    with pytest.raises(SpecError) as caught:
        parse_condafile("dependencies: ['numpy=1=2=3', good, '$(touch x)']")
    assert "2 lines" in caught.value.summary
    assert ["numpy=1=2=3" in caught.value.details[0], "touch" in caught.value.details[1]] == [
        True
    ] * 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "name: x",
        "a: [",
        "@EXPLICIT\nhttps://x/y.conda",
        "dependencies: ['{{ name }}']",
        "dependencies: x",
        "dependencies: [3.10]",
        "channels: x\ndependencies: []",
        "channels: [1]\ndependencies: []",
        "channels: ['https://host/t/hush/channel']\ndependencies: []",
        "!!python/object/apply:os.system ['true']",
        "[" * 5000,
        "x" * (1 << 21),
        "dependencies: []\n" + "a: &a [1]\n" + "\x00",
    ],
)
def test_what_is_no_such_file_is_refused(text):
    with pytest.raises(SpecError) as caught:
        parse_condafile(text, filename="e.yml")
    assert "hush" not in caught.value.render()


BOMB = "".join(
    f"a{number + 1}: &a{number + 1} [{', '.join([f'*a{number}'] * 10)}]\n" for number in range(9)
)
MERGED = "".join(
    f"a{number + 1}: &a{number + 1}\n  <<: [{', '.join([f'*a{number}'] * 10)}]\n"
    for number in range(9)
)


@pytest.mark.parametrize(
    "text",
    [
        f"a0: &a0 [six]\n{BOMB}dependencies: *a9",
        f"a0: &a0 [six]\n{BOMB}dependencies: [{{pip: *a9}}]",
        f"a0: &a0 [six]\n{BOMB}dependencies: []\nplatforms: *a9",
        f"a0: &a0 {{six: 1}}\n{MERGED}dependencies: []",
        "dependencies: &a [*a]",
        f"dependencies: [0x{'f' * 9000}]",
    ],
)
def test_what_stands_for_more_than_it_is_is_refused_at_once(text):
    with pytest.raises(SpecError, match="stand for more"):
        parse_condafile(text)


def test_alias_is_what_it_stands_for():
    spec = parse_condafile("a: &a [six]\ndependencies: [{pip: *a}]").spec
    assert spec.requirements == ("six",)


def test_lines_of_another_kind_of_system_are_left_out():
    text = "dependencies:\n  - epoll  # [linux64]\n  - sel(osx): appnope\n  - a  # [not win]\n"
    read = parse_condafile(text, system="x86_64-linux")
    assert read.spec.requirements == ("epoll *", "a *")
    assert read.notes == (
        "`epoll` is asked for everywhere, not only on `linux64`",
        "`appnope` is left out: it is for `osx`, and this machine is another",
        "`a` is asked for everywhere, not only on `not win`",
    )
    assert parse_condafile(text, system="aarch64-darwin").spec.requirements == ("appnope *", "a *")


def test_a_line_that_cannot_be_read_says_how_to_write_it():
    with pytest.raises(SpecError) as caught:
        parse_condafile("dependencies:\n- pip:\n  - git+https://github.com/o/x.git@v1\n")
    assert caught.value.details[1] == "  hint: `NAME @ git+https://HOST/REPOSITORY@COMMIT`"
