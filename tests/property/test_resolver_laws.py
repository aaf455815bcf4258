"""Laws of the resolver's pure parts, on generated input."""

import sys
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version
from recorded_world import recorded

from nixlib.errors import RequirementError
from nixlib.resolvers.conflict import evidence
from nixlib.resolvers.era import find_holds
from nixlib.resolvers.indexes import Index, Indexes, split_credentials
from nixlib.resolvers.metadata import parse_metadata
from nixlib.resolvers.requirements import parse_requirement, public_line, public_url
from nixlib.resolvers.simple import parse_page
from nixlib.resolvers.uv import Problem, Refusal, project_toml, uv_toml
from nixlib.resolvers.wheels import best_wheel, rank, wheel_ranks, wheel_triples
from nixlib.spec import SYSTEMS

tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
pytestmark = pytest.mark.property

PRINTABLE = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=60)
SECRET = st.text("abcdefghijklmnop0123456789", min_size=12, max_size=20)


@given(st.lists(PRINTABLE), st.lists(PRINTABLE))
def test_no_text_escapes_from_the_generated_project(requirements, constraints):
    problem = Problem(tuple(requirements), "3.11.7", "x86_64-linux", constraints=tuple(constraints))
    table = tomllib.loads(project_toml(problem))
    assert table["project"]["dependencies"] == requirements
    assert table["tool"]["uv"]["constraint-dependencies"] == constraints
    assert set(table) == {"project", "tool"}
    assert set(table["tool"]["uv"]) == {
        "package",
        "environments",
        "required-environments",
        "constraint-dependencies",
    }


@given(PRINTABLE, st.dictionaries(st.sampled_from(["index-strategy", "cache-dir"]), PRINTABLE))
def test_no_text_escapes_from_the_generated_configuration(path, settings):
    indexes = Indexes((Index(f"https://h.example/{path}"),), settings=settings)
    table = tomllib.loads(uv_toml(Problem((), "3.11.7", "x86_64-linux"), indexes))
    assert table["index"][0]["url"] == f"https://h.example/{path}"
    assert {key: table[key] for key in settings} == settings
    assert table["no-build"] is True


@given(PRINTABLE | st.text(max_size=40))
def test_line_is_refused_or_becomes_one_harmless_requirement(line):
    try:
        wanted = parse_requirement(line)
    except RequirementError as error:
        refusal, printed = error.summary, "x"
    else:
        refusal, printed = "", str(wanted.requirement)
        assert wanted.requirement.url is None or wanted.requirement.url.startswith(
            ("http://", "https://")
        )
    assert refusal.isprintable()
    assert printed[0].isalnum()
    assert printed.isprintable()
    assert str(parse_requirement(printed).requirement) == printed


@given(SECRET, SECRET, SECRET, SECRET)
def test_no_part_of_a_url_that_may_be_secret_is_public(user, password, query, fragment):
    url = f"https://u{user}:p{password}@host.example/simple/x.whl?q={query}#f{fragment}"
    for public in (
        public_url(url),
        public_line(f"see `{url}`, then"),
        repr(split_credentials(f"https://{user}:{password}@h/")),
    ):
        assert not any(
            f"{letter}{secret}" in public
            for letter, secret in zip("up=f", (user, password, query, fragment), strict=True)
        )
    assert public_url(public_url(url)) == public_url(url)
    refusal = Refusal(Problem((), "3.11.7", "x86_64-linux"), f"error: no\n  cause: bad {url}\n")
    assert not any(secret in "\n".join(evidence(refusal)) for secret in (query, fragment))


@given(st.text(max_size=300))
def test_any_metadata_is_read_without_an_error(text):
    found = parse_metadata(f"Requires-Dist: {text}\n{text}")
    assert all(item.name for item in found.requires)


@given(st.text(max_size=300))
def test_any_html_is_read_without_an_error(text):
    base = "https://h.example/simple/x/"
    files = parse_page(f"<a href='x-1.whl'>x</a>{text}".encode(), "text/html", base)
    assert all(urlsplit(file.url).fragment == "" for file in files)


TAGS = st.builds(
    "{}-{}-{}".format,
    st.sampled_from(["cp38", "cp311", "py3", "py2.py3", "pp310"]),
    st.sampled_from(["none", "abi3", "cp311", "cp38", "cp313t"]),
    st.sampled_from(
        ["any", "manylinux1_x86_64", "manylinux_2_17_aarch64", "manylinux_2_35_x86_64", "musllinux_1_2_x86_64",
         "macosx_11_0_arm64", "macosx_10_9_universal2", "win_amd64"]
    ),
)  # fmt: skip


@given(st.lists(TAGS, unique=True), st.sampled_from(SYSTEMS), st.randoms(use_true_random=False))
def test_best_wheel_runs_and_no_other_suits_better(tags, system, random):
    names = [f"x-1-{tag}.whl" for tag in tags]
    found = best_wheel(names, names, system, "3.11")
    ranks = wheel_ranks(system, "3.11")
    usable = {name: place for name in names if (place := rank(name, ranks)) is not None}
    assert (found is None) == (not usable)
    if found is not None:
        assert usable[found] == min(usable.values())
        assert not any(
            "musl" in item[2] or item[0].startswith("pp") for item in wheel_triples(found)
        )
    shuffled = random.sample(names, len(names))
    assert best_wheel(shuffled, shuffled, system, "3.11") == found


@given(
    st.sampled_from(["pandas-1.5", "flask-1.0", "networkx-2.5"]),
    st.integers(0, 900),
    st.integers(0, 900),
)
def test_more_grace_never_holds_a_pins_own_dependency_lower(recording, one, other):
    uppers = []
    for days in sorted((one, other)):
        question, world, _ = recorded(recording, grace=timedelta(days=days))
        uppers.append(
            {name: hold.upper for name, hold in find_holds(question, AnyVersion(world)).items()}
        )
    less, more = uppers
    assert all(more.get(name, Version("9999")) >= upper for name, upper in less.items())


class AnyVersion:
    """A recorded world that answers for versions nobody recorded as for the nearest that somebody did."""

    def __init__(self, world):
        self._world = world
        self.expect, self.releases = world.expect, world.releases

    def needs(self, name, version):
        try:
            return self._world.needs(name, version)
        except KeyError:
            return []

    def offers(self, name, version):
        return self._world.offers(name, version)
