"""Packages that one process can hold only once, each with the reason as users read it (pure).

Most packages can be in a process in as many versions as somebody likes. These cannot: they keep something
under one name for the whole process, or their compiled parts hand each other objects of one layout. The
notebook's version of each is therefore that of every group in the same process.
"""

from __future__ import annotations

__all__ = ["KERNEL", "OWN_WISH", "bridged", "named_by_reason", "reason"]

KERNEL = "the kernel itself runs on it"
OWN_WISH = "the group's `singleton` names it"

_ABI = "its compiled parts and those of others hand each other arrays of one layout"
_ACCELERATOR = "its operators, devices and libraries are registered once per process"
_LIBRARIES = "the libraries in it carry the same names in every version"
_LOOP = "it replaces the event loop of the whole process"
_PATCH = "it replaces parts of the standard library for the whole process"
_QT = "one process has one Qt application, and Qt's libraries carry the same names in every version"
_LLVM = "LLVM registers its options and targets once per process"
_HDF5 = "HDF5 keeps its settings and its lock once per process"
_MACHINE = "one process can hold only one of the machines that it starts"
_OPENCV = "its compiled part answers to no other name than `cv2`"
_WINDOWS = "one process has one connection to the screen"

_SINGLETONS = {
    "cffi": "every module made with it finds its compiled part under one name in the process",
    "cupy": _ACCELERATOR,
    "eventlet": _PATCH,
    "gevent": _PATCH,
    "greenlet": "it switches the interpreter's stacks, which everything in the process shares",
    "grpcio": "its threads, and what it does when the process forks, are the process's",
    "h5py": _HDF5,
    "intel-openmp": _LIBRARIES,
    "jax": _ACCELERATOR,
    "jaxlib": _ACCELERATOR,
    "jpype1": _MACHINE,
    "lightgbm": _LIBRARIES,
    "llvmlite": _LLVM,
    "lxml": "it keeps its parsers' context in the state of the thread, under one name",
    "mkl": _LIBRARIES,
    "mpi4py": "MPI can be initialised once per process",
    "netcdf4": _HDF5,
    "numba": _LLVM,
    "numpy": _ABI,
    "opencv-contrib-python": _OPENCV,
    "opencv-contrib-python-headless": _OPENCV,
    "opencv-python": _OPENCV,
    "opencv-python-headless": _OPENCV,
    "pyarrow": "its libraries carry one name each, and its extension types are in one registry",
    "pygame": _WINDOWS,
    "pygobject": _WINDOWS,
    "rpy2": _MACHINE,
    "spacy": "its components are in one registry of the process",
    "tables": _HDF5,
    "tbb": _LIBRARIES,
    "tensorflow": _ACCELERATOR,
    "tensorflow-cpu": _ACCELERATOR,
    "torch": _ACCELERATOR,
    "torchaudio": _ACCELERATOR,
    "torchvision": _ACCELERATOR,
    "triton": _LLVM,
    "uvloop": _LOOP,
    "wxpython": _WINDOWS,
}

_PREFIXES = {
    "cupy-": _ACCELERATOR,
    "intel-cmplr-": _LIBRARIES,
    "nvidia-": _LIBRARIES,
    "pyqt5": _QT,
    "pyqt6": _QT,
    "pyside2": _QT,
    "pyside6": _QT,
    "shiboken2": _QT,
    "shiboken6": _QT,
}

_BRIDGES = {"pyarrow": "pandas"}


def reason(name: str) -> str | None:
    """Why a process can hold a package only once; None where it can hold several versions.

    Args:
        name: Normalised.

    Examples:
        >>> reason("nvidia-cublas-cu12")
        'the libraries in it carry the same names in every version'
        >>> reason("pandas")
    """
    known = _SINGLETONS.get(name)
    if known is not None:
        return known
    return next((why for start, why in _PREFIXES.items() if name.startswith(start)), None)


def named_by_reason() -> dict[str, list[str]]:
    """Every reason with the names that it is for, as people read them: `nvidia-*` for all that begin so.

    Examples:
        >>> named_by_reason()["it replaces the event loop of the whole process"]
        ['uvloop']
    """
    names = {**_SINGLETONS, **{f"{start}*": why for start, why in _PREFIXES.items()}}
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        found.setdefault(names[name], []).append(name)
    return found


def bridged(name: str) -> str | None:
    """The package whose objects `name` makes: it finds that as the notebook does, wherever it is called from.

    Examples:
        >>> bridged("pyarrow")
        'pandas'
    """
    return _BRIDGES.get(name)
