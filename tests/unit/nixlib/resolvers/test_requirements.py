import pytest

from nixlib.errors import RequirementError
from nixlib.resolvers.requirements import (
    parse_requirement,
    parse_requirements,
    public_line,
    public_url,
)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "-r https://evil.example/list.txt",
        "--index-url https://evil.example",
        "-e .",
        "git+https://host.example/x.git",
        "x @ git+https://host.example/x.git",
        "x @ file:///etc/passwd.whl",
        "x @ /etc/passwd.whl",
        "./x-1-py3-none-any.whl",
        "/tmp/x-1-py3-none-any.whl",
        "~/x-1-py3-none-any.whl",
        "C:\\x-1-py3-none-any.whl",
        "https://host.example/x-1-py3-none-any.whl",
        "x @ ftp://host.example/x-1-py3-none-any.whl",
        'x"]\nno-build = false\n["',
        "x\u0000y",
        "x\u202ey",
        "x ; os.system('true')",
        "x==1 --hash=sha256:00",
        "$(true)",
        "x" * 2000,
    ],
    ids=repr,
)
def test_requirement_is_refused(line):
    with pytest.raises(RequirementError) as caught:
        parse_requirement(line, 3)
    assert caught.value.key == "nixenv.requirements[2]"
    assert caught.value.summary.startswith("requirement 3 `")
    assert "\n" not in caught.value.summary


def test_sdist_url_is_refused_with_the_reason():
    with pytest.raises(RequirementError) as caught:
        parse_requirement("x @ https://me:pw@host.example/x-1.tar.gz?token=t0k3n")
    assert "sdists are not supported yet" in caught.value.summary
    assert "pw" not in caught.value.render()
    assert "t0k3n" not in caught.value.render()


def test_requirements_keep_number_and_meaning():
    pandas, wheel = parse_requirements(
        [
            "pandas[excel] ==1.5 ; python_version > '3.8'",
            "X_y @ https://u:p@h.example/x_y-1-py3-none-any.whl",
        ]
    )
    assert (pandas.number, pandas.name, pandas.requirement.extras) == (1, "pandas", {"excel"})
    assert (wheel.number, wheel.name) == (2, "x-y")
    assert wheel.text == "X_y @ https://h.example/x_y-1-py3-none-any.whl"


@pytest.mark.parametrize(
    ("line", "capped"),
    [
        ("x", False),
        ("x>=1", False),
        ("x!=2", False),
        ("x>=1,!=2", False),
        ("x==1", True),
        ("x===1", True),
        ("x~=1.2", True),
        ("x<2", True),
        ("x<=2", True),
        ("x>=1,<2", True),
        ("x @ https://h.example/x-1-py3-none-any.whl", True),
    ],
)
def test_requirement_knows_its_upper_bound(line, capped):
    assert parse_requirement(line).capped is capped


def test_public_url_has_no_secret():
    assert public_url("https://me:pw@h.example:8443/a/b?t=1#frag") == "https://h.example:8443/a/b"
    assert public_line("from `https://me:pw@h.example/a?t=1`") == "from `https://h.example/a`"


@pytest.mark.parametrize("line", ["pandas===", "pandas>=1,==="])
def test_missing_version_is_refused(line):
    with pytest.raises(RequirementError):
        parse_requirement(line, 1)


@pytest.mark.parametrize(
    ("line", "source", "hint"),
    [
        ("pandas 1.5", "conda", "`pandas==1.5` asks PyPI for it"),
        ("pandas =1.5", "conda", "`pandas==1.5.*` asks PyPI for it"),
        ("openjdk =8|11", "conda", ""),
        ("conda-forge::blas * mkl*", "conda", ""),
        ("conda-forge::blas", "conda", ""),
        ("nixpkgs#graphviz", "nixpkgs", ""),
    ],
)
def test_source_that_is_not_resolved_yet_is_refused_as_what_it_is(line, source, hint):
    with pytest.raises(RequirementError) as caught:
        parse_requirements(["numpy", line])
    assert caught.value.summary.startswith(f"requirement 2 `{line}` is a")
    assert caught.value.summary.endswith(f"{source} is not resolved yet")
    assert (caught.value.hint, caught.value.key) == (hint, "nixenv.requirements[1]")
