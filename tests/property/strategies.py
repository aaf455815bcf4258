"""Generated specs and locks, shared by the laws that are about them."""

import string
from base64 import b64encode
from dataclasses import replace

from hypothesis import strategies as st

from nixlib.lock import (
    Artifact,
    Lock,
    LockedAttribute,
    LockedConda,
    LockedCondaPackage,
    LockedGroup,
    LockedInterpreter,
    LockedPackage,
    LockedSource,
)
from nixlib.spec import PRIORITIES, SOURCES, SYSTEMS, PrivateGroup, Spec
from nixlib.spec.private import PROCESS, is_group_name

line = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["C"]),
    min_size=1,
    max_size=40,
)
name = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
sha256 = st.binary(min_size=32, max_size=32).map(bytes.hex)
systems = st.sets(st.sampled_from(SYSTEMS), min_size=1).map(lambda s: tuple(sorted(s)))
some_systems = st.sets(st.sampled_from(SYSTEMS)).map(lambda s: tuple(sorted(s)))
artifacts = st.builds(
    lambda file, sha, size: Artifact(f"https://example.org/{file}.whl", sha, size),
    name,
    sha256,
    st.integers(0, 10**12),
)
sri = st.binary(min_size=32, max_size=32).map(lambda b: f"sha256-{b64encode(b).decode()}")
sources = st.one_of(
    st.none(),
    st.builds(
        LockedSource,
        kind=st.just("sdist"),
        artifact=artifacts,
        subdirectory=st.sampled_from(["", "python"]),
        build=st.sets(name.map(lambda n: f"{n} 1.0"), max_size=3).map(lambda s: tuple(sorted(s))),
    ),
    st.builds(
        LockedSource,
        kind=st.just("git"),
        location=st.just("https://example.org/a.git"),
        commit=st.binary(min_size=20, max_size=20).map(bytes.hex),
        tree=sri,
    ),
    st.builds(LockedSource, kind=st.just("path"), location=st.just("../mine"), tree=sri),
    st.builds(LockedSource, kind=st.just("editable"), location=st.just("./mine")),
)
packages = st.builds(
    LockedPackage,
    name=name,
    version=st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}", fullmatch=True),
    wheels=st.lists(artifacts, max_size=4, unique=True)
    .map(lambda ws: tuple(sorted(ws, key=str)))
    .map(lambda ws: tuple(sorted(ws))),
    source=sources,
    requires=st.sets(name, max_size=4).map(lambda s: tuple(sorted(s))),
    systems=some_systems,
    held=st.one_of(st.just(""), line),
)
conda_packages = st.builds(
    LockedCondaPackage,
    name=name,
    version=st.just("1.2.0"),
    build=st.sampled_from(["0", "py311h1_0", "mkl"]),
    subdir=st.sampled_from(["noarch", "linux-64"]),
    channel=st.just("https://conda.example.org/conda-forge"),
    artifact=artifacts,
    depends=st.sets(name, max_size=3).map(lambda s: tuple(sorted(s))),
    noarch=st.sampled_from(["", "python", "generic"]),
    site=st.sampled_from(["", "lib/python3.11/site-packages"]),
    pypi=st.one_of(st.just(""), name),
    systems=some_systems,
)
condas = st.builds(
    LockedConda,
    packages=st.lists(conda_packages, max_size=4).map(lambda ps: tuple(sorted(ps))),
    channels=st.just(("https://conda.example.org/conda-forge",)),
    virtual=st.dictionaries(st.sampled_from(SYSTEMS), st.just(("__cuda=12.4",)), max_size=2),
    needs=st.dictionaries(st.sampled_from(SYSTEMS), st.just(("__cuda >=12",)), max_size=2),
)
store_names = name.map(lambda n: f"{'0' * 32}-{n}")
attributes = st.builds(
    LockedAttribute,
    attribute=name,
    source=st.sampled_from(["nixpkgs", "github:owner/repo"]),
    revision=st.binary(min_size=20, max_size=20).map(bytes.hex),
    tree=sri,
    role=st.sampled_from(["requirement", "build", "library", "interpreter"]),
    branch=st.sampled_from(["", "nixos-24.11", "refs/heads/a"]),
    python=st.sampled_from(["", "3.12.4"]),
    outputs=st.dictionaries(
        st.sampled_from(SYSTEMS),
        st.lists(store_names, min_size=1, max_size=2).map(tuple),
        max_size=2,
    ),
)
group_names = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True).filter(is_group_name)
interpreters = st.builds(
    LockedInterpreter,
    version=st.just("3.11.7"),
    source=st.sampled_from(SOURCES),
    artifacts=st.dictionaries(st.sampled_from(SYSTEMS), artifacts, max_size=4),
)
some_packages = st.lists(packages, max_size=2).map(lambda ps: tuple(sorted(ps)))
words = st.sets(name, max_size=3).map(lambda s: tuple(sorted(s)))
locked_groups = st.one_of(
    st.builds(
        LockedGroup,
        name=group_names,
        packages=some_packages,
        shared=words,
        package=st.one_of(st.just(""), name),
    ),
    st.builds(
        LockedGroup,
        name=group_names,
        process=st.builds(
            Lock, spec=sha256, interpreter=interpreters, packages=some_packages, systems=systems
        ),
    ),
)


