"""What one process holds once: refused in the notebook's process before anything runs, at work in one of its own.

`torch` is a stand-in: each of PyPI's wheels of it for Linux on x86-64 is for CUDA and brings some 2 GB of libraries,
and those for a CPU are on another index. The stand-in has its shape: a module compiled for one Python, linked to a
library beside it whose SONAME has no version.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import sysconfig
import zipfile

import pytest
from private_notebook import MARKS, cells_of, group_of, versions, write_notebook

from nixlib.testing.compiled import extension_module, shared_library
from nixlib.testing.index import IndexServer, ServedFile

pytestmark = [
    *MARKS,
    pytest.mark.skipif(
        sys.platform != "linux" or sysconfig.get_platform() != "linux-x86_64",
        reason="the stand-in for torch is compiled for Linux on x86-64",
    ),
]

TORCH_TAG = "cp311-cp311-linux_x86_64"
TORCH_CODE = """
__version__ = "{version}"
import ctypes, os
ctypes.CDLL(os.path.join(os.path.dirname(__file__), "lib", "libtorch_cpu.so"), mode=ctypes.RTLD_GLOBAL)
from torch._C import answer

class Tensor:
    def __init__(self, values): self.values = list(values)
    def __add__(self, other): return Tensor(a + b for a, b in zip(self.values, other.values))
    def tolist(self): return self.values
    def __repr__(self): return f"tensor({{self.values}})"

def tensor(values): return Tensor(values)
"""


def torch_wheel(version: str, answer: int) -> ServedFile:
    """A wheel of the shape of PyTorch's."""
    library = shared_library("libtorch_cpu.so", f"int greet(void) {{ return {answer}; }}")
    members = {
        "torch/__init__.py": TORCH_CODE.format(version=version).encode(),
        "torch/_C.cpython-311-x86_64-linux-gnu.so": extension_module("_C", library),
        "torch/lib/libtorch_cpu.so": library,
    }
    return wheel("torch", version, TORCH_TAG, members)


