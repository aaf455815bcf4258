"""How one requirement line is read."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nixlib.errors import RequirementError
from nixlib.requirements import CondaRequirement, NixpkgsRequirement, PypiRequirement, parse_line

DATA = Path(__file__).parents[2] / "data" / "requirements"
ROWS = [
    row for name in ("forms", "mach-nix") for row in json.loads((DATA / f"{name}.json").read_text())
]
KINDS = {"pypi": PypiRequirement, "conda": CondaRequirement, "nixpkgs": NixpkgsRequirement}


@pytest.mark.parametrize("row", [row for row in ROWS if "kind" in row], ids=lambda row: row["line"])
def test_line_is_read_as_its_form_says(row):
    read = parse_line(row["line"])
    assert isinstance(read, KINDS[row["kind"]])
    assert {
        "line": row["line"],
        "kind": read.kind,
        "name": read.name,
        "extras": list(read.extras),
        "version": read.version,
        "build": read.build,
        "channel": read.channel,
        "marker": read.marker,
    } == {"extras": [], **dict.fromkeys(("version", "build", "channel", "marker")), **row}


@pytest.mark.parametrize("row", [row for row in ROWS if "kind" in row], ids=lambda row: row["line"])
def test_what_was_read_prints_as_a_line_that_is_read_the_same(row):
    read = parse_line(row["line"])
    assert parse_line(str(read)) == read


@pytest.mark.parametrize(
    "row", [row for row in ROWS if "refused" in row], ids=lambda row: row["line"]
)
def test_line_is_refused_with_the_reason(row):
    with pytest.raises(RequirementError) as caught:
        parse_line(row["line"], 2)
    assert row["refused"] in caught.value.summary
    assert caught.value.key == "nixenv.requirements[1]"


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if "two ways" in row.get("refused", "")],
    ids=lambda row: row["line"],
)
def test_both_readings_are_shown(row):
    with pytest.raises(RequirementError) as caught:
        parse_line(row["line"])
    assert len(caught.value.details) == 2


@pytest.mark.parametrize(
    ("line", "readings"),
    [
        ("requests[socks,test] 2.24.0", ("requests[socks,test]==2.24.0", "requests 2.24.0")),
        ("x =2 ; os_name == 'nt'", ("x==2.*; os_name == 'nt'", "x 2.*")),
        ("numpy =1.26 py311_0", ("numpy ==1.26 py311_0", "numpy 1.26.* py311_0")),
        ("nixpkgs # graphviz", ("nixpkgs#graphviz", "nixpkgs")),
    ],
)
def test_each_reading_is_a_line_that_is_read(line, readings):
    with pytest.raises(RequirementError) as caught:
        parse_line(line)
    assert (
        tuple(detail.rpartition(": `")[2].rstrip("`") for detail in caught.value.details)
        == readings
    )
    for reading in readings:
        parse_line(reading)


COMMIT = "4b1164c3215f018c4442463a27689d973cffd750"


def test_attribute_has_repository_and_revision():
    assert parse_line(f"nixpkgs/{COMMIT}#a") == NixpkgsRequirement("a", COMMIT)
    assert parse_line("github:o/r/dev#a.b") == NixpkgsRequirement("a.b", "dev", "o/r")
    assert parse_line(f"nixpkgs/{COMMIT}#a").is_commit
    assert not parse_line("nixpkgs/nixos-24.05#a").is_commit
    assert not parse_line("nixpkgs#a").is_commit


def test_match_spec_has_subdir_and_build_number():
    assert parse_line("c/linux-64::a[build_number=2]") == CondaRequirement(
        "a", channel="c", subdir="linux-64", build_number="==2"
    )


def test_pypi_name_is_kept_and_known_by_its_canonical_one():
    read = parse_line("Zest.Releaser_x")
    assert (read.name, read.canonical_name) == ("Zest.Releaser_x", "zest-releaser-x")


HOSTILE = [
    'nixpkgs#a"; import ./evil',
    "nixpkgs#${builtins.readFile /etc/passwd}",
    "nixpkgs#a' --option sandbox false",
    "nixpkgs#--option",
    "nixpkgs#a b",
    "nixpkgs#a..b",
    "nixpkgs#../../a",
    "nixpkgs#a\nb",
    "nixpkgs#a\x00b",
    "nixpkgs#é",
    "nixpkgs/--option#a",
    "nixpkgs/a..b#a",
    "nixpkgs/../x#a",
    "nixpkgs/x?dir=y#a",
    "nixpkgs/x.lock#a",
    "nixpkgs/$(id)#a",
    "github:../repo#a",
    "github:owner/..#a",
    "github:owner/--option#a",
    "github:-o/repo#a",
    "github:owner/repo?host=evil.example#a",
    "github:owner/repo/a b#a",
    "github:o@evil.example/r#a",
    "git+https://evil.example/x#a",
    'conda-forge::a"b',
    "conda-forge::a 1 ${x}",
    "conda-forge::a 1 'b'",
    "conda-forge::a 1 --option",
    "conda-forge::--option",
    "conda-forge::a 1 b;id",
    "../x::a",
    "x/../y::a",
    "a$(id)::b",
    "https://evil.example/c?x::a",
    "https://evil.example/../c::a",
    "file://host/../c::a",
    "ftp://evil.example/c::a",
    'a[version="1"; id]',
    "a[build=${x}]",
    "a[build='\"']",
    "a[channel=../x]",
    "a[subdir=../../x]",
    "a[url=https://evil.example/a.conda]",
    "a[build_number='1; id']",
    "a 1 b\u202ec",
    "a 1 " + "b" * 200,
    "a " + "(" * 900 + "|1",
    "a" * 100_000,
    "nixpkgs#" + "a." * 50_000 + "a",
    "conda-forge::a 1 " + "*" * 100_000,
]


@pytest.mark.parametrize("line", HOSTILE, ids=lambda line: ascii(line)[:40])
def test_hostile_line_is_refused_in_one_sentence(line):
    with pytest.raises(RequirementError) as caught:
        parse_line(line, 1)
    assert caught.value.summary.isprintable()
    assert len(caught.value.summary) < 400
    assert caught.value.summary.startswith("requirement 1 `")


@pytest.mark.parametrize(
    "line",
    [
        "https://me:t0k3n@h.example/c::a",
        "https://h.example/t/t0k3n/c::a",
        "a[channel='https://me:t0k3n@h.example/c']",
        "a[channel='https://h.example/t/t0k3n/c']",
        "a[channel='https://h.example/c?key=t0k3n']",
        "a @ https://me:t0k3n@[h.example/a.whl",
        "https://me:t0k3n@[h.example/a.whl",
    ],
)
def test_secret_of_a_url_is_refused_and_not_shown(line):
    with pytest.raises(RequirementError) as caught:
        parse_line(line)
    assert "t0k3n" not in caught.value.render()
    assert "t0k3n" not in repr(caught.value.fields)


def test_wheel_url_is_read_without_its_secrets():
    read = parse_line("x @ https://me:pw@h.example/x-1-py3-none-any.whl?t=1#f")
    assert read.direct.url == "https://h.example/x-1-py3-none-any.whl"


def test_only_match_specs_pay_for_their_reader():
    program = (
        "import sys; from nixlib.requirements import parse_line; import nixlib.resolvers.requirements\n"
        "for line in ('numpy[x]>=1; os_name == \"nt\"', 'nixpkgs#a.b'): parse_line(line)\n"
        "print('rattler' in sys.modules); parse_line('a 1'); print('rattler' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("host#cc", '`"build-inputs": ["host#cc"]`'),
        ("/home/me/lib", "`./`"),
        ("--extra-index-url https://h.example/simple", "`nixenv.indexes`"),
    ],
)
def test_what_belongs_elsewhere_is_refused_with_where(line, hint):
    with pytest.raises(RequirementError) as caught:
        parse_line(line)
    assert hint in caught.value.hint


def test_index_is_no_hint_for_other_options_of_pip():
    with pytest.raises(RequirementError) as caught:
        parse_line("-r requirements.txt")
    assert caught.value.hint == ""
