"""Which clashing files matter: those that can be imported, loaded or run (pure, given listings).

The rule, for a path that two packages provide with different bytes. It matters, and so is an error, if it is

1. a command: anything in `bin/`;
2. a shared library, wherever it is;
3. in `site-packages`, a module, a `.pth` file, or metadata (`*.dist-info`);
4. in `site-packages`, any other file inside a regular package (one with `__init__.py`): its code may
   open it.

It does not matter, so the first package in sorted order has it and there is a warning, if it is anything
else (`share/`, `etc/`, headers, a `LICENSE` beside the packages), a text that is for readers (`README`,
`LICENSE`, … wherever it is), or below a top-level `tests`, `docs`, `examples` or `benchmarks`, which wheels
contain by mistake.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from nixlib.composition.package import Package

__all__ = ["is_by_mistake", "is_live", "is_namespace_declaration", "settling_key", "settling_keys"]

_BY_MISTAKE = frozenset(
    ["benchmark", "benchmarks", "doc", "docs", "example", "examples", "test", "testing", "tests"]
)
_MODULE = re.compile(r"[^\W\d]\w*(\.(abi3|cpython-\w+|cp\w+)[\w-]*)?\.(py|so|pyd|pyc)")
_LIBRARY = re.compile(r".*\.(so(\.\d+)*|dylib|dll)")
_FOR_READERS = re.compile(
    r"(readme|licen[cs]es?|copying|notice|authors|change(s|log)|history|contributing)"
    r"([-_.][\w.-]*)?",
    re.IGNORECASE,
)
_METADATA = (".dist-info", ".egg-info")
_SITE_DEPTH = 3  # lib / pythonX.Y / site-packages

Where = tuple[str, ...]


def is_by_mistake(top: str) -> bool:
    """Whether wheels bring this top-level name without meaning anybody to import it."""
    return top in _BY_MISTAKE


def _in_site(where: Where) -> Where:
    """The path below `site-packages`; empty if it is elsewhere."""
    inside = where[0] == "lib" and where[2:_SITE_DEPTH] == ("site-packages",)
    return where[_SITE_DEPTH:] if inside else ()


def is_live(where: Where, packages: Iterable[Package]) -> bool:
    """Whether a file at `where` can be imported, loaded or run.

    Args:
        where: The path in the environment, in parts.
        packages: Those that have it; asked for `__init__.py` files above it.
    """
    site = _in_site(where)
    name = where[-1]
    if where[0] == "bin":
        return True
    if _LIBRARY.fullmatch(name):
        return not (site and site[0] in _BY_MISTAKE)
    if not site or site[0] in _BY_MISTAKE or _FOR_READERS.fullmatch(name):
        return bool(site) and site[0].endswith(_METADATA)
    if site[0].endswith(_METADATA) or (len(site) == 1 and name.endswith(".pth")):
        return True
    if _MODULE.fullmatch(name) and all(part.isidentifier() for part in site[:-1]):
        return True
    return _in_regular_package(site, packages)


def _in_regular_package(site: Where, packages: Iterable[Package]) -> bool:
    above = ["/".join(site[:depth]) for depth in range(1, len(site))]
    return any(
        package.listing.kind(f"{top}/{folder}/__init__.py")
        for package in packages
        for top in package.folders("site-packages")
        for folder in above
    )


def settling_key(where: Where) -> str:
    """What a spec's `collisions` names to settle `where`: the import name, or the path elsewhere.

    Examples:
        >>> settling_key(("lib", "python3.11", "site-packages", "cv2", "version.py"))
        'cv2'
        >>> settling_key(("bin", "f2py"))
        'bin/f2py'
    """
    site = _in_site(where)
    if not site:
        return "/".join(where)
    return site[0].partition(".")[0] if len(site) == 1 else site[0]


def settling_keys(where: Where) -> Iterator[str]:
    """Every key that would settle `where`, the closest first."""
    path = _in_site(where) or where
    for depth in range(len(path), 0, -1):
        yield "/".join(path[:depth])
    yield settling_key(where)


def is_namespace_declaration(source: bytes) -> bool:
    """Whether an `__init__.py` does nothing but say that other packages share its directory.

    True of the `pkgutil` and `pkg_resources` forms and of one without a statement: merged into one
    directory they all mean the same.

    Examples:
        >>> is_namespace_declaration(b"__path__ = __import__('pkgutil').extend_path(__path__, __name__)")
        True
        >>> is_namespace_declaration(b"VERSION = 1")
        False
    """
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return False
    return all(_declares(statement) for statement in body)


def _declares(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Try):
        inside = [*statement.body, *(s for h in statement.handlers for s in h.body)]
        return not statement.finalbody and all(_declares(s) for s in (*inside, *statement.orelse))
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return isinstance(statement.value.value, str)
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        module = statement.module if isinstance(statement, ast.ImportFrom) else None
        names = [module] if module else [alias.name for alias in statement.names]
        return set(names) <= {"pkgutil", "pkg_resources", "__future__"}
    if isinstance(statement, ast.Assign):
        targets = {target.id for target in statement.targets if isinstance(target, ast.Name)}
        return targets == {"__path__"} and "extend_path" in ast.dump(statement.value)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return "declare_namespace" in ast.dump(statement.value.func)
    return isinstance(statement, ast.Pass)
