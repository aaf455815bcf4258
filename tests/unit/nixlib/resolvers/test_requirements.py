import pytest

from nixlib.errors import RequirementError
from nixlib.resolvers.requirements import (
    parse_requirement,
    parse_requirements,
    public_line,
    public_url,
)
from nixlib.sources.source import SourceWanted


@pytest.mark.parametrize(
    "line",
    [
        "",
        "-r https://evil.example/list.txt",
        "--index-url https://evil.example",
        "-e /srv/x",
        "-e ~/x",
        "./x/../../y",
        "x @ ./lib/../../y",
        "./x-1.tar.gz",
        "./$(id)",
        "../x`id`",
        "x @ git+https://host.example/x.git@abcdef1",
        "x @ git+https://host.example/x.git@--upload-pack=id",
        "x @ git+https://host.example/x.git@a..b",
        "x @ git+file:///srv/x.git@v1",
        "x @ git+ssh://git@host.example/x.git@v1",
        "x @ https://host.example/x.exe",
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


def test_refused_url_is_shown_without_its_secrets():
    with pytest.raises(RequirementError) as caught:
        parse_requirement("x @ https://me:pw@host.example/x-1.exe?token=t0k3n")
    assert "which is neither a wheel nor a source archive" in caught.value.summary
    assert "pw" not in caught.value.render()
    assert "t0k3n" not in caught.value.render()


def test_repository_without_a_commit_is_refused_with_the_form_that_has_one():
    with pytest.raises(RequirementError) as caught:
        parse_requirement("x @ git+https://t0k3n@host.example/x.git#subdirectory=lib")
    assert caught.value.hint == "`NAME @ git+https://host.example/x.git@COMMIT`, or a tag"


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


COMMIT = "4b1164c3215f018c4442463a27689d973cffd750"


@pytest.mark.parametrize(
    ("line", "text", "name", "source"),
    [
        (
            "X_y[a] @ https://u:p@h.example/x_y-1.tar.gz?t=1#subdirectory=lib ; os_name == 'posix'",
            'X_y[a] @ https://h.example/x_y-1.tar.gz#subdirectory=lib ; os_name == "posix"',
            "x-y",
            SourceWanted(
                "sdist",
                url="https://u:p@h.example/x_y-1.tar.gz?t=1",
                subdirectory="lib",
                name="x-y",
            ),
        ),
        (
            f"x @ git+https://t0k3n@h.example/o/x.git@{COMMIT}",
            f"x @ git+https://h.example/o/x.git@{COMMIT}",
            "x",
            SourceWanted("git", location="https://h.example/o/x.git", commit=COMMIT, name="x"),
        ),
        (
            "x @ git+https://h.example/o/x@refs/tags/v1#subdirectory=a/b",
            "x @ git+https://h.example/o/x@refs/tags/v1#subdirectory=a/b",
            "x",
            SourceWanted(
                "git",
                location="https://h.example/o/x",
                commit="refs/tags/v1",
                subdirectory="a/b",
                name="x",
            ),
        ),
        ("x @ ./a/", "x @ ./a", "x", SourceWanted("path", location="./a", name="x")),
        ("./a//b", "./a/b", "./a/b", SourceWanted("path", location="./a/b")),
        ("..", "..", "..", SourceWanted("path", location="..")),
        ("-e ../lib[t]", "-e ../lib[t]", "../lib", SourceWanted("editable", location="../lib")),
        ("--editable=.", "-e .", ".", SourceWanted("editable", location=".")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_source_is_wanted_where_the_line_says(line, text, name, source):
    read = parse_requirement(line)
    assert (read.text, read.name, read.source) == (text, name, source)
    assert parse_requirement(read.text).text == read.text
    assert (read.is_direct, read.capped) == (True, True)


def test_opened_source_is_asked_for_by_name_and_version():
    opened = parse_requirement("-e ./lib[t] ; os_name == 'posix'").opened("x-y", "1.2")
    assert (opened.name, opened.text) == ("x-y", '-e ./lib[t] ; os_name == "posix"')
    assert str(opened.requirement) == 'x-y[t]==1.2; os_name == "posix"'


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
def test_line_of_another_ecosystem_is_refused_as_what_it_is(line, source, hint):
    with pytest.raises(RequirementError) as caught:
        parse_requirements(["numpy", line])
    assert caught.value.summary.startswith(f"requirement 2 `{line}` is a")
    assert source in caught.value.summary
    assert caught.value.summary.endswith("which no Python index has an answer to")
    assert (caught.value.hint, caught.value.key) == (hint, "nixenv.requirements[1]")
