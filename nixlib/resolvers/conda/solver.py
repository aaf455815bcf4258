"""One conda problem in, records or a refusal out for each system: runs `nixlib.resolvers.conda.child` and watches over it.

The process gets a folder of its own with the job and the user's logins, both readable by its owner only, and is
killed when somebody cancels, or when a channel turns out not to answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nixlib.cancel import Cancel
from nixlib.errors import NetworkError, ResolutionError
from nixlib.network.httpclient import HttpClient
from nixlib.processgroup import end_group
from nixlib.requirements.refusal import public_line, public_url
from nixlib.resolvers.conda.access import ChannelAccess
from nixlib.resolvers.conda.channels import Channel
from nixlib.resolvers.conda.problem import Answer, Problem, Refused, Solved
from nixlib.settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Question", "ask_names", "solve"]

_START = "import sys; sys.path.insert(0, sys.argv[1]); from nixlib.resolvers.conda.child import main; main(sys.argv[2])"
_POLL = 0.05
_WHOLE = 20
"""How many times the time for a silent server one answer may take in all: rattler knows no other limit.

The index of a big channel has 50 MB, which a slow line brings in minutes; a server that says nothing is found out
sooner, by asking it ourselves.
"""
_DROPPED = ("PYTHON", "RATTLER_", "CONDA_", "PIXI_")


@dataclass(frozen=True)
class Question:
    """What all systems share."""

    channels: tuple[Channel, ...]
    priority: str
    cutoff: str | None
    settings: Settings
    access: ChannelAccess
    cancel: Cancel


def solve(
    question: Question, problems: Sequence[Problem], on_answer: Callable[[Answer], None]
) -> None:
    """Solve the first problem, then, with the same Python, the others beside each other.

    Args:
        question: Channels, and how they are reached.
        problems: In order; when the first is refused, the others are not looked at.
        on_answer: Told of each answer as it comes.

    Raises:
        NetworkError: A channel is down, or what it says is damaged; names the channel.
        RealisationCancelledError: The user stopped it.
    """
    by_system = {problem.system: problem for problem in problems}
    job = {"systems": [problem.to_json() for problem in problems]}
    for answer in _answers(question, job):
        problem = by_system[answer["system"]]
        if "records" in answer:
            on_answer(Solved(problem.system, tuple(answer["records"])))
        else:
            on_answer(Refused(problem, answer["refused"], answer["known"]))


def ask_names(question: Question, names: Sequence[str], subdirs: Sequence[str]) -> dict[str, str]:
    """For each of `names` that a channel has on one of `subdirs`: the URL of the first that does.

    Raises:
        NetworkError: As `solve`.
        RealisationCancelledError: The user stopped it.
    """
    job = {"names": sorted(names), "platforms": [*subdirs, "noarch"]}
    (answer,) = _answers(question, job)
    return dict(answer["names"])


def _answers(question: Question, job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    cache = question.settings.cache_dir / "conda"
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (
        tempfile.TemporaryDirectory(prefix="nixenv-conda-", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as opened,
    ):
        folder = Path(name)
        # No file that a killed process could leave behind has a password in it.
        logins = opened.enter_context(tempfile.TemporaryFile(dir=folder, buffering=0))
        logins.write(json.dumps(dict(question.access.logins)).encode())
        logins.seek(0)
        whole = {
            **job,
            "channels": [channel.url for channel in question.channels],
            "priority": question.priority,
            "cutoff": question.cutoff,
            "cache": str(cache),
            "config": question.access.config(Path(f"/dev/fd/{logins.fileno()}")),
            "timeout": max(1, round(question.settings.timeout * _WHOLE)),
        }
        (folder / "job.json").write_text(json.dumps(whole), encoding="utf-8")
        for line in _run(question, folder, logins.fileno()):
            answer = json.loads(line)
            if "failed" in answer:
                raise _failed(question, answer["failed"], answer["channel"])
            yield answer


def _run(question: Question, folder: Path, logins: int) -> Iterator[bytes]:
    """The lines that the process says, as they come."""
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-I", "-c", _START, root, str(folder / "job.json")]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_DROPPED)}
    with (folder / "said").open("w+b") as said, (folder / "trouble").open("w+b") as trouble:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=trouble,
            pass_fds=(logins,),
            start_new_session=True,
        )
        try:
            yield from _watched(question, process, folder / "said")
        finally:
            end_group(process)
        if process.returncode != 0:
            trouble.seek(0)
            tail = trouble.read().decode("utf-8", errors="replace").splitlines()[-20:]
            if any(line.startswith("memory allocation of") for line in tail):
                raise _too_large(question)
            raise ResolutionError(
                f"the conda solver stopped with status {process.returncode}",
                details=tuple(map(public_line, tail)),
                requirement="",
                notebook="",
            )


def _watched(question: Question, process: subprocess.Popen[bytes], path: Path) -> Iterator[bytes]:
    with path.open("rb") as said, _Probe(question) as probe:
        rest = b""
        while True:
            has_ended = process.poll() is not None
            *lines, rest = (rest + said.read()).split(b"\n")
            yield from lines
            if lines:
                probe.put_off()
            if has_ended:
                return
            probe.look()
            question.cancel.wait(_POLL)


class _Probe:
    """Asks the channels whether they are there, when nothing has come for as long as a server may be silent."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._silence = question.settings.timeout
        self._client = HttpClient(timeout=self._silence)
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="nixenv-probe")
        self._asked: dict[Channel, Future[str]] = {}
        self.put_off()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def put_off(self) -> None:
        """Something has come."""
        self._due = time.monotonic() + self._silence

    def look(self) -> None:
        """Ask if it is time to, and see what has been answered.

        Raises:
            NetworkError: A channel does not answer.
        """
        for channel, asked in tuple(self._asked.items()):
            if asked.done():
                del self._asked[channel]
                if trouble := asked.result():
                    raise _down(channel, (trouble,))
        if not self._asked and time.monotonic() >= self._due:
            remote = [one for one in self._question.channels if one.url.startswith("http")]
            self._asked = {one: self._threads.submit(self._trouble, one) for one in remote}
            self.put_off()

    def _trouble(self, channel: Channel) -> str:
        access = self._question.access
        trouble = ""
        for place in access.places(f"{channel.url}/noarch/repodata.json"):
            header = access.authorization(place)
            try:
                with self._client.request(
                    "HEAD", place, {"Authorization": header} if header else {}
                ):
                    return ""
            except (OSError, HTTPException, NetworkError) as error:
                trouble = public_line(f"{type(error).__name__}: {error}")
        return trouble


