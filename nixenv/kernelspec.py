"""The kernelspec: what makes Jupyter offer a kernel called Nixenv."""

from __future__ import annotations

import json
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree
from typing import Any

from nixenv.errors import NixenvError

NAME = "nixenv"
_INSTALLED = ("share", "jupyter", "kernels", NAME)


def source_folder() -> Path:
    """The folder with `kernel.json` and the logos, as the wheel has put it or as it is in a checkout.

    Raises:
        NixenvError: The installation has lost it.
    """
    checkout = Path(__file__).parent.parent / "kernelspec"
    for folder in (_recorded_folder(), checkout, Path(sys.prefix).joinpath(*_INSTALLED)):
        if folder is not None and (folder / "kernel.json").is_file():
            return folder
    raise NixenvError(
        "this installation of nixenv has no kernelspec",
        hint="`pip install --force-reinstall nixenv`",
    )


def _recorded_folder() -> Path | None:
    """Where the wheel's own list of files says that it is; `--target` installs are not below a prefix."""
    try:
        files = distribution("nixenv").files or ()
    except PackageNotFoundError:
        return None
    for file in files:
        if file.parts[-len(_INSTALLED) - 1 :] == (*_INSTALLED, "kernel.json"):
            return Path(str(file.locate())).resolve().parent
    return None


def kernel_json() -> dict[str, Any]:
    """The kernelspec of this very installation: its interpreter by absolute path."""
    value: dict[str, Any] = json.loads(
        (source_folder() / "kernel.json").read_text(encoding="utf-8")
    )
    # A kernelspec that says `python` means the server's, which need not be the one with nixenv.
    return {**value, "argv": [sys.executable, *value["argv"][1:]]}


def self_starting(spec: dict[str, Any]) -> dict[str, Any]:
    """`spec` for a Jupyter that has no nixenv in it, as beside a `pipx` installation.

    Jupyter hides a kernelspec whose provisioner it cannot import. Without one it runs `argv` itself,
    which learns the notebook from the variable that a server gives to every kernel.
    """
    metadata = {k: v for k, v in spec["metadata"].items() if k != "kernel_provisioner"}
    return {**spec, "metadata": metadata}


def has_server() -> bool:
    """Whether a Jupyter server can run in this installation, and so import our provisioner."""
    return find_spec("jupyter_server") is not None


def install_kernelspec(*, user: bool = True, prefix: Path | None = None) -> Path:
    """Put the kernelspec where Jupyter looks; an earlier one there is replaced.

    Args:
        user: For this user only; without it and without a prefix, for the whole machine.
        prefix: Into `prefix/share/jupyter/kernels` instead.

    Returns:
        The folder that was written.

    Raises:
        NixenvError: It cannot be written there.
    """
    from jupyter_client.kernelspec import KernelSpecManager  # noqa: PLC0415 - slow, and only this needs it

    with tempfile.TemporaryDirectory(prefix="nixenv-") as staging:
        folder = Path(staging, NAME)
        copytree(source_folder(), folder)
        spec = kernel_json() if has_server() else self_starting(kernel_json())
        text = json.dumps(spec, indent=1, ensure_ascii=False)
        (folder / "kernel.json").write_text(f"{text}\n", encoding="utf-8")
        try:
            installed = KernelSpecManager().install_kernel_spec(
                str(folder),
                NAME,
                user=user and prefix is None,
                prefix=str(prefix) if prefix else None,
            )
        except OSError as error:
            raise NixenvError(
                f"cannot write the kernelspec: {(error.strerror or str(error)).lower()}",
                details=(f"`{error.filename}`",),
                hint="`nixenv kernelspec install --user`",
            ) from error
    return Path(installed)
