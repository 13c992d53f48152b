"""Each command with a full disk, a limit of file size or a read-only folder: one line, and then it works again."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.hard.chain import half_files, results, stages
from tests.hard.commands import Home, Outcome, open_home
from tests.hard.small_disks import small_disk
from tests.hard.tables import show

DISK = 300 << 20  # bytes; the chain needs about 120 MB
FREE = (0, 16 << 10, 256 << 10, 2 << 20, 8 << 20)  # bytes that are left when a command starts
FILE_SIZES = (0, 4, 64, 1024, 8192)  # KiB that one file may have

Row = tuple[object, ...]
HEADING: Row = ("command", "fault", "result", "says")


@pytest.mark.hard
@pytest.mark.timeout(3 * 3600)
def test_a_full_disk_ends_each_command_with_one_line_and_is_forgotten_once_there_is_space(
    generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The temporary files are on another disk, as they usually are.
    temporary = tmp_path / "tmp"
    with small_disk(tmp_path / "disk", DISK) as disk, open_home(disk.folder / "home", disk.prefix, temporary) as home:
        shown = Home(disk.seen / "home", temporary=temporary)

        def faults() -> Iterator[tuple[str, tuple[str, ...]]]:
            for free in FREE:
                disk.leave(free)
                try:
                    yield f"{free >> 10} KiB free", ()
                finally:
                    disk.empty()

        rows, lost = _through_the_chain(home, shown, stages(generated), faults)
    show(capsys, "full-disk", rows)
    assert not lost, "\n\n".join(lost)


@pytest.mark.hard
@pytest.mark.timeout(3 * 3600)
def test_a_limit_of_file_size_ends_each_command_with_one_line_and_is_forgotten_after_it(
    generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_home(tmp_path / "home") as home:

        def faults() -> Iterator[tuple[str, tuple[str, ...]]]:
            for size in FILE_SIZES:
                yield f"files up to {size} KiB", files_up_to(size)
                home.run("warehouse.down")  # a server that started under the limit keeps it

        rows, lost = _through_the_chain(home, home, stages(generated), faults)
    show(capsys, "file-size", rows)
    assert not lost, "\n\n".join(lost)


@pytest.mark.hard
@pytest.mark.timeout(3 * 3600)
def test_a_folder_without_permission_ends_each_command_with_one_line_and_is_forgotten_after_it(
    generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_home(tmp_path / "home", without_privileges()) as home:

        def faults() -> Iterator[tuple[str, tuple[str, ...]]]:
            home.folder.mkdir(exist_ok=True)
            for folder in (home.folder, *sorted(path for path in home.folder.iterdir() if path.is_dir())):
                folder.chmod(0o555)
                try:
                    yield f"{folder.relative_to(home.folder.parent)} is read-only", ()
                finally:
                    folder.chmod(0o755)

        rows, lost = _through_the_chain(home, home, stages(generated), faults)
    show(capsys, "permission", rows)
    assert not lost, "\n\n".join(lost)


def test_the_sample_with_a_limit_of_file_size_is_one_line_and_loads_after_it(tmp_path: Path) -> None:
    with open_home(tmp_path / "home") as home:
        outcome = home.run("sample", "--rows", "5", prefix=files_up_to(0))
        assert (outcome.status, outcome.is_clean) == (1, True), str(outcome)
        home.run("warehouse.down")
        assert half_files(home) == []
        assert "questions: 5 read, 5 kept" in home.must("sample", "--rows", "5").out


def test_a_home_without_permission_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    with open_home(tmp_path / "closed" / "home", without_privileges()) as home:
        outcome = home.run("sample", "--rows", "5")
        assert (outcome.status, outcome.is_clean) == (1, True), str(outcome)


def files_up_to(size: int) -> tuple[str, ...]:
    """The beginning of a command whose files cannot be larger than `size` KiB."""
    return (shutil.which("bash") or "bash", "-c", f'ulimit -f {size}; exec "$@"', "bash")


def without_privileges() -> tuple[str, ...]:
    """The beginning of a command for which permissions count. Nothing for a user, but root may write everywhere."""
    if os.getuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root may write everywhere, and there is no setpriv to give that up")
    return (setpriv, "--bounding-set=-dac_override,-dac_read_search,-fowner", "--")


def _through_the_chain(
    home: Home,
    shown: Home,
    commands: dict[str, tuple[str, ...]],
    faults: Callable[[], Iterator[tuple[str, Sequence[str]]]],
) -> tuple[list[Row], list[str]]:
    """Run each command with each fault and then without. Return a table, and what went wrong."""
    rows, lost = [HEADING], []
    for stage, command in commands.items():
        for fault, prefix in faults():
            outcome = home.run(*command, prefix=prefix)
            said = outcome.err.strip().splitlines()
            result = "one line" if outcome.status else "finished"
            if not outcome.is_clean:
                result = "lost"
                lost.append(f"{stage}, {fault}: {outcome}")
            if half := half_files(shown):
                result = "half files"
                lost.append(f"{stage}, {fault}: left {half}")
            rows.append((stage, fault, result, said[-1][:200] if said and outcome.status else ""))
        again: Outcome = home.run(*command)
        if again.status != 0:
            rows.append((stage, "none, after these", "lost", again.err.strip()[-200:].replace("\n", " ")))
            lost.append(f"{stage} did not work after the faults: {again}")
            break
    if not lost and "promote" in commands:
        assert len(results(shown)) >= 7
    return rows, lost
