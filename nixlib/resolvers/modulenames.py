"""Modules that are not called as their projects are, for whoever asks for the module (pure)."""

from __future__ import annotations

from packaging.utils import canonicalize_name

# What people write after `import`, where the project is called otherwise. A wrong guess here would be
# an invitation to install a stranger's package, so only names that are beyond doubt are listed.
_PROJECT_OF_MODULE = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "git": "gitpython",
    "mpl-toolkits": "matplotlib",
    "pil": "pillow",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def module_hint(name: str) -> str:
    """The project to ask for instead, where `name` is that of a module."""
    project = _PROJECT_OF_MODULE.get(canonicalize_name(name), "")
    return f'`%nixenv add "{project}"`: the project of the module `{name}`' if project else ""
