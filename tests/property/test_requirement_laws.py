"""Laws of reading one requirement line."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement, Requirement

from nixlib.errors import RequirementError
from nixlib.requirements import CondaRequirement, NixpkgsRequirement, PypiRequirement, parse_line
from nixlib.requirements.direct import Direct

pytestmark = pytest.mark.property


def words(pattern):
    return st.from_regex(pattern, fullmatch=True)


def maybe(strategy):
    return st.none() | strategy


NUMBER = words(r"[1-9][0-9]{0,2}(\.[1-9][0-9]{0,2}){0,2}")
PYPI_VERSION = st.lists(
    st.tuples(st.sampled_from([">=", "<", "==", "!=", "<=", ">"]), NUMBER).map("".join),
    min_size=1,
    max_size=3,
).map(",".join)
MARKERS = ['python_version < "3.9"', 'os_name == "nt" and extra == "a|b"', 'os_name == "=#::;"']
pypi = (
    st.builds(
        PypiRequirement,
        name=words(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?"),
        extras=st.sets(words(r"[a-z]{1,5}"), max_size=3).map(lambda extras: tuple(sorted(extras))),
        version=maybe(PYPI_VERSION),
        marker=maybe(st.sampled_from(MARKERS)),
    )
    | st.builds(
        PypiRequirement,
        name=words(r"[a-z]{1,5}"),
        marker=maybe(st.sampled_from(MARKERS)),
        direct=st.one_of(
            st.builds(
                Direct,
                url=words(
                    r"https://[a-z]{1,5}\.example/([a-z|=:]{1,5}/)?[a-z]{1,5}-1-py3-none-any\.whl"
                ),
            ),
            st.builds(
                Direct,
                kind=st.just("sdist"),
                url=words(r"https://[a-z]{1,5}\.example/[a-z]{1,5}-1\.(tar\.gz|zip)"),
                subdirectory=words(r"([a-z]{1,3}(/[a-z]{1,3})?)?"),
            ),
            st.builds(
                Direct,
                kind=st.just("git"),
                url=words(r"https://[a-z]{1,5}\.example/[a-z]{1,5}(\.git)?"),
                commit=words(r"[0-9a-f]{40}|v[0-9](\.[0-9])?(/[a-z]{2})?"),
                subdirectory=words(r"([a-z]{1,3}(/[a-z]{1,3})?)?"),
            ),
            st.builds(
                Direct,
                kind=st.just("path"),
                folder=words(r"(\.|\.\.|\.\./\.\.)(/[a-z-]{1,5}){0,2}"),
            ),
        ),
    )
    | st.builds(
        PypiRequirement,
        name=st.just(""),
        extras=st.sets(words(r"[a-z]{1,5}"), max_size=2).map(lambda extras: tuple(sorted(extras))),
        marker=maybe(st.sampled_from(MARKERS)),
        direct=st.builds(
            Direct,
            kind=st.sampled_from(["path", "editable"]),
            folder=words(r"(\.|\.\.)(/[a-z][a-z .-]{0,5}[a-z]){0,2}"),
        ),
    )
)

CLAUSE = st.one_of(
    st.just("*"),
    NUMBER.map(lambda number: f"{number}.*"),
    st.tuples(
        st.sampled_from(["==", ">=", "<", "!=", "<=", ">", "~="]), words(r"[1-9]\.[1-9]")
    ).map("".join),
)
CONDA_VERSION = st.lists(
    st.lists(CLAUSE, min_size=1, max_size=3).map(",".join), min_size=1, max_size=3
).map("|".join)
CHANNEL = st.sampled_from(
    ["conda-forge", "a/label/b.c", "https://h.example:8443/x", "file:///srv/c"]
)
SUBDIR = st.sampled_from(["linux-64", "noarch", "osx-arm64"])
conda = st.builds(
    CondaRequirement,
    name=words(r"[a-z0-9_][a-z0-9_.-]{0,8}"),
    version=maybe(CONDA_VERSION),
    build=maybe(words(r"(\*?[a-z0-9_.]){1,5}\*?") | st.just("*")),
    channel=maybe(CHANNEL),
    subdir=maybe(SUBDIR),
    build_number=maybe(st.sampled_from(["==2", ">=1"])),
).filter(
    lambda read: read.channel or read.version or read.build or read.subdir or read.build_number
)

ATTRIBUTE = words(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,5}(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,5}){0,2}")
REVISION = words(r"[0-9a-f]{40}") | words(r"[a-z]{3}-[0-9]{2}\.[0-9]{2}(/[a-z_]{1,5})?")
nixpkgs = st.builds(
    NixpkgsRequirement,
    name=ATTRIBUTE,
    revision=maybe(REVISION),
    repository=maybe(words(r"[A-Za-z0-9][A-Za-z0-9-]{0,5}/[A-Za-z0-9_][A-Za-z0-9._-]{0,5}")),
)


@given(pypi | conda | nixpkgs)
@example(CondaRequirement("numpy", "==1.2,==3"))
@example(CondaRequirement("numpy", "==1.2"))
@example(CondaRequirement("numpy", ">=1.2"))
@example(CondaRequirement("a-"))
def test_what_is_printed_is_read_again(read):
    if read == CondaRequirement(read.name):  # nothing of a bare name says that it is conda's
        return
    assert parse_line(str(read)) == read


SHORT = st.text("ab1.*=<>!~,|[]()'\" :;#@/_-$", max_size=16) | st.text("ae./-@[];: ", max_size=9)
GRAMMAR = (
    "a 1.2 1.* >= == = | , py_0 * :: [ ] build= ; # / ( ) \" === @ nixpkgs github: os_name=='nt'"
)
PIECES = st.lists(st.sampled_from([" ", *GRAMMAR.split()]), max_size=12).map("".join)


@given(st.text(max_size=40) | SHORT | PIECES | st.tuples(st.just("a "), PIECES).map("".join))
@example("a 1 b=c")
@example("a[version=1][build=2]")
def test_any_text_is_refused_or_read_and_stays_what_it_was_read_as(line):
    refusal = ""
    try:
        read = parse_line(line)
    except RequirementError as error:
        refusal, read = error.summary, parse_line("a")
    assert refusal.isprintable()
    assert parse_line(str(read)) == read
    folder = read.direct.folder if read.kind == "pypi" and read.direct else ""
    assert re.match(r"[A-Za-z0-9_]", read.name or "a")
    assert bool(read.name) or folder
    assert re.fullmatch(r"|(\.|\.\.(/\.\.)*)(/(?!\.\.?(/|$))[^/]+)*", folder)
    if read.kind == "conda":
        assert not set("'\"$;#` \\") & set(f"{read.name}{read.version}{read.build}{read.channel}")
    if read.kind == "nixpkgs":
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", read.name)


@given(SHORT | PIECES)
def test_what_pep_508_has_a_meaning_for_is_never_read_as_anything_else(line):
    try:
        meaning = Requirement(line.strip())
    except InvalidRequirement:
        return
    try:
        read = parse_line(line)
    except RequirementError:
        return
    assert read.kind == "pypi"
    again = Requirement(str(read))
    assert (again.name, again.extras, again.specifier, again.marker) == (
        meaning.name,
        meaning.extras,
        meaning.specifier,
        meaning.marker,
    )
