"""Logs of builds on disk: kept for those that failed, and never too much."""

from nixlib.errors import BuildError, SandboxError
from nixlib.workshop.buildlog import BuildLog
from nixlib.workshop.enclosure import CANNOT_ENCLOSE


def failed(status=1, lines=()):
    fields = {
        "reason": "failed",
        "status": status,
        "drv_path": "/d",
        "log_tail": lines,
        "log_file": "",
    }
    return BuildError("cannot build `a`", details=lines, **fields)


def test_log_of_a_build_that_failed_is_kept_and_named(tmp_path):
    with BuildLog(tmp_path / "logs", "a-1.0") as log:
        log.add("one")
        log.add("zw\udc80ei")
        error = log.explain(failed())
    assert isinstance(error, BuildError)
    (file,) = (tmp_path / "logs").iterdir()
    assert file.read_text() == "one\nzw\\udc80ei\n"
    assert error.log_file == str(file)
    assert error.details[-1] == f"the whole log: `{file}`"


def test_log_of_a_build_that_succeeded_is_not(tmp_path):
    with BuildLog(tmp_path / "logs", "a") as log:
        log.add("one")
    assert list((tmp_path / "logs").iterdir()) == []


def test_build_that_said_nothing_leaves_nothing(tmp_path):
    with BuildLog(tmp_path / "logs", "a") as log:
        assert log.explain(failed()).log_file == ""
    assert not (tmp_path / "logs").exists()


def test_log_is_cut_and_says_so(tmp_path):
    with BuildLog(tmp_path, "a", limit=20) as log:
        for number in range(1000):
            log.add(f"line {number}")
        log.explain(failed())
    (file,) = tmp_path.iterdir()
    assert file.read_text().splitlines()[:2] == ["line 0", "line 1"]
    assert "left out" in file.read_text().splitlines()[2]
    assert len(file.read_text().splitlines()) == 3


def test_only_the_newest_logs_are_kept(tmp_path):
    for number in range(30):
        with BuildLog(tmp_path, f"a{number}") as log:
            log.add("x")
            log.explain(failed())
    names = {path.name.split("-")[0] for path in tmp_path.iterdir()}
    assert names == {f"a{number}" for number in range(10, 30)}


def test_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    with BuildLog(tmp_path / "file" / "logs", "a") as log:
        log.add("one")
        assert log.explain(failed()).summary == "cannot build `a`"


def test_builder_without_walls_is_another_error(tmp_path):
    with BuildLog(tmp_path, "pkg") as log:
        log.add("`/home` is there")
        error = log.explain(failed(CANNOT_ENCLOSE, ("`/home` is there",)))
    assert isinstance(error, SandboxError)
    assert error.seen == ("`/home` is there",)
    assert error.setting == "sandbox = true"
    assert "`pkg`" in error.summary
