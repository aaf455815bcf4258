from nixlib.resolvers.metadata import parse_metadata

TEXT = """Metadata-Version: 2.1
Name: pandas
Requires-Python: >=3.8
Provides-Extra: test
Requires-Dist: pytz (>=2011k)
Requires-Dist: numpy (>=1.20.3) ; python_version < "3.10"
Requires-Dist: six>=1.5 ; python_version>'3' and broken
Requires-Dist: pytest (>=5.1) ; extra == 'test'
Requires-Dist: ???

Requires-Dist: not-a-header
"""


def test_metadata_is_read_leniently_and_says_what_was_mended():
    found = parse_metadata(TEXT)
    assert [str(item) for item in found.requires] == [
        "pytz",
        'numpy>=1.20.3; python_version < "3.10"',
        "six",
        'pytest>=5.1; extra == "test"',
    ]
    assert found.mended == ("pytz (>=2011k)", "six>=1.5 ; python_version>'3' and broken", "???")
    assert (found.requires_python, found.extras) == (">=3.8", ("test",))


def test_metadata_knows_which_dependencies_count():
    found = parse_metadata(TEXT)
    environment = {"python_version": "3.11", "extra": ""}
    assert [item.name for item in found.active(environment)] == ["pytz", "six"]
    assert [item.name for item in found.active(environment, ["test"])] == ["pytz", "six", "pytest"]


def test_header_lines_may_be_folded_and_end_with_carriage_returns():
    found = parse_metadata("Requires-Dist: a\r\n  >=1\r\nName: x\r\n\r\nRequires-Dist: b\r\n")
    assert [str(item) for item in found.requires] == ["a>=1"]
