"""What people read where nothing fits: the notebook's own line first, then the solver's tree."""

import pytest
from conda_records import ask, record, write_records

from nixlib.errors import ResolutionError

MARCH_2024 = 1709251200000


@pytest.fixture(autouse=True)
def nobodys_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CONDA_OVERRIDE_GLIBC", "2.31")
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", "")


@pytest.fixture
def refused(tmp_path):
    channel = write_records(
        tmp_path / "channel",
        record("python", "3.11.7"),
        record("tool", "1.0", subdir="noarch", depends=["python >=3.11,<3.12"]),
        record("low", "1.0"),
        record("low", "2.0"),
        record("needs-old", "1.0", depends=["low <2"]),
        record("needs-new", "1.0", depends=["low >=2"]),
        record("deep", "1.0", depends=["needs-gone"]),
        record("needs-gone", "1.0", depends=["gone >=3"]),
        record("gpu", "1.0", "cuda124_0", depends=["__cuda >=12"]),
        record("gpu", "1.0", "cpu_0"),
        record("libc", "1.0", depends=["__glibc >=2.34"]),
        record("fresh", "1.0", time=MARCH_2024),
        record("blas", "1.0", "mkl"),
        record("blas", "1.0", "openblas"),
        record("sums", "1.0", depends=["blas * openblas"]),
        record("limits", constrains=["low <2"]),
    )

    def resolve(*lines, channels=(), **more):
        with pytest.raises(ResolutionError) as caught:
            ask(tmp_path, [channel, *channels], *lines, notebook="a.ipynb", **more)
        return caught.value

    return resolve


@pytest.mark.parametrize(
    ("lines", "more", "reason"),
    [
        (("low *", "nosuch *"), {}, "requirement 2 `nosuch *`: no channel has a package `nosuch` for x86_64-linux"),
        (("low 9.*",), {}, "requirement 1 `low 9.*`: there is no `low` that is `9.*` for x86_64-linux"),
        (("low * x*",), {}, "requirement 1 `low * x*`: there is no `low` that is `* x*` for x86_64-linux"),
        (("tool *", "needs-old *", "needs-new *"), {}, "requirement 2 `needs-old *` does not fit together with requirement 3 `needs-new *`"),
        (("low 2.*", "limits *"), {}, "requirement 1 `low 2.*` does not fit together with requirement 2 `limits *`"),
        (("tool *", "deep *"), {}, "requirement 2 `deep *` needs `gone >=3`, which no channel has for x86_64-linux"),
        (("gpu * cuda*",), {}, "requirement 1 `gpu * cuda*` needs the virtual package `__cuda >=12`, and x86_64-linux is solved for none"),
        (("gpu * cuda*",), {"variants": {"cuda": "11.8"}}, "requirement 1 `gpu * cuda*` needs the virtual package `__cuda >=12`, and x86_64-linux is solved for `__cuda=11.8`"),
        (("gpu *",), {"variants": {"cuda": "11.8"}}, "requirement 1 `gpu *` needs the virtual package `__cuda >=12`, and x86_64-linux is solved for `__cuda=11.8`"),
        (("libc *",), {}, "requirement 1 `libc *` needs the virtual package `__glibc >=2.34`, and x86_64-linux is solved for `__glibc=2.31`"),
        (("low *", "fresh *"), {"exclude_newer": "2023-01-01"}, "requirement 2 `fresh *` has no version that is not newer than 2023-01-01"),
        (("sums *",), {"variants": {"blas": "mkl"}}, 'requirement 1 `sums *` does not fit the variants `{"blas": "mkl"}`'),
        (("tool *",), {"python": "3.12"}, "requirement 1 `tool *` cannot be met with Python 3.12"),
    ],
)  # fmt: skip
def test_first_line_names_the_notebooks_own_requirement(refused, lines, more, reason):
    error = refused(*lines, **more)
    assert error.summary == f"cannot resolve `a.ipynb`: {reason}"
    assert error.requirement in lines
    assert error.notebook == "a.ipynb"
    assert error.details


def test_lines_are_numbered_as_in_the_notebook(refused):
    error = refused("low *", "nosuch *", numbers=(2, 7))
    assert "requirement 7 `nosuch *`" in error.summary


def test_tree_is_the_evidence(refused):
    error = refused("needs-old *", "needs-new *")
    assert any("needs-new 1.0 would require" in line for line in error.details)


def test_missing_gpu_is_hinted_at(refused):
    assert refused("gpu * cuda*").hint.startswith('`"variants": {"cuda": "12"}`')


def test_no_pattern_of_ours_is_shown(refused):
    error = refused("sums *", variants={"blas": "mkl"})
    assert "[_.+" not in error.render()
    assert "the constraint blas" in error.render()


def test_strict_priority_is_hinted_at(refused, tmp_path):
    later = write_records(
        tmp_path / "later", record("low", "9.0"), record("newest", depends=["low >=9"])
    )
    error = refused("newest *", channels=[later])
    assert error.summary.endswith(
        "requirement 1 `newest *` cannot be met with strict channel priority"
    )
    assert "flexible" in error.hint


def test_versions_that_there_are_are_shown(refused):
    assert refused("low 9.*").details[0] == "the channels have 1.0, 2.0"


def test_builds_that_there_are_are_shown(refused):
    error = refused("blas * openblas", variants={"blas": "mkl"})
    assert error.details[0] == "`blas 1.0` has the builds `mkl`, `openblas`"
