"""A home or a path that cannot be used is one line before any work, and an odd name works."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from tuning import resource_errors
from tuning.errors import TuningError
from tuning.paths import expanded, home_problem, output_problem
from tuning.resource_errors import disk_error, file_error
from tuning.settings import Settings, load_settings
from tuning.storage import atomic_folder, check_home, write_bytes


def test_a_home_that_is_missing_is_fine_if_it_can_be_made(tmp_path: Path) -> None:
    for writes in (True, False):
        check_home(Settings(home=tmp_path / "a" / "b"), writes=writes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writes", [True, False])
def test_a_home_that_is_no_folder_is_one_line(tmp_path: Path, writes: bool) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    said = {
        "file": "is a file, not a folder",
        "file/home": "cannot be read|needs the folder",
        "dangling": "is a link to nowhere, which does not exist",
        "dangling/home": "which is a broken link",
        "loop": "cannot be read",
        "fifo": "is a pipe or device",
        "x" * 256: "is too long a path",
        "/".join(["x" * 200] * 20): "is too long a path",
    }
    for name, words in said.items():
        with pytest.raises(TuningError, match=words):
            check_home(Settings(home=tmp_path / name), writes=writes)


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_read_only_home_can_be_read_but_not_written_to(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    check_home(Settings(home=home), writes=False)
    with pytest.raises(TuningError, match="home' is read-only for this user"):
        check_home(Settings(home=home), writes=True)


def test_a_home_with_a_file_in_place_of_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "models").touch()
    assert "models" in home_problem(tmp_path, (tmp_path / "models",))


@pytest.mark.parametrize("name", ["a?b", "a:b", "{{$.x}}", "a\nb", "a\x1bb"])
def test_a_home_with_a_name_that_libraries_misread_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(TuningError, match="which libraries misread"):
        load_settings(environ={"TUNING_HOME": str(tmp_path / name)})


@pytest.mark.parametrize("name", ["k=v", "[x]*", "it's", 'say "hi"', "a b", "#%", "-x", "~x", "{{x}}", "ünï"])
def test_other_names_of_homes_are_accepted(tmp_path: Path, name: str) -> None:
    assert load_settings(environ={"TUNING_HOME": str(tmp_path / name)}).home == tmp_path / name


def test_only_a_regular_file_is_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").touch()
    assert output_problem(tmp_path / "fifo") == "is a pipe or device, not a file"
    assert output_problem(Path("/dev/null")) == "is a pipe or device, not a file"
    assert output_problem(tmp_path) == "is a folder, not a file"
    assert "which is a file" in output_problem(tmp_path / "file" / "x")
    assert output_problem(tmp_path / "new" / "folder" / "x") == ""


def test_the_longest_name_of_a_file_can_be_written(tmp_path: Path) -> None:
    write_bytes(tmp_path / ("x" * 255), b"content")
    assert (tmp_path / ("x" * 255)).read_bytes() == b"content"


def test_everyone_can_read_a_finished_folder(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "model") as folder:
        (folder / "weights").touch(mode=0o600)
    assert (tmp_path / "model" / "weights").stat().st_mode & 0o777 == 0o644


def test_a_tilde_without_such_a_user_stays() -> None:
    assert expanded("~nobody-here/x") == Path("~nobody-here/x")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, "/x: Permission denied. Change its owner or permissions"),
        (errno.EROFS, "/x: Read-only file system. Change its owner or permissions"),
        (errno.ENOSPC, "the disk became full: /"),
        (errno.EFBIG, "a file reached the limit of file size. Raise the limit (`ulimit -f`)"),
        (errno.ENAMETOOLONG, "/x: File name too long. Check this path"),
    ],
)
def test_an_error_that_a_person_can_fix_is_one_line(number: int, said: str) -> None:
    assert str(file_error(OSError(number, os.strerror(number), "/x"))).startswith(said)


def test_a_full_disk_names_the_folder_and_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(resource_errors, "_free", lambda folder: 1_250_000 if folder.name == "home" else 10**9)
    said = str(disk_error('IO Error: Could not write file "x": No space left on device'))
    assert said == (
        f"the disk became full: {tmp_path}/home has 1.2 MB free now. "
        "Free some space (`invoke clean` deletes left-overs), then run the command again to resume"
    )
    assert disk_error("Could not read file") is None
    assert str(file_error(OSError("4194304 requested and 790400 written"))) == said  # NumPy's, without a number


def test_that_no_temporary_file_can_be_written_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nobody/has/this"])
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(OSError, match="No usable") as caught:
        tempfile.mkdtemp()
    assert str(file_error(caught.value)).startswith("no folder for temporary files can be written to. Free some space")


def test_another_error_is_a_bug() -> None:
    assert file_error(FileNotFoundError(errno.ENOENT, "missing", "/x")) is None
    assert file_error(BrokenPipeError(errno.EPIPE, "broken")) is None
