"""What the engine answered, as something to read: one page, as text and as HTML (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Mapping

    Answer = Mapping[str, Any]
    Row = "tuple[str, ...]"


# Facts of `status` that are sentences, a line for each.
SENTENCES = ("held", "notes", "private", "private groups in use")


@dataclass(frozen=True)
class Page:
    """A title, a table, verbatim text and remarks; each may be empty.

    Attributes:
        title: One line; backticks mark names.
        rows: Cells of a table, without a header; rows may differ in length.
        verbatim: Lines whose spaces matter, such as a tree.
        remarks: Lines below, each a sentence; backticks mark names.
        warnings: Like remarks, but they stand out.
    """

    title: str = ""
    rows: tuple[tuple[str, ...], ...] = ()
    verbatim: str = ""
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def text(self) -> str:
        """The page for a terminal."""
        lines = [self.title] if self.title else []
        lines += ["  " + line for line in _columns(self.rows)]
        lines += self.verbatim.splitlines()
        lines += ["warning: " + warning for warning in self.warnings]
        lines += self.remarks
        return "\n".join(lines)

    def html(self) -> str:
        """The page for a notebook: plain elements only, which every front end's own style suits."""
        parts = [f"<div><strong>{_marked(self.title)}</strong></div>"] if self.title else []
        if self.rows:
            parts.append(f"<table><tbody>{''.join(map(_html_row, self.rows))}</tbody></table>")
        if self.verbatim:
            parts.append(f"<pre>{escape(self.verbatim)}</pre>")
        parts += [f"<div><strong>warning:</strong> {_marked(line)}</div>" for line in self.warnings]
        parts += [f"<div>{_marked(line)}</div>" for line in self.remarks]
        return "\n".join(parts)


def changes_page(answer: Answer, remarks: Iterable[str]) -> Page:
    """What `add`, `remove`, `lock` and `sync` did to the packages."""
    rows = _changed_rows(answer, "")
    for group in _objects(answer, "private"):
        rows += _changed_rows(group, "{}: ".format(group.get("group", "")))
    held = tuple("held in its own time: " + line for line in _strings(answer, "held"))
    front_end = answer.get("frontend")
    parts = (str(front_end.get("message", "")),) if isinstance(front_end, dict) else ()
    return Page(
        title=_counts(answer),
        rows=tuple(rows),
        remarks=(*held, *remarks, *parts),
        warnings=_strings(answer, "warnings"),
    )


def _changed_rows(answer: Answer, group: str) -> list[tuple[str, ...]]:
    """What came, went or has another version, by name; a private group's behind its own."""
    rows = [
        (sign, str(package["name"]), str(package["version"]))
        for sign, kind in (("+", "added"), ("-", "removed"))
        for package in _objects(answer, kind)
    ]
    rows += [
        ("~", str(package["name"]), "{} → {}".format(package["from"], package["to"]))
        for package in _objects(answer, "changed")
    ]
    return [(row[0], group + row[1], row[2]) for row in sorted(rows, key=lambda row: row[1])]


def _counts(answer: Answer) -> str:
    parts = [("packages", answer)]
    parts += [
        ("private group `{}`".format(group.get("group", "")), group)
        for group in _objects(answer, "private")
    ]
    counted = [f"{what}: {counts}" for what, part in parts for counts in [_count(part)] if counts]
    return "; ".join(counted) or "no package changes"


def _count(answer: Answer) -> str:
    return ", ".join(
        f"{len(_objects(answer, kind))} {kind}"
        for kind in ("added", "changed", "removed")
        if _objects(answer, kind)
    )


def list_page(answer: Answer) -> Page:
    """Every package, and beside it the notebook's own requirement or why it was held."""
    packages = _objects(answer, "packages")
    rows = _package_rows(packages)
    has_own = any(package.get("name") == "python" for package in packages)
    is_told = answer.get("python") and not has_own  # conda's Python is one of the packages
    python = [("python", str(answer["python"]))] if is_told else []
    return Page(
        title=f"{len(rows)} packages",
        rows=(*python, *rows),
        verbatim="\n".join(line for group in _objects(answer, "private") for line in _group(group)),
    )


