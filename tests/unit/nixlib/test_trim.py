"""What of a standard library enters the store."""

import pytest

from nixlib.interpreters.trim import is_kept, minor_of


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("os.py", True),
        ("json/decoder.py", True),
        ("ensurepip/_bundled/pip-23.2.1-py3-none-any.whl", True),
        ("lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so", True),
        ("test", False),
        ("unittest/test", False),
        ("idlelib/idle_test", False),
        ("site-packages", False),
        ("dist-packages", False),
        ("json/__pycache__", False),
        ("config-3.11-x86_64-linux-gnu", False),
        ("config.py", True),
        ("sitecustomize.py", False),
        ("EXTERNALLY-MANAGED", False),
        ("lib-dynload/_testcapi.cpython-311-x86_64-linux-gnu.so", False),
        ("unittest/sitecustomize.py", True),
    ],
)
def test_is_kept_drops_tests_packages_and_what_belongs_to_the_machine(path, kept):
    assert is_kept(path) is kept


@pytest.mark.parametrize("version", ["3.11.7", "3.11.0rc1", "3.11"])
def test_minor_of_has_two_numbers(version):
    assert minor_of(version) == "3.11"
