"""Generated file trees and store path names."""

import string

from hypothesis import strategies as st

from nixlib.tree import Directory, Regular, Symlink

# What a file may be called: any text but these, which no file system could hold.
file_names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12
).filter(lambda name: name not in {".", ".."})
# 0 … 17 crosses every padding; the long ones cross what the writer joins and what it passes on.
contents = st.one_of(
    st.binary(max_size=17),
    st.integers(0, 300_000).map(lambda size: (b"0123456789abcdef" * (size // 16 + 1))[:size]),
)
regulars = st.builds(
    lambda data, executable: Regular.of(data, executable=executable), contents, st.booleans()
)
symlinks = st.builds(
    Symlink,
    st.text(
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40
    ),
)
trees = st.recursive(
    st.one_of(regulars, symlinks),
    lambda nodes: st.builds(Directory, st.dictionaries(file_names, nodes, max_size=4)),
    max_leaves=12,
)
store_names = st.text(string.ascii_letters + string.digits + "+-._?=", min_size=1, max_size=60).map(
    lambda name: name.lstrip(".") or "x"
)


def plain(node: object) -> object:
    """A tree as a value that can be compared: contents instead of ways to read them."""
    if isinstance(node, Regular):
        return ("file", b"".join(bytes(chunk) for chunk in node.read()), node.executable)
    if isinstance(node, Symlink):
        return ("link", node.target)
    assert isinstance(node, Directory)
    return {name: plain(child) for name, child in node.entries.items()}