def _package_rows(packages: list[Answer]) -> list[tuple[str, ...]]:
    is_mixed = any(package.get("origin") for package in packages)
    return [
        (
            str(package.get("name", "")),
            " ".join(str(package[key]) for key in ("version", "build") if package.get(key)),
            *([str(package.get("origin") or "")] if is_mixed else []),
            str(package.get("requirement") or ""),
            str(package.get("held") or "")
            or ("for `{}`".format(package["for"]) if package.get("for") else ""),
        )
        for package in packages
    ]


def _group(group: Answer) -> list[str]:
    """A private group's own packages below its name, then whose the others are that it uses."""
    rows = _package_rows(_objects(group, "packages"))
    if group.get("python"):
        rows.insert(0, ("python", str(group["python"]), "of its own process"))
    lent = group.get("lent")
    lines = [f"private {group.get('group', '')}", *("  " + line for line in _columns(rows))]
    shared = _strings(group, "shared")
    lines += [f"  the notebook's {', '.join(shared)}"] if shared else []
    by_lender: dict[str, list[str]] = {}
    for name, lender in lent.items() if isinstance(lent, dict) else ():
        by_lender.setdefault(str(lender), []).append(str(name))
    return [*lines, *(f"  {lender}'s {', '.join(names)}" for lender, names in by_lender.items())]


def status_page(answer: Answer, kernel: Mapping[str, object]) -> Page:
    """What the engine knows about the document, then what this kernel runs in.

    Args:
        answer: The engine's.
        kernel: Facts about this process; `notebook` becomes the title.
    """
    facts = {**answer, **kernel, "notebook": None}
    rows = [row for key, value in facts.items() for row in _fact(key.replace("_", " "), value)]
    return Page(
        title="`{}`".format(kernel["notebook"]),
        rows=tuple((key, text) for key, text in rows if text),
    )


def _fact(key: str, value: object) -> list[tuple[str, str]]:
    """A row; for sentences one each, since they have commas of their own."""
    if key not in SENTENCES or not isinstance(value, list):
        return [(key, _plain(value))]
    return [("" if number else key, str(line)) for number, line in enumerate(value)]


def tree_page(answer: Answer) -> Page:
    """Which package needs which, indented."""
    if isinstance(answer.get("text"), str):
        return Page(verbatim=answer["text"].rstrip("\n"))
    lines = _forest(answer)
    for group in _objects(answer, "private"):
        lines += [f"private {group.get('group', '')}", *("  " + line for line in _forest(group))]
    return Page(verbatim="\n".join(lines))


def _forest(answer: Answer) -> list[str]:
    roots = _objects(answer, "tree")
    return [line for root in roots for line in (_package(root), *_branches(root, ""))]


def _branches(package: Answer, indent: str) -> list[str]:
    lines = []
    children = _objects(package, "dependencies")
    for child in children:
        last = child is children[-1]
        lines.append(indent + ("└── " if last else "├── ") + _package(child))
        lines += _branches(child, indent + ("    " if last else "│   "))
    return lines


def _package(package: Answer) -> str:
    """A package with its build, where it is from and why, as `nixenv tree` has it."""
    words = [str(package.get(key) or "") for key in ("name", "version", "build")]
    reason, origin = str(package.get("reason") or ""), str(package.get("origin") or "")
    if origin and not reason.startswith(f"{origin}:"):
        words.append(f"({origin})")
    words.append("({}'s)".format(package["shared"]) if package.get("shared") else "")
    words.append("(above)" if package.get("seen") else "")
    label = " ".join(filter(None, words))
    return f"{label}: {reason}" if reason else label


def _objects(answer: Answer, key: str) -> list[Answer]:
    value = answer.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _strings(answer: Answer, key: str) -> tuple[str, ...]:
    value = answer.get(key)
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _plain(value: object) -> str:
    """A JSON value as a cell of a table; nested ones lose their brackets."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return "" if value is None else str(value)


def _columns(rows: Iterable[tuple[str, ...]]) -> list[str]:
    rows = list(rows)
    widths: list[int] = []
    for row in rows:
        for column, cell in enumerate(row):
            widths[column : column + 1] = (
                [max(len(cell), *widths[column : column + 1])]
                if (column < len(widths))
                else [len(cell)]
            )
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    ]


def _html_row(row: tuple[str, ...]) -> str:
    return "<tr>{}</tr>".format("".join(f"<td>{escape(cell)}</td>" for cell in row))


def _marked(line: str) -> str:
    """A line as HTML, with what stands between backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(line))