@st.composite
def lists_of_groups(draw):
    """Groups of a lock; each may be lent what an earlier one has."""
    earlier: list[LockedGroup] = []
    for group in draw(st.lists(locked_groups, max_size=3, unique_by=lambda one: one.name)):
        offers = {package.name: lender.name for lender in earlier for package in lender.packages}
        if offers and not group.process:
            lent = draw(st.sets(st.sampled_from(sorted(offers)), max_size=2))
            earlier.append(replace(group, lent={one: offers[one] for one in lent}))
        else:
            earlier.append(group)
    return tuple(earlier)


locks = st.builds(
    Lock,
    spec=sha256,
    interpreter=interpreters,
    packages=st.lists(packages, max_size=5).map(lambda ps: tuple(sorted(ps))),
    systems=systems,
    build_packages=st.lists(packages, max_size=2).map(lambda ps: tuple(sorted(ps))),
    conda=condas,
    attributes=st.lists(attributes, max_size=2, unique_by=lambda a: a.attribute).map(
        lambda found: tuple(sorted(found))
    ),
    private=lists_of_groups(),
    choices=st.dictionaries(name, line, max_size=2),
    substitutions=st.dictionaries(st.sampled_from(["blas", "cuda"]), line, max_size=2),
    notes=st.lists(line, max_size=2).map(tuple),
)
some_lines = st.lists(line, min_size=1, max_size=3).map(tuple)
groups = st.one_of(
    st.builds(PrivateGroup, name=group_names, requirements=some_lines, singleton=words),
    st.builds(
        PrivateGroup,
        name=group_names,
        requirements=st.one_of(st.just(()), some_lines),
        package=name,
    ),
    st.builds(
        PrivateGroup,
        name=group_names,
        requirements=some_lines,
        mode=st.just(PROCESS),
        python=st.sampled_from([None, "3.8"]),
    ),
)
specs = st.builds(
    Spec,
    python=st.sampled_from([None, "3.11", "3.8.18", ">=3.10,<3.13"]),
    requirements=st.lists(line, max_size=5).map(tuple),
    era=st.booleans(),
    strict=st.booleans(),
    systems=systems,
    collisions=st.dictionaries(name, name, max_size=3),
    channels=st.lists(st.sampled_from(["conda-forge", "./channel"]), max_size=2).map(tuple),
    channel_priority=st.sampled_from(PRIORITIES),
    providers=st.dictionaries(name, st.sampled_from(["wheel", "conda-forge, wheel"]), max_size=2),
    variants=st.dictionaries(
        st.sampled_from(["blas", "cuda"]), st.sampled_from(["mkl", "12.4", None]), max_size=2
    ),
    build_inputs=st.lists(st.just("nixpkgs#openssl"), max_size=1).map(tuple),
    private=st.lists(groups, max_size=2, unique_by=lambda one: one.name).map(
        lambda found: tuple(sorted(found, key=lambda one: one.name))
    ),
)
