import sys

import pytest

from nixlib.resolvers.indexes import Index, Indexes
from nixlib.resolvers.uv import LegacyMetadata, Problem, previous_lock, project_toml, uv_toml

tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")

INDEXES = Indexes(
    (Index("https://corp.example/simple?t=1", ("me", "s3cr3t")), Index("https://pypi.org/simple")),
    settings={"index-strategy": "first-index"},
)


def test_project_is_for_one_interpreter_and_system():
    problem = Problem(("pandas==1.5",), "3.8.18", "aarch64-darwin", constraints=("numpy<=1.23.5",))
    table = tomllib.loads(project_toml(problem))
    assert table["project"]["dependencies"] == ["pandas==1.5"]
    marker = "python_full_version == '3.8.18' and sys_platform == 'darwin' and platform_machine == 'arm64'"
    assert table["tool"]["uv"]["environments"] == [marker]
    assert table["tool"]["uv"]["constraint-dependencies"] == ["numpy<=1.23.5"]


def test_configuration_has_indexes_in_order_and_no_credentials():
    problem = Problem(
        (),
        "3.11.7",
        "x86_64-linux",
        exclude_newer="2023-01-01T00:00:00Z",
        exempt=frozenset({"a"}),
        legacy=(LegacyMetadata("x", "1", ("pytz",), ">=3"),),
    )
    text = uv_toml(problem, INDEXES)
    table = tomllib.loads(text)
    assert [item["url"] for item in table["index"]] == [
        "https://corp.example/simple?t=1",
        "https://pypi.org/simple",
    ]
    assert [item["default"] for item in table["index"]] == [False, True]
    assert (table["no-build"], table["index-strategy"]) == (True, "first-index")
    assert table["exclude-newer-package"] == {"a": False}
    assert table["dependency-metadata"][0]["requires-dist"] == ["pytz"]
    assert "s3cr3t" not in text


def test_previous_lock_names_every_index_without_its_query():
    text = previous_lock(Problem((), "3.11.7", "x86_64-linux", preferences={"a": "1"}), INDEXES)
    sources = [item["source"]["registry"] for item in tomllib.loads(text)["package"]]
    assert sources == ["https://corp.example/simple", "https://pypi.org/simple"]
