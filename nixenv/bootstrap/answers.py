"""What can be answered before there is a kernel (pure)."""

from __future__ import annotations

import codeop
import sys
from typing import Any

from nixenv.bootstrap.messages import PROTOCOL, JsonObject

BANNER = "nixenv makes the environment of this notebook ready; cells run as soon as it is there"


def kernel_info(python: str) -> dict[str, Any]:
    """The content of a `kernel_info_reply`; `python` is the environment's version as far as it is known.

    It promises what every real kernel here can do, and no more: not the subshells of ipykernel 7, because
    it may be version 6, and a client that does not use them loses nothing.
    """
    version = python or "{}.{}.{}".format(*sys.version_info[:3])
    return {
        "status": "ok",
        "protocol_version": PROTOCOL,
        "implementation": "ipython",
        "implementation_version": "",
        "language_info": {
            "name": "python",
            "version": version,
            "mimetype": "text/x-python",
            "codemirror_mode": {"name": "ipython", "version": 3},
            "pygments_lexer": "ipython3",
            "nbconvert_exporter": "python",
            "file_extension": ".py",
        },
        "banner": BANNER,
        "help_links": [],
        "debugger": True,
        "supported_features": ["debugger"],
    }


def is_complete(code: str) -> dict[str, Any]:
    """The content of an `is_complete_reply`; magics are nobody's to judge without IPython: `unknown`."""
    try:
        made = codeop.compile_command(code, symbol="exec")
    except (SyntaxError, ValueError, OverflowError):
        return {"status": "unknown"}
    return {"status": "incomplete", "indent": ""} if made is None else {"status": "complete"}


def answer(kind: str, content: JsonObject, python: str) -> dict[str, Any] | None:
    """The content of the reply to a request of type `kind`; None when only the real kernel can give it."""
    if kind == "kernel_info_request":
        return kernel_info(python)
    if kind == "comm_info_request":
        return {"status": "ok", "comms": {}}
    if kind == "history_request":
        return {"status": "ok", "history": []}
    if kind == "is_complete_request":
        return is_complete(str(content.get("code", "")))
    return None


EXECUTED: JsonObject = {
    "status": "ok",
    "execution_count": 0,
    "payload": [],
    "user_expressions": {},
}
"""The content of an `execute_reply` to code that will have run before anything that follows it."""
