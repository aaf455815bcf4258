"""Write `docs/configuration.md` from the settings themselves: `write_configuration.py [--check]`.

A test runs it with `--check`, so the page cannot name a setting, a default or a layer that is not there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from nixenv.config import SECTION, SYSTEM_FILE, VARIABLE_PREFIX, Setting, find_settings, user_file
from nixenv.traits import Nixenv

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"

INTRODUCTION = """\
# Configuration

Made from the settings by `tools/write_configuration.py`; change it there. Nothing here has to be set.

## Where a setting is looked up

The later wins:

1. the default;
2. a Jupyter server's configuration, for the kernels of that server: `c.{section}.downloads = 8` in
   `jupyter_server_config.py`;
3. `{system}`, for the whole machine;
4. `{user}`, for one user;
5. the environment variable;
6. an option: every verb has `--store`.

The two files have the same shape:

```json
{example}
```

In a variable, a list is a JSON array, or words with spaces between them. An empty variable says nothing. A name that
is no setting, or a value that a setting cannot have, is an error that names the file or the variable.
`nixenv config` shows what is in force, and from where.

## Settings
"""

OTHERS = """\
## Variables of others

| variable | what nixenv takes from it |
|---|---|
| `NIX_REMOTE` | the store, where `store` says nothing: a folder, `daemon`, `unix://SOCKET` or `local?root=FOLDER` |
| `XDG_CACHE_HOME`, `XDG_STATE_HOME`, `XDG_CONFIG_HOME` | where `cache_dir`, `state_dir` and the user's file are |
| `UV_DEFAULT_INDEX`, `UV_INDEX`, `UV_INDEX_NAME_USERNAME`, `UV_INDEX_NAME_PASSWORD`, … | package indexes and credentials, as [uv](https://docs.astral.sh/uv/reference/environment/) reads them; `uv.toml`, `pip.conf` and `netrc` count too |
| `HTTPS_PROXY`, `SSL_CERT_FILE` | the way to registries |
| `NIXENV_NOTEBOOK` | the notebook of a kernel, where a client does not say it: `NIXENV_NOTEBOOK=a.ipynb jupyter console --kernel nixenv` |
"""


def main() -> int:
    """Write the page, or compare it; 1 when it differs."""
    text = "\n".join(page())
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is not what the settings say: run {Path(__file__).name}", file=sys.stderr)
    return 1


def page() -> Iterator[str]:
    """The page, line by line."""
    example = json.dumps({SECTION: {"downloads": 8, "caches": ["https://cache.example.org"]}})
    yield INTRODUCTION.format(
        section=SECTION,
        system=SYSTEM_FILE,
        user=user_file({"XDG_CONFIG_HOME": "/$XDG_CONFIG_HOME"}).relative_to("/"),
        example=example,
    )
    yield "| setting | variable | default | meaning |"
    yield "|---|---|---|---|"
    traits = Nixenv.class_own_traits(config=True)
    # The folders' defaults depend on the home, which stands in the page as its variable.
    for setting in find_settings(environ={"HOME": "/$HOME"}):
        yield _row(setting, traits[setting.name].help)
    yield f"\n{OTHERS}"


def _row(setting: Setting, meaning: str) -> str:
    name, variable = setting.name, VARIABLE_PREFIX + setting.name.upper()
    return f"| `{name}` | `{variable}` | {_shown(setting.value)} | {meaning} |"


def _shown(value: object) -> str:
    if value in (None, ()):
        return "–"
    return f"`{str(value).removeprefix('/') if isinstance(value, Path) else value}`"


if __name__ == "__main__":
    sys.exit(main())
