"""The command line that a Jupyter client gives to a kernel (pure)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_OF_VS_CODE = "kernel-v2-"
"""How the connection files are called that VS Code's extension makes itself."""


class Arguments:
    """What a Jupyter client passes to a kernel's command.

    No dataclass: importing them costs more than all that is done with these.

    Attributes:
        connection_file: The path as it was given.
        extra: Everything else, for the real kernel.
        tells_path: The client is one that says the notebook's path in its first requests.
    """

    def __init__(
        self, connection_file: str, extra: tuple[str, ...] = (), *, tells_path: bool = False
    ) -> None:
        self.connection_file = connection_file
        self.extra = extra
        self.tells_path = tells_path


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """The connection file out of `-f X`, `-fX`, `--f X` or `--f=X` (VS Code's way); the rest as it is.

    Raises:
        ValueError: There is no connection file.
    """
    rest = list(argv)
    for number, word in enumerate(rest):
        if word in ("-f", "--f") and number + 1 < len(rest):
            return _arguments(rest[number + 1], (*rest[:number], *rest[number + 2 :]))
        for prefix in ("--f=", "-f"):
            if word.startswith(prefix) and word != prefix:
                found = word[len(prefix) :].strip('"')
                return _arguments(
                    found, (*rest[:number], *rest[number + 1 :]), is_vs_code=prefix == "--f="
                )
    msg = "no connection file: expected `-f FILE`"
    raise ValueError(msg)


def _arguments(file: str, extra: tuple[str, ...], *, is_vs_code: bool = False) -> Arguments:
    is_named_so = file.rpartition("/")[2].startswith(_OF_VS_CODE)
    return Arguments(file, extra, tells_path=is_vs_code or is_named_so)
