"""Laws of what conda is asked, and of what a machine is found to have."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rattler import MatchSpec, Version, VersionSpec

from nixlib.lock.conda import LockedConda
from nixlib.requirements import CondaRequirement, parse_line
from nixlib.resolvers.conda.resolve import match_spec
from nixlib.variants import build_choice, conda_constraints
from nixlib.virtualpackages import missing_here

pytestmark = pytest.mark.property

SYSTEM = "x86_64-linux"
VERSIONS = st.lists(st.integers(0, 40), min_size=1, max_size=3).map(lambda n: ".".join(map(str, n)))
CLAUSES = st.one_of(
    st.tuples(st.sampled_from([">=", "<=", "==", "!=", "<", ">", "="]), VERSIONS).map("".join),
    VERSIONS.map(lambda version: f"{version}.*"),
    VERSIONS.map(lambda version: f"!={version}.*"),
    VERSIONS,
    st.just("*"),
)
RULES = st.lists(
    st.lists(CLAUSES, min_size=1, max_size=3).map(",".join), min_size=1, max_size=3
).map("|".join)
WORDS = st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True)
BUILDS = st.lists(
    st.lists(WORDS, min_size=1, max_size=3).map(lambda words: "_".join([*words, "0"])), max_size=6
)
VARIANTS = st.dictionaries(
    st.sampled_from(["blas", "cuda", "mpi", "x", "glibc"]),
    st.none() | WORDS | VERSIONS,
    max_size=3,
)


@given(version=VERSIONS, rule=RULES)
def test_a_machine_has_what_rattler_says_that_it_has(version, rule):
    need = str(MatchSpec(f"__glibc[version='{rule}']").version)
    lock = LockedConda(needs={SYSTEM: (f"__glibc {need}",)}, virtual={SYSTEM: ("__glibc=999",)})
    is_missing = bool(missing_here(lock, SYSTEM, {"__glibc": version}))
    assert is_missing is not VersionSpec(rule).matches(Version(version))


@given(
    name=WORDS,
    version=st.none() | RULES,
    build=st.none() | WORDS.map(lambda word: f"*{word}*"),
    number=st.none() | st.integers(0, 9).map(lambda number: f">={number}"),
)
def test_what_rattler_is_given_means_what_the_line_says(name, version, build, number):
    asked = CondaRequirement(name, version, build, None, None, number)
    spec = MatchSpec(match_spec(asked, ()))
    assert spec.name.normalized == name
    plain = MatchSpec(f"{name}[version='{version}']") if version else MatchSpec(name)
    assert spec.version == plain.version
    assert spec.build == build
    assert spec.build_number == number


@given(variants=VARIANTS, builds=BUILDS)
def test_a_choice_between_builds_is_one_that_rattler_can_make(variants, builds):
    pattern = build_choice(variants, builds)
    if pattern is not None:
        assert MatchSpec(f"a[build='{pattern}']").name.normalized == "a"
        fitting = [build for build in builds if re.search(pattern, build)]
        assert len(fitting) < len(builds)
        assert build_choice(variants, fitting) is None
    for rule in conda_constraints(variants, SYSTEM):
        assert MatchSpec(rule).version or MatchSpec(rule).build


def test_a_line_goes_through_unchanged():
    line = parse_line("numpy=1.26.*=*mkl*")
    spec = MatchSpec(match_spec(line, ()))
    assert (str(spec.version), str(spec.build)) == ("1.26.*", "*mkl*")
