"""Generated specs and locks, shared by the laws that are about them."""

import string

from hypothesis import strategies as st

from nixlib.lock import Artifact, Lock, LockedInterpreter, LockedPackage
from nixlib.spec import SYSTEMS, Spec

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
packages = st.builds(
    LockedPackage,
    name=name,
    version=st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}", fullmatch=True),
    wheels=st.lists(artifacts, max_size=4, unique=True)
    .map(lambda ws: tuple(sorted(ws, key=str)))
    .map(lambda ws: tuple(sorted(ws))),
    requires=st.sets(name, max_size=4).map(lambda s: tuple(sorted(s))),
    systems=some_systems,
    held=st.one_of(st.just(""), line),
)
locks = st.builds(
    Lock,
    spec=sha256,
    interpreter=st.builds(
        LockedInterpreter,
        version=st.just("3.11.7"),
        source=st.sampled_from(["host", "standalone"]),
        artifacts=st.dictionaries(st.sampled_from(SYSTEMS), artifacts, max_size=4),
    ),
    packages=st.lists(packages, max_size=5).map(lambda ps: tuple(sorted(ps))),
    systems=systems,
    notes=st.lists(line, max_size=2).map(tuple),
)
specs = st.builds(
    Spec,
    python=st.sampled_from([None, "3.11", "3.8.18", ">=3.10,<3.13"]),
    requirements=st.lists(line, max_size=5).map(tuple),
    era=st.booleans(),
    strict=st.booleans(),
    systems=systems,
    collisions=st.dictionaries(name, name, max_size=3),
)
