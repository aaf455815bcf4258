"""An editable wheel (PEP 660) that was built on a copy of its folder, made to point at the folder itself (pure).

Builds do not see this machine, so the backend sees a copy, at a place that no other path has in it. What it
writes of that place into `.pth` files and finders is put right here, and RECORD with it.
"""

from __future__ import annotations

import hashlib
import io
import zipfile

from nixlib.errors import WheelError
from nixlib.wheels.record import Row, digest_of, write_record

__all__ = ["pointing_at", "stand_in"]

_EPOCH = (1980, 1, 1, 0, 0, 0)


def stand_in(folder: str) -> str:
    """The place of the copy of `folder` while it is built; as long as nobody's path.

    Examples:
        >>> stand_in("/home/ana/project")
        '/build/editable-7702cc3c318eb891'
    """
    return f"/build/editable-{hashlib.sha256(folder.encode()).hexdigest()[:16]}"


def pointing_at(wheel: bytes, filename: str, copy: str, folder: str) -> bytes:
    """The wheel with `folder` wherever it spells `copy`.

    Raises:
        WheelError: It spells the copy's place in a file that is no text.
    """
    old, new = copy.encode(), folder.encode()
    members: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            if old in data and b"\0" in data:
                raise WheelError(
                    f"cannot use the editable wheel `{filename}`: `{name}` is compiled, and has the place of its source in it",
                    wheel=filename,
                    member=name,
                )
            members[name] = data.replace(old, new)
    record = next((name for name in members if name.endswith(".dist-info/RECORD")), "")
    rows = [
        Row(name, digest_of((data,)), str(len(data)))
        for name, data in members.items()
        if name != record and not name.endswith("/")
    ]
    members[record] = write_record([*rows, Row(record)])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return out.getvalue()
