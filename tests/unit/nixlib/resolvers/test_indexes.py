import pytest

from nixlib.resolvers.indexes import PYPI, auth_for, read_indexes


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def bare(tmp_path):
    """An environment in which nobody has configured anything."""
    (tmp_path / "etc").mkdir()
    return {
        "HOME": str(tmp_path),
        "XDG_CONFIG_DIRS": str(tmp_path / "etc"),
        "PIP_CONFIG_FILE": "/dev/null",
    }


def urls(indexes):
    return [index.url for index in indexes.asked]


def test_pypi_is_asked_when_nothing_is_configured(bare, tmp_path):
    assert urls(read_indexes(environ=bare, home=tmp_path)) == [PYPI]


def test_indexes_of_the_spec_come_first(bare, tmp_path):
    environ = {
        **bare,
        "UV_INDEX": "corp=https://corp.example/simple",
        "UV_DEFAULT_INDEX": "https://mirror.example/s",
    }
    found = read_indexes(("https://nb.example/simple/",), environ=environ, home=tmp_path)
    assert urls(found) == [
        "https://nb.example/simple",
        "https://corp.example/simple",
        "https://mirror.example/s",
    ]
    assert found.default.url == "https://mirror.example/s"


def test_user_level_uv_settings_are_kept_and_choices_are_not(bare, tmp_path):
    write(
        tmp_path / ".config/uv/uv.toml",
        """
        index-strategy = "unsafe-best-match"
        resolution = "lowest"
        constraint-dependencies = ["numpy<1"]
        [[index]]
        name = "corp"
        url = "https://me:pw@corp.example/simple"
        [[index]]
        name = "hidden"
        url = "https://hidden.example/simple"
        explicit = true
        [[index]]
        url = "https://mirror.example/simple"
        default = true
        """,
    )
    found = read_indexes(environ=bare, home=tmp_path)
    assert urls(found) == ["https://corp.example/simple", "https://mirror.example/simple"]
    assert found.settings == {"index-strategy": "unsafe-best-match"}
    assert found.credentials("https://corp.example/files/x.whl") == ("me", "pw")
    assert found.credentials("https://mirror.example/files/x.whl") is None


def test_credentials_stay_out_of_urls_and_reprs(bare, tmp_path):
    found = read_indexes(("https://me:s3cr3t@h.example/simple",), environ=bare, home=tmp_path)
    assert "s3cr3t" not in repr(found)
    assert found.credentials("https://h.example/x") == ("me", "s3cr3t")


def test_credentials_are_not_sent_to_another_host_port_or_scheme(bare, tmp_path):
    found = read_indexes(("https://me:pw@h.example/simple",), environ=bare, home=tmp_path)
    for url in (
        "https://h.example.evil.example/x",
        "https://h.example:444/x",
        "http://h.example/x",
        "https://e/x",
    ):
        assert found.credentials(url) is None


def test_nearest_index_of_a_host_gives_the_credentials(bare, tmp_path):
    asked = ("https://a:1@h.example/team-a/simple", "https://b:2@h.example/team-b/simple")
    found = read_indexes(asked, environ=bare, home=tmp_path)
    assert found.credentials("https://h.example/team-b/files/x.whl") == ("b", "2")


def test_index_of_a_notebook_gets_the_users_credentials(bare, tmp_path):
    environ = {**bare, "UV_INDEX": "https://me:pw@corp.example/simple/"}
    found = read_indexes(("https://corp.example/simple",), environ=environ, home=tmp_path)
    assert urls(found) == ["https://corp.example/simple", PYPI]
    assert found.asked[0].credentials == ("me", "pw")


def test_credentials_by_name_come_from_the_environment(bare, tmp_path):
    environ = {
        **bare,
        "UV_INDEX": "my-corp=https://corp.example/simple",
        "UV_INDEX_MY_CORP_USERNAME": "me",
        "UV_INDEX_MY_CORP_PASSWORD": "p%w",
    }
    found = read_indexes(environ=environ, home=tmp_path)
    assert found.credentials("https://corp.example/x.whl") == ("me", "p%w")


