import json

import pytest

from nixlib.resolvers.simple import file_version, parse_page

DIGEST = "a" * 64


def test_html_page_is_read_with_every_attribute():
    page = f"""<!DOCTYPE html><html><body><h1>Links</h1>
    <a href="../../files/x-1-py3-none-any.whl#sha256={DIGEST}" data-requires-python="&gt;=3.8"
       data-core-metadata="sha256=00" data-upload-time="2020-01-02T03:04:05Z">x-1-py3-none-any.whl</a><br/>
    <A HREF='https://f.example/x-2.tar.gz' data-yanked>x-2.tar.gz</A></body></html>"""
    first, second = parse_page(page.encode(), "text/html", "https://h.example/simple/x/")
    assert first.url == "https://h.example/files/x-1-py3-none-any.whl"
    assert (first.sha256, first.requires_python, first.metadata) == (DIGEST, ">=3.8", True)
    assert (first.uploaded, first.size, first.yanked) == ("2020-01-02T03:04:05Z", 0, False)
    assert (second.filename, second.yanked, second.sha256) == ("x-2.tar.gz", True, "")


def test_json_page_is_read_and_says_the_same():
    item = {
        "filename": "x-1-py3-none-any.whl",
        "url": "/files/x-1-py3-none-any.whl",
        "hashes": {"sha256": DIGEST},
        "size": 7,
        "upload-time": "2020-01-02T03:04:05.5Z",
        "yanked": "broken",
        "core-metadata": {"sha256": "00"},
    }
    (found,) = parse_page(
        json.dumps({"files": [item]}).encode(),
        "application/vnd.pypi.simple.v1+json",
        "https://h.example/simple/x/",
    )
    assert (found.url, found.size, found.yanked) == (
        "https://h.example/files/x-1-py3-none-any.whl",
        7,
        True,
    )


@pytest.mark.parametrize("body", [b"{", b"[]", b"null"])
def test_broken_json_page_raises(body):
    with pytest.raises((ValueError, AttributeError)):
        parse_page(body, "application/vnd.pypi.simple.v1+json", "https://h.example/")


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("numpy-1.26.4-cp312-cp312-win_amd64.whl", "1.26.4"),
        ("a_b-1!2.0-1-py3-none-any.whl", "1!2.0"),
        ("numpy-1.26.4.tar.gz", "1.26.4"),
        ("a-b-2.0.zip", "2.0"),
        ("nonsense.whl", None),
        ("pytz-2004d.tar.gz", None),
    ],
)
def test_version_of_a_file_name(name, version):
    found = file_version(name)
    assert (str(found) if found else None) == version
