"""A picture of the figures: recall against false reverts, judge by judge, as plain SVG."""

from collections.abc import Mapping
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP = 640, 360, 64, 24
SPAN_X, SPAN_Y = 520, 270
COLOURS = ("#0b6e4f", "#b23a48", "#3b5ba5", "#b97a1a", "#7a4fa3", "#5a5a5a")

Point = tuple[float, tuple[float, float], float, tuple[float, float]]
"""(false reverts per rollout, its interval, recall, its interval)."""


def draw(points: Mapping[str, Point], path: Path) -> None:
    """Write the picture; the best place is its top left corner."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for step in range(6):
        share = step / 5
        x, y = _x(share), _y(share)
        parts += [
            f'<path d="M{x:.1f} {_y(0):.1f}V{_y(1):.1f}M{_x(0):.1f} {y:.1f}H{_x(1):.1f}" '
            'stroke="#e4e4e4"/>',
            f'<text x="{x:.1f}" y="{_y(0) + 18:.1f}" text-anchor="middle">{share:.0%}</text>',
            f'<text x="{_x(0) - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>',
        ]
    parts += [
        f'<text x="{_x(0.5):.1f}" y="{HEIGHT - 12}" text-anchor="middle">'
        "healthy rollouts reverted (10 metrics)</text>",
        f'<text transform="translate(16 {_y(0.5):.1f}) rotate(-90)" text-anchor="middle">'
        "errors of at least twice found</text>",
    ]
    for index, (name, point) in enumerate(points.items()):
        parts += _mark(name, point, COLOURS[index % len(COLOURS)], index)
    path.write_text("\n".join([*parts, "</svg>\n"]), "utf-8")


def _mark(name: str, point: Point, colour: str, index: int) -> list[str]:
    false, (low, high), recall, (least, most) = point
    x, y = _x(false), _y(recall)
    row = _y(0.62) + 18 * index
    shown = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return [
        f'<path d="M{_x(low):.1f} {y:.1f}H{_x(high):.1f}M{x:.1f} {_y(least):.1f}V{_y(most):.1f}" '
        f'stroke="{colour}" stroke-width="1.5"/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>',
        f'<circle cx="{_x(0.38):.1f}" cy="{row:.1f}" r="5" fill="{colour}"/>',
        f'<text x="{_x(0.38) + 12:.1f}" y="{row + 4:.1f}">{shown}</text>',
    ]


def _x(share: float) -> float:
    return LEFT + SPAN_X * share


def _y(share: float) -> float:
    return TOP + SPAN_Y * (1 - share)