def wheel(name: str, version: str, tag: str, members: dict[str, bytes]) -> ServedFile:
    """A wheel of these files, which may be compiled."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n".encode()
    members = {
        **members,
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for path, data in members.items()
    )
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in members.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), data)
    return ServedFile(f"{name}-{version}-{tag}.whl", buffer.getvalue(), metadata=metadata)


PUBLIC = ("numpy==1.26.4", "pandas==2.2.3", "lxml==5.2.1", "torch==2.5.1")
SECOND = {"numpy": ("1.26.4", "2.2.6"), "lxml": ("5.2.1", "4.9.4"), "torch": ("2.5.1", "2.0.1")}


@pytest.fixture(scope="module")
def index():
    with IndexServer([torch_wheel("2.5.1", 251), torch_wheel("2.0.1", 201)]) as index:
        yield index


@pytest.mark.parametrize("name", SECOND)
def test_second_version_is_refused_with_its_reason_and_a_way_out(
    engine_home, index, tmp_path, name
):
    public, private = SECOND[name]
    path = write_notebook(
        tmp_path / "a.ipynb",
        f"{name}=={public}",
        indexes=[index.url],
        private={"other": [f"{name}=={private}"]},
    )
    answer = engine_home.engine("lock", path, "--json", check=False)
    assert answer.returncode
    error = json.loads(answer.stdout)["error"]
    assert error["type"] == "PrivateGroupError"
    told = answer.stdout
    for part in ("`other`", name, public, private, '\\"mode\\": \\"process\\"'):
        assert part in told, (part, error)
    assert "lock" not in json.loads(path.read_text())["metadata"]["nixenv"]


@pytest.mark.parametrize("line", ["scikit-learn==1.3.2", "pandas==2.0.3"])
def test_package_that_cannot_use_the_notebooks_version_is_refused_saying_who(
    engine_home, tmp_path, line
):
    """scikit-learn says `numpy<2`; pandas says nothing, and was compiled before there was a numpy 2."""
    path = write_notebook(tmp_path / "a.ipynb", "numpy==2.2.6", private={"old": [line]})
    answer = engine_home.engine("lock", path, "--json", check=False)
    assert answer.returncode
    error = json.loads(answer.stdout)["error"]
    assert error["type"] == "PrivateGroupError", error
    for part in ("`old`", line.partition("==")[0], "numpy", "2.2.6", '\\"mode\\": \\"process\\"'):
        assert part in answer.stdout, (part, error)


@pytest.fixture(scope="module")
def cells(engine_home, index, tmp_path_factory):
    path = write_notebook(
        tmp_path_factory.mktemp("singletons") / "a.ipynb",
        *PUBLIC,
        indexes=[index.url],
        private={
            "numpy2": {"requirements": ["numpy==2.2.6"], "mode": "process"},
            "lxml4": {"requirements": ["lxml==4.9.4"], "mode": "process"},
            "torch20": {"requirements": ["torch==2.0.1"], "mode": "process"},
            "legacy": {"requirements": ["pydantic<2"], "mode": "process"},
        },
    )
    engine_home.engine("lock", path)
    for group, (name, version) in {
        "numpy2": ("numpy", "2.2.6"),
        "lxml4": ("lxml", "4.9.4"),
        "torch20": ("torch", "2.0.1"),
    }.items():
        assert versions(group_of(path, group)["process"]["packages"])[name] == version
    with cells_of(path, engine_home) as kernel:
        yield kernel


def test_numpy_2_beside_1(cells):
    cells.run("""
        import numpy, pickle, threading
        from nixenv.private.numpy2 import numpy as other
        assert (numpy.__version__, other.__version__) == ("1.26.4", "2.2.6")
        made = other.arange(6).reshape(2, 3)
        assert type(made) is numpy.ndarray and made.tolist() == [[0, 1, 2], [3, 4, 5]]
        assert other.linalg.norm(numpy.array([3.0, 4.0])) == 5.0
        assert other.strings.upper(numpy.array(["a"])).tolist() == ["A"]  # which 1.26 has not
        big = numpy.random.default_rng(0).random(1_000_000)
        assert numpy.isclose(other.sum(big), big.sum())
        found = []
        threads = [threading.Thread(target=lambda n: found.append(other.full(3, n).sum()), args=(n,)) for n in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert sorted(found) == [0, 3, 6, 9, 12, 15, 18, 21]
        try: other.linalg.inv(numpy.zeros((2, 2)))
        except Exception as error: assert type(error).__name__ == "LinAlgError" and isinstance(error, ValueError), error
        else: raise AssertionError
        try: other.linalg.inv(numpy.zeros((2, 2)))
        except other.linalg.LinAlgError as error: assert "Singular matrix" in str(error)
    """)


def test_lxml_4_beside_5(cells):
    cells.run("""
        from lxml import etree
        from nixenv.private.lxml4.lxml import etree as other
        assert (etree.LXML_VERSION[:3], tuple(other.LXML_VERSION)[:3]) == ((5, 2, 1), (4, 9, 4))
        source = "<a><b c='1'>x</b><b/></a>"
        for module in (etree, other):
            root = module.fromstring(source)
            assert root.tag == "a" and len(root) == 2 and root[0].get("c") == "1"
            assert [one.tag for one in root] == ["b", "b"]
            assert root.xpath("//b/@c") == ["1"] and root.find("b").text == "x"
            root.append(module.Element("d"))
            assert module.tostring(root).endswith(b"<d/></a>")
            try: module.fromstring("<a>")
            except module.XMLSyntaxError as error: assert isinstance(error, SyntaxError) and "line 1" in str(error)
            else: raise AssertionError
        html = other.HTML("<p>one<p>two")
        assert other.tostring(html).count(b"<p>") == etree.tostring(etree.HTML("<p>one<p>two")).count(b"<p>") == 2
    """)


def test_torch_beside_torch(cells):
    cells.run("""
        import torch
        from nixenv.private.torch20 import torch as other
        assert (torch.__version__, torch.answer) == ("2.5.1", 251)
        assert (other.__version__, other.answer) == ("2.0.1", 201)
        total = other.tensor([1, 2]) + other.tensor([3, 4])
        assert total.tolist() == (torch.tensor([1, 2]) + torch.tensor([3, 4])).tolist() == [4, 6]
        assert repr(total) == "tensor([4, 6])"
        assert not isinstance(total, torch.Tensor)
    """)


def test_compiled_pydantic_1_in_a_process(cells):
    """A class is made where its base class is: a cell of the group."""
    cells.run("""
        start = 41
    """)
    cells.run("""
        %%private legacy
        import pydantic
        class Model(pydantic.BaseModel):
            x: int
            @pydantic.validator("x")
            def more(cls, x): return x + 1
        made = Model(x=str(start))
        data = made.dict()
    """)
    cells.run("""
        assert data == {"x": 42} and type(data) is dict
        assert made.x == 42 and Model(x="1").x == 2
        from nixenv.private.legacy import pydantic as other
        assert other.VERSION.startswith("1.") and other.compiled
        try: Model(x="wrong")
        except other.ValidationError as error: assert isinstance(error, ValueError) and error.errors()[0]["loc"] == ("x",)
        else: raise AssertionError
    """)
    error = cells.fails("class Mine(other.BaseModel): x: int")
    assert error["ename"] == "TypeError"
    assert "%%private legacy" in error["evalue"]