def _failed(question: Question, said: str, url: str) -> NetworkError:
    """The error for what rattler says of the channel at `url`."""
    lines = (_without_tokens(line.removeprefix("Caused by: ")) for line in said.splitlines())
    guilty = next((one for one in question.channels if one.url == url), question.channels[0])
    return _down(guilty, tuple(lines))


def _down(channel: Channel, details: tuple[str, ...]) -> NetworkError:
    url = public_url(channel.locked)
    wants_login = re.search(r"\b(401|403)\b", " ".join(details))
    host = urlsplit(url).hostname
    hint = f"`machine {host} login NAME password PASSWORD` as a line of `~/.netrc`"
    return NetworkError(
        f"the channel `{channel.written}` did not answer as it should",
        details=(f"at {url}", *dict.fromkeys(details)),
        hint=hint if wants_login else "",
        url=url,
    )


def _too_large(question: Question) -> ResolutionError:
    asked = ", ".join(f"`{channel.written}`" for channel in question.channels)
    return ResolutionError(
        "cannot solve for conda: a channel's index is larger than any channel needs",
        details=(f"asked: {asked}",),
        requirement="",
        notebook="",
    )


def _without_tokens(line: str) -> str:
    return re.sub(r"/t/[^/\s]+", "", public_line(line))