def test_pip_configuration_counts_and_environment_wins(bare, tmp_path):
    environ = {name: value for name, value in bare.items() if name != "PIP_CONFIG_FILE"}
    write(
        tmp_path / ".config/pip/pip.conf",
        "[global]\nindex-url = https://me:p%40w@mirror.example/simple\nextra-index-url = https://a.example/simple\n"
        "  https://b.example/simple\ncert = /etc/ca.pem\n",
    )
    found = read_indexes(environ=environ, home=tmp_path)
    expected = [
        "https://a.example/simple",
        "https://b.example/simple",
        "https://mirror.example/simple",
    ]
    assert urls(found)[-3:] == expected
    assert found.credentials("https://mirror.example/x") == ("me", "p@w")
    assert found.certificates == "/etc/ca.pem"
    found = read_indexes(
        environ={**environ, "PIP_INDEX_URL": "https://env.example/simple"}, home=tmp_path
    )
    assert found.default.url == "https://env.example/simple"


def test_local_indexes_are_left_out_because_no_other_machine_has_them(bare, tmp_path):
    environ = {**bare, "PIP_EXTRA_INDEX_URL": "file:///opt/simple", "PIP_FIND_LINKS": "/opt/wheels"}
    found = read_indexes(environ=environ, home=tmp_path)
    assert urls(found) == [PYPI]
    assert len(found.skipped) == 2
    assert found.replaced == ""


@pytest.mark.parametrize("url", ["file:///opt/simple", "/opt/simple", "ftp://host.example/simple"])
def test_default_index_that_is_left_out_is_remembered(bare, tmp_path, url):
    found = read_indexes(environ={**bare, "UV_DEFAULT_INDEX": url}, home=tmp_path)
    assert (urls(found), found.replaced) == ([PYPI], url)


def test_netrc_and_uv_store_are_read(bare, tmp_path):
    write(tmp_path / ".netrc", "machine n.example login me password pw\n")
    write(
        tmp_path / ".local/share/uv/credentials/credentials.toml",
        '[[credential]]\nservice = "https://s.example/"\nusername = "u"\npassword = "t"\n',
    )
    found = read_indexes(environ=bare, home=tmp_path)
    assert found.credentials("https://n.example/x") == ("me", "pw")
    assert found.credentials("https://s.example/x") == ("u", "t")


def test_keyring_is_asked_as_uv_does(bare, tmp_path, monkeypatch):
    write(
        tmp_path / "bin/keyring",
        '#!/bin/sh\n[ "$3" = me ] && [ "$2" = k.example ] && echo from-keyring\n',
    )
    (tmp_path / "bin/keyring").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    environ = {
        **bare,
        "UV_KEYRING_PROVIDER": "subprocess",
        "UV_INDEX": "https://me@k.example/simple",
    }
    found = read_indexes(environ=environ, home=tmp_path)
    assert found.credentials("https://k.example/x.whl") == ("me", "from-keyring")


@pytest.mark.parametrize(
    "text", ["not = [toml", "\xff\xfe", "index = 3", "[[index]]\nurl = 1"], ids=repr
)
def test_damaged_configuration_counts_as_empty(bare, tmp_path, text):
    path = tmp_path / ".config/uv/uv.toml"
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode("latin-1"))
    assert read_indexes(environ=bare, home=tmp_path).default.url == PYPI


def test_auth_for_reads_the_users_own_settings(bare, tmp_path, monkeypatch):
    for name, value in {**bare, "UV_INDEX": "https://me:pw@corp.example/simple"}.items():
        monkeypatch.setenv(name, value)
    assert auth_for("https://corp.example/x.whl") == ("me", "pw")
    assert auth_for("https://elsewhere.example/x.whl") is None
