"""Read the parts of a split archive, ``NAME.7z.001``, ``NAME.7z.002`` and so on, as one file."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

from tuning.errors import TuningError

_PART = re.compile(r"(.+\.7z)\.(\d{3,})", re.IGNORECASE)


def whole_name(name: str) -> str:
    """Return the name of the archive that a part belongs to. Other names are returned unchanged."""
    match = _PART.fullmatch(name)
    return match[1] if match else name


def parts_of(path: Path) -> tuple[Path, ...]:
    """Return all parts of the split archive that the part `path` belongs to, in order.

    Raises TuningError if a part before the last one is missing.
    """
    whole = whole_name(path.name)
    parts: dict[int, Path] = {}
    for file in sorted(path.absolute().parent.iterdir()):
        match = _PART.fullmatch(file.name)
        if match and match[1].lower() == whole.lower() and file.is_file():
            parts.setdefault(int(match[2]), path.with_name(file.name))
    for number in range(1, max(parts, default=1) + 1):
        if number not in parts:
            raise TuningError(f"the part {whole}.{number:03} is missing", "Put all parts of the archive in one folder")
    return tuple(parts[number] for number in sorted(parts) if number)


def incomplete(parts: Sequence[Path], size: int, needed: int) -> TuningError:
    """Return the error for parts that together have only `size` of the `needed` bytes."""
    sizes = [part.stat().st_size for part in parts]
    short = next((part for part, own in zip(parts[:-1], sizes, strict=False) if own < sizes[0]), None)
    missing = f"{whole_name(parts[0].name)}.{len(parts) + 1:03}"
    what = (
        f"the part {short.name} is cut off" if short else f"the part {missing} is missing, or the last part is cut off"
    )
    return TuningError(f"{what}: the parts have {size:,} of {needed:,} bytes", "Get the part again")


class Volumes(io.RawIOBase):
    """Read several files as one. Only one of them is open at a time."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        sizes = [path.stat().st_size for path in paths]
        self._starts = [sum(sizes[:number]) for number in range(len(sizes) + 1)]
        self._position = 0
        self._number = -1
        self._file: io.FileIO | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in the whole."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position in the whole."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # of any buffer
        """Read from one file. Returns 0 at the end of the last one."""
        for number, start in enumerate(self._starts[:-1]):
            if start <= self._position < self._starts[number + 1]:
                file = self._opened(number)
                file.seek(self._position - start)
                read = file.readinto(memoryview(buffer)[: self._starts[number + 1] - self._position])
                self._position += read
                return read
        return 0

    def close(self) -> None:
        """Close the open file."""
        if self._file:
            self._file.close()
        super().close()

    def _opened(self, number: int) -> io.FileIO:
        if number != self._number or self._file is None:
            if self._file:
                self._file.close()
            self._file, self._number = io.FileIO(self._paths[number]), number
        return self._file
