"""How an object of a worker is shown: all of its rich forms at once, figures as images."""

from __future__ import annotations

import base64
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

_FORMS = {
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "text/latex": "_repr_latex_",
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
    "application/json": "_repr_json_",
    "application/javascript": "_repr_javascript_",
}


def bundle(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Data and metadata by MIME type, as Jupyter shows them."""
    data: dict[str, Any] = {"text/plain": repr(value)}
    metadata: dict[str, Any] = {}
    if isinstance(value, type):
        return data, metadata
    whole = _of(value, "_repr_mimebundle_")
    if isinstance(whole, tuple):
        whole, more = whole
        metadata.update(more)
    if isinstance(whole, dict):
        data.update(whole)
    for form, method in _FORMS.items():
        if form in data:
            continue
        one = _of(value, method)
        if isinstance(one, tuple):
            one, metadata[form] = one
        if one is not None:
            data[form] = one
    if is_figure(value) and "image/png" not in data:
        data["image/png"] = png(value)
    return {form: _as_text(one) for form, one in data.items()}, metadata


def _of(value: Any, method: str) -> Any:
    """What a method of that name gives; None without one, and where there is none to show."""
    if getattr(type(value), method, None) is None:
        return None
    try:
        return getattr(value, method)()
    except NotImplementedError:
        return None


def _as_text(one: Any) -> Any:
    return base64.b64encode(one).decode("ascii") if isinstance(one, bytes) else one


def is_figure(value: Any) -> bool:
    """Whether it is one of matplotlib's."""
    library = sys.modules.get("matplotlib.figure")
    return library is not None and isinstance(value, library.Figure)


def png(figure: Any) -> bytes:
    """A figure as its author would see it in a notebook."""
    import io  # noqa: PLC0415

    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()


def figures(show: Callable[[Any], None]) -> None:
    """Show the open figures of pyplot, and close them, as the notebook's own backend does."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None or not hasattr(pyplot, "get_fignums"):
        return
    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        if figure.axes or figure.lines or figure.texts:
            show(figure)
    pyplot.close("all")
