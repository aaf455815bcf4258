"""Laws of files that are imported, and of where bare names come from."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixlib.condafile import parse_condafile
from nixlib.errors import NixError, ResolutionError, SpecError
from nixlib.providers import choose, names_to_ask, parse_orders
from nixlib.requirements import parse_line
from nixlib.spec import parse_spec

pytestmark = pytest.mark.property

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}([._-][a-z0-9]{1,5})?", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}", fullmatch=True)
BUILDS = st.from_regex(r"(py3[0-9]{1,2}_)?h?[0-9a-f]{1,6}_[0-9]", fullmatch=True)
LINES = st.one_of(
    NAMES,
    st.builds("{}={}".format, NAMES, VERSIONS),
    st.builds("{}=={}".format, NAMES, VERSIONS),
    st.builds("{} >={}".format, NAMES, VERSIONS),
    st.builds("{}={}={}".format, NAMES, VERSIONS, BUILDS),
    st.builds("conda-forge::{}".format, NAMES),
)
YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(LINES, max_size=8))
def test_every_line_of_a_file_is_one_of_conda_in_the_spec(lines):
    import yaml

    spec = parse_condafile(yaml.safe_dump({"dependencies": lines})).spec
    read = [parse_line(line) for line in spec.requirements]
    assert {one.kind for one in read} <= {"conda"}
    asked = {line.rpartition("::")[2].split("=")[0].split(" ")[0] for line in lines}
    assert {one.name for one in read} - {"python"} == asked - {"python"}


@given(st.lists(LINES, max_size=8))
def test_importing_what_was_imported_changes_nothing(lines):
    import yaml

    spec = parse_condafile(yaml.safe_dump({"dependencies": lines})).spec
    again = parse_condafile(yaml.safe_dump({"dependencies": list(spec.requirements)})).spec
    assert again.requirements == spec.requirements
    assert parse_spec(spec.to_json()) == spec


@given(st.dictionaries(st.sampled_from(["name", "channels", "dependencies", "platforms"]), YAML))
def test_any_yaml_is_a_spec_or_an_error_of_ours(content):
    import yaml

    try:
        read = parse_condafile(yaml.safe_dump(content))
    except SpecError:
        return
    assert parse_spec(read.spec.to_json()) == read.spec


@given(st.text(max_size=200))
def test_any_text_is_a_spec_or_an_error_of_ours(text):
    for whole in (text, f"dependencies:\n- {text}", f"dependencies:\n- pip:\n  - {text}"):
        with suppress(SpecError):
            parse_condafile(whole)


WORDS = st.lists(
    st.sampled_from(["conda-forge", "bioconda", "wheel", "sdist", "nixpkgs", "conda"]),
    min_size=1,
    max_size=4,
    unique=True,
)


@given(
    st.lists(NAMES | st.sampled_from(["a * mkl", "nixpkgs#git", "b[x]"]), max_size=6),
    WORDS,
    st.dictionaries(
        st.sampled_from(["conda-forge", "bioconda", "conda", "nixpkgs"]), st.sets(NAMES)
    ),
)
def test_choice_keeps_the_lines_in_their_order_and_says_why(lines, order, found):
    read = [parse_line(line) for line in lines]
    orders = parse_orders({"_default": ",".join(order)})
    try:
        chosen = choose(read, orders, found)
    except ResolutionError as error:
        reasons = error.details
    else:
        reasons = order
        _check_chosen(read, chosen)
    assert len(reasons) == len(order)
    assert set(names_to_ask(read, orders)) <= set(order) - {"wheel", "sdist", "nixpkgs"}


def _check_chosen(read, chosen):
    assert len(chosen.requirements) == len(read)
    for before, after in zip(read, chosen.requirements, strict=True):
        if before.kind != "pypi":
            assert after == before
        else:
            assert after.name.rpartition(".")[2].replace("_", "-").lower() in (
                before.canonical_name,
                before.canonical_name.rpartition(".")[2],
                before.name.lower().rpartition(".")[2],
            )


@given(
    st.dictionaries(NAMES | st.just("_default"), st.text(alphabet="abcdehlnw ,-/_", max_size=30))
)
def test_providers_are_read_or_refused(providers):
    try:
        spec = parse_spec({"version": 1, "requirements": [], "providers": providers})
        orders = parse_orders(spec.providers)
    except NixError:
        return
    assert set(orders.channels).isdisjoint({"wheel", "sdist", "conda", "nixpkgs"})
