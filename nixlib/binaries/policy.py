"""Libraries that a wheel may expect of the system, and which attribute of nixpkgs has each (pure).

The names are the policy's own: PEP 513, 571, 599 and 600, and what auditwheel publishes for the latest of them. The
attributes are nixpkgs' own, as its `pythonManylinuxPackages` pairs them. Both only for messages: what is
supplied is what a wheel's files need, by whatever has it.
"""

from __future__ import annotations

import re

ATTRIBUTES = {
    "libGL.so.1": "libGL",
    "libICE.so.6": "xorg.libICE",
    "libSM.so.6": "xorg.libSM",
    "libX11.so.6": "xorg.libX11",
    "libXext.so.6": "xorg.libXext",
    "libXrender.so.1": "xorg.libXrender",
    "libatomic.so.1": "stdenv.cc.cc.lib",
    "libcrypt.so.1": "libxcrypt-legacy",
    "libexpat.so.1": "expat",
    "libgcc_s.so.1": "stdenv.cc.cc.lib",
    "libglib-2.0.so.0": "glib",
    "libgobject-2.0.so.0": "glib",
    "libgthread-2.0.so.0": "glib",
    "libncursesw.so.5": "ncurses5",
    "libpanelw.so.5": "ncurses5",
    "libstdc++.so.6": "stdenv.cc.cc.lib",
    "libz.so.1": "zlib",
}
"""Those of the policies that no C library has itself."""

_NAME = re.compile(r"(?P<name>lib[A-Za-z0-9_+-]*?)(-?\d+(\.\d+)*)?\.so(\.\d+)*")


def attribute_of(soname: str) -> str:
    """The attribute that has `soname`, or the one that is most often called like it; empty for neither.

    Examples:
        >>> attribute_of("libGL.so.1"), attribute_of("libsndfile.so.1"), attribute_of("libfoo-2.0.so.0")
        ('libGL', 'libsndfile', 'libfoo')
    """
    found = _NAME.fullmatch(soname)
    return ATTRIBUTES.get(soname) or (found["name"] if found else "")


def is_sure(soname: str) -> bool:
    """Whether `attribute_of` knows, and does not guess."""
    return soname in ATTRIBUTES
