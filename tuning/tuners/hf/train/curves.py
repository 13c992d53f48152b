"""Save learning curves as JSON and as an SVG image."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tuning.records import write_record
from tuning.storage import write_bytes

JSON, PICTURE = "curves.json", "curves.svg"
_WIDTH, _HEIGHT, _MARGIN = 640, 320, 48


class Point(msgspec.Struct, frozen=True):
    """Hold the loss at an optimizer step."""

    step: int
    loss: float


class Curves(msgspec.Struct, frozen=True, kw_only=True):
    """Hold losses by optimizer step. `development` is the loss of held-out rows.

    `train` is the loss of the batches since the previous point: in runs of up to 199 steps, of one batch.
    """

    train: list[Point]
    development: list[Point]


def read_history(history: Sequence[dict[str, float]]) -> Curves:
    """Return the curves that a trainer's log contains."""
    return Curves(
        train=[Point(int(row["step"]), row["loss"]) for row in history if "loss" in row],
        development=[Point(int(row["step"]), row["eval_loss"]) for row in history if "eval_loss" in row],
    )


def write_curves(folder: Path, curves: Curves) -> None:
    """Write curves.json and curves.svg to `folder`."""
    write_record(folder / JSON, curves)
    write_bytes(folder / PICTURE, draw(curves).encode())


def draw(curves: Curves) -> str:
    """Return both curves as an SVG image. Each axis is labeled at its ends."""
    points = [*curves.train, *curves.development]
    last = max((point.step for point in points), default=1) or 1
    low = min((point.loss for point in points), default=0.0)
    high = max((point.loss for point in points), default=1.0)
    spread = (high - low) or 1.0

    def place(point: Point) -> str:
        x = _MARGIN + point.step / last * (_WIDTH - 2 * _MARGIN)
        y = _HEIGHT - _MARGIN - (point.loss - low) / spread * (_HEIGHT - 2 * _MARGIN)
        return f"{x:.1f},{y:.1f}"

    def line(points: Sequence[Point], color: str, name: str, row: int) -> str:
        dots = "".join(
            '<circle cx="{}" cy="{}" r="3" fill="{}"/>'.format(*place(point).split(","), color) for point in points
        )
        path = " ".join(place(point) for point in points)
        label = f'<text x="{_WIDTH - _MARGIN}" y="{16 + 16 * row}" text-anchor="end" fill="{color}">{name}</text>'
        return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>{dots}{label}'

    bottom = _HEIGHT - _MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
            'font-size="12" role="img" aria-label="Loss by training step">',
            f'<path d="M{_MARGIN},{_MARGIN} V{bottom} H{_WIDTH - _MARGIN}" fill="none" stroke="#767676"/>',
            f'<text x="{_MARGIN - 6}" y="{_MARGIN + 4}" text-anchor="end" fill="#595959">{high:.2f}</text>',
            f'<text x="{_MARGIN - 6}" y="{bottom + 4}" text-anchor="end" fill="#595959">{low:.2f}</text>',
            f'<text x="{_MARGIN}" y="{_HEIGHT - 24}" fill="#595959">step 0</text>',
            f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 24}" text-anchor="end" fill="#595959">step {last}</text>',
            line(curves.train, "#0b62a4", "training loss, each step's batch", 0),
            line(curves.development, "#b3451e", "development loss, held-out training rows", 1),
            "</svg>\n",
        ]
    )
