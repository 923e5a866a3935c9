"""Draws bar charts side by side as one SVG, with nothing but Python."""

WIDTH, HEIGHT = 300, 240  # of one chart
TOP, BOTTOM, SIDE = 40, 50, 15


def bar_charts(charts):
    """`charts`: [(title, name of the horizontal axis, {label: value})]; returns the SVG's text."""
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * len(charts)}" height="{HEIGHT}" '
             'font-family="sans-serif" font-size="11" text-anchor="middle">',
             '<rect width="100%" height="100%" fill="white"/>']
    for index, chart in enumerate(charts):
        parts += _chart(index * WIDTH, *chart)
    return "\n".join([*parts, "</svg>\n"])


def _chart(left, title, axis, bars):
    middle = left + WIDTH / 2
    yield f'<text x="{middle}" y="20" font-size="12">{title}</text>'
    yield f'<text x="{middle}" y="{HEIGHT - 12}">{axis}</text>'
    step = (WIDTH - 2 * SIDE) / len(bars)
    room = HEIGHT - TOP - BOTTOM
    for place, (label, value) in enumerate(bars.items()):
        height = room * value / max(bars.values())
        x, y = left + SIDE + step * place, TOP + room - height
        center = x + step / 2
        yield (f'<rect x="{x + 0.1 * step:.1f}" y="{y:.1f}" width="{0.8 * step:.1f}" '
               f'height="{height:.1f}" fill="#1f77b4"/>')
        yield f'<text x="{center:.1f}" y="{y - 4:.1f}">{value:,.4g}</text>'
        yield f'<text x="{center:.1f}" y="{HEIGHT - 34}">{label}</text>'
