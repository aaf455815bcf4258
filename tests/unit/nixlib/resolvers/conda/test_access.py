import json
from base64 import b64encode

import pytest

from nixlib.errors import SettingError
from nixlib.resolvers.conda.access import read_channel_access
from nixlib.settings import Settings


@pytest.fixture
def access(tmp_path):
    def read(environ=None, **settings):
        made = Settings(cache_dir=tmp_path, state_dir=tmp_path, **settings)
        return read_channel_access(made, environ=environ or {}, home=tmp_path)

    return read


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    path.chmod(0o600)


def basic(login):
    return f"Basic {b64encode(login.encode()).decode()}"


def test_nobody_has_configured_anything(access):
    found = access()
    assert found.places("https://host/x/a.conda") == ("https://host/x/a.conda",)
    assert found.authorization("https://host/x/a.conda") is None


def test_netrc_is_read(access, tmp_path):
    write(tmp_path / ".netrc", "machine host login me password pw\n")
    assert access().authorization("https://host/x") == basic("me:pw")
    assert access().authorization("https://host.example/x") is None


def test_logins_of_rattler_win_over_netrc(access, tmp_path):
    write(tmp_path / ".netrc", "machine host login me password pw\n")
    write(tmp_path / ".rattler/credentials.json", {"host": {"BearerToken": "bt"}})
    assert access().authorization("https://host/x") == "Bearer bt"
    other = tmp_path / "other.json"
    write(other, {"host": {"BasicHTTP": {"username": "u", "password": "p"}}})
    assert access({"RATTLER_AUTH_FILE": str(other)}).authorization("https://host/x") == basic("u:p")


def test_wildcards_are_of_whole_labels(access, tmp_path):
    write(tmp_path / ".rattler/credentials.json", {"*.prefix.dev": {"BearerToken": "bt"}})
    assert access().authorization("https://repo.prefix.dev/x") == "Bearer bt"
    assert access().authorization("https://evilprefix.dev/x") is None
    assert access().authorization("https://prefix.dev.evil.example/x") is None


def test_tokens_go_into_the_path(access, tmp_path):
    write(tmp_path / ".rattler/credentials.json", {"host": {"CondaToken": "tk"}})
    assert access().places("https://host/x/a.conda") == ("https://host/t/tk/x/a.conda",)
    assert access().places("https://host/t/tk/x") == ("https://host/t/tk/x",)
    assert access().authorization("https://host/x") is None


def test_condarc_has_tokens_logins_and_names(access, tmp_path):
    write(
        tmp_path / ".condarc",
        """
channels: [https://host/t/tk/x, conda-forge]
channel_alias: https://me:p%40w@alias.example/
custom_channels:
  ours: https://repo.example/t/tk2/sub/
  other: file:///srv
""",
    )
    found = access()
    assert found.places("https://host/y/a.conda") == ("https://host/t/tk/y/a.conda",)
    assert found.authorization("https://alias.example/x") == basic("me:p@w")
    assert found.custom == {"ours": "https://repo.example/sub/ours", "other": "file:///srv/other"}
    assert found.places(found.custom["ours"]) == ("https://repo.example/t/tk2/sub/ours",)


@pytest.mark.parametrize(
    "text", ["[", "channels: 1", "- a", "custom_channels: [1]", "channels: ['https://[x']", "\0"]
)
def test_a_file_of_another_tool_that_is_damaged_is_empty(access, tmp_path, text):
    write(tmp_path / ".condarc", text)
    write(tmp_path / ".rattler/credentials.json", text)
    assert access().authorization("https://host/x") is None


def test_mirrors_are_asked_in_order_and_the_longest_prefix_counts(access):
    found = access(
        conda_mirrors=(
            "https://conda.anaconda.org=https://all.example/",
            "https://conda.anaconda.org/conda-forge=https://one.example/cf",
            "https://conda.anaconda.org/conda-forge=https://two.example",
        )
    )
    assert found.places("https://conda.anaconda.org/conda-forge/noarch/a.conda") == (
        "https://one.example/cf/noarch/a.conda",
        "https://two.example/noarch/a.conda",
    )
    assert found.places("https://conda.anaconda.org/conda-forge-x/a") == (
        "https://all.example/conda-forge-x/a",
    )


@pytest.mark.parametrize("text", ["", "https://a.example", "a=b", "https://a.example=b"])
def test_mirror_that_is_none_is_refused(access, text):
    with pytest.raises(SettingError) as caught:
        access(conda_mirrors=(text,))
    assert caught.value.key == "conda_mirrors"


def test_nothing_secret_is_in_its_own_description(access, tmp_path):
    write(tmp_path / ".netrc", "machine host login me password topsecret\n")
    assert "topsecret" not in repr(access())
    assert "topsecret" not in access().config(tmp_path / "logins.json")


def test_configuration_is_one_that_rattler_reads(access, tmp_path):
    from rattler import Config

    found = access(conda_mirrors=('https://a.example/"x=https://b.example',))
    _, unused = Config.from_toml_with_unused_keys(found.config(tmp_path / 'log"ins.json'))
    assert unused == []
