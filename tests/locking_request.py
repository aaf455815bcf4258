"""What a resolution is asked for, in tests that reach no registry."""

from pathlib import Path

from nixlib.cancel import Cancel
from nixlib.locking.asked import Asked
from nixlib.progress import ignore
from nixlib.settings import Settings


def asked(spec, previous=None, **more):
    settings = Settings(Path("/nowhere"), Path("/nowhere"))
    return Asked(
        spec=spec,
        previous=previous,
        settings=settings,
        notebook="a.ipynb",
        folder=Path("/nowhere"),
        upgrade=more.pop("upgrade", frozenset()),
        as_of=more.pop("as_of", None),
        on_event=ignore,
        cancel=Cancel(),
        meanwhile=lambda: None,
        **more,
    )
