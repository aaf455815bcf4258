from __future__ import annotations

import pytest

from nixenv.kernel.failure import KernelSideError
from nixenv.kernel.redirects import answer


@pytest.mark.parametrize(
    ("name", "line", "hint"),
    [
        ("pip", "install -U pandas==1.5 numpy", "%nixenv add pandas==1.5 numpy"),
        ("pip", "install \"x; python_version<'3.9'\"", "%nixenv add \"x; python_version<'3.9'\""),
        ("pip", "install -r requirements.txt", "%nixenv add …"),
        ("pip", "install --index-url https://x.org/simple y", "%nixenv add y"),
        ("pip", "uninstall -y seaborn", "%nixenv remove seaborn"),
        ("uv", "pip install x", "%nixenv add x"),
        ("uv", "add x", "%nixenv add x"),
        (
            "conda",
            "install -c conda-forge numpy=1.21 blas",
            '%nixenv add conda-forge::numpy=1.21 "conda-forge::blas *"',
        ),
        ("conda", "install 'x>=1,<2' y=1=b*", """%nixenv add 'x[version=">=1,<2"]' y=1=b*"""),
        ("mamba", "install -y x", '%nixenv add "x *"'),
        ("micromamba", "remove x", "%nixenv remove x"),
    ],
)
def test_change_is_answered_with_the_line_that_makes_it(name, line, hint):
    with pytest.raises(KernelSideError) as refused:
        answer(name, line)
    assert refused.value.kind == "ReadOnlyEnvironmentError"
    assert refused.value.hint == hint


def test_question_is_answered_by_the_environments_own_program(world):
    pip = world.package("pip", "0", {"pip.py": "import sys; print('asked', sys.argv[1:])"})
    environment = world.environment("env", pip)
    program = environment / "bin" / "uv"
    program.write_text("#!/bin/sh\necho uv $*\n")
    program.chmod(0o755)
    found = world.run(
        environment,
        """
import io, contextlib
from nixenv.redirects import answer
with contextlib.redirect_stdout(io.StringIO()) as text:
    answer("uv", "pip show x")
    answer("pip", "list")
    answer("pip", "")
print(json.dumps({"text": text.getvalue()}))
""",
    )
    assert found == {"text": "uv pip show x\nasked ['list']\nasked ['--help']\n"}
