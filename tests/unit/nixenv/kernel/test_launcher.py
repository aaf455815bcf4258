from __future__ import annotations

from nixenv.kernel import launcher
from nixenv.server import launch


def test_launcher_takes_every_variable_that_is_set_for_a_start(tmp_path):
    target = launch.Target(tmp_path / "a.ipynb", name="a.ipynb", writer="mailbox")
    given = launch.kernel_process_env({}, tmp_path, target)
    assert {name for name in given if name.startswith("NIXENV_")} <= set(launcher.OF_THIS_START)


def test_finder_finds_only_itself(monkeypatch):
    finder = launcher.KernelSideFinder
    assert finder.find_spec("nixenv.magics", None) is None
    assert finder.find_spec("os", None) is None
    spec = finder.find_spec("nixenv", None)
    assert spec.submodule_search_locations == [launcher.FOLDER]


def test_configuration_stays_for_children(world):
    found = world.run(
        world.environment("env"),
        """
import os
print(json.dumps([launcher.take_variables(), sorted(n for n in os.environ if n.startswith("NIXENV_"))]))
""",
        NIXENV_DOCUMENT="/n/a.ipynb",
        NIXENV_CACHE_DIR="/c",
    )
    assert found == [{"NIXENV_DOCUMENT": "/n/a.ipynb"}, ["NIXENV_CACHE_DIR"]]
