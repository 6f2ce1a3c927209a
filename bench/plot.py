"""Plots as SVG, written by hand: lines over numbers and bars in groups, readable on light and on dark pages.

A figure is drawn with its axes, their units, and the limit as a line of its own. Colors follow the reader's scheme
(prefers-color-scheme), which browsers also apply to an SVG inside of an <img>.
"""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 72, 20, 72, 56

# Told apart by shape too: markers of lines, and the limit is dashed. Pairs: on light, on dark.
COLORS = [("#0969da", "#58a6ff"), ("#bc4c00", "#f0883e"), ("#1a7f37", "#3fb950"), ("#8250df", "#bc8cff")]
MARKERS = ["circle", "square", "diamond", "triangle"]

STYLE = """<style>
.paper{fill:#ffffff}.ink{fill:#1f2328}.faint{fill:#59636e}.axis{stroke:#59636e}.grid{stroke:#d1d9e0}.limit{stroke:#1f2328}
""" + "".join(f".f{i}{{fill:{light}}}.s{i}{{stroke:{light}}}" for i, (light, _) in enumerate(COLORS)) + """
@media (prefers-color-scheme: dark){
.paper{fill:#0d1117}.ink{fill:#f0f6fc}.faint{fill:#9198a1}.axis{stroke:#9198a1}.grid{stroke:#30363d}.limit{stroke:#f0f6fc}
""" + "".join(f".f{i}{{fill:{dark}}}.s{i}{{stroke:{dark}}}" for i, (_, dark) in enumerate(COLORS)) + """}
text{font-family:system-ui,sans-serif;font-size:13px}.title{font-size:16px;font-weight:600}.small{font-size:11px}
.line{fill:none;stroke-width:2}.dash{fill:none;stroke-width:1.5;stroke-dasharray:6 4}
</style>"""


def number(value):
    """1200 as 1,200; 0.25 as 0.25: as many digits as a label needs."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.3g}"


def ticks(most, count=5):
    """Round numbers from 0 to at least `most`."""
    if most <= 0:
        return [0, 1]
    step = 10 ** math.floor(math.log10(most / count))
    step = next(step * k for k in (1, 2, 2.5, 5, 10) if step * k * count >= most)
    return [round(step * i, 10) for i in range(math.ceil(most / step - 1e-9) + 1)]


def in_two_lines(label, width):
    """A label that is wider than so many pixels is broken once, at a dash or dot near its middle."""
    if 7 * len(label) <= width:
        return [label]
    breaks = [i + 1 for i, c in enumerate(label[:-1]) if c in "-. "] or [len(label) // 2]
    at = min(breaks, key=lambda i: abs(i - len(label) / 2))
    return [label[:at], label[at:]]


class Figure:
    def __init__(self, title, x_label, y_label, description):
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
                      f'height="{HEIGHT}" role="img" aria-labelledby="t d">',
                      f'<title id="t">{escape(title)}</title><desc id="d">{escape(description)}</desc>', STYLE,
                      f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="6"/>']
        self.text(LEFT, 26, title, "ink title", "start")
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_label, "ink", "middle")
        y = (TOP + HEIGHT - BOTTOM) / 2
        self.parts.append(f'<text class="ink" text-anchor="middle" transform="translate(18 {y:.0f}) rotate(-90)">'
                          f'{escape(y_label)}</text>')
        self.legend_x = LEFT

    def text(self, x, y, text, kind, anchor):
        self.parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def segment(self, x1, y1, x2, y2, kind):
        self.parts.append(f'<path class="{kind}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>')

    def y_axis(self, most):
        marks = ticks(most)
        self.y_max = marks[-1]
        for value in marks:
            y = self.y(value)
            self.segment(LEFT, y, WIDTH - RIGHT, y, "axis" if value == 0 else "grid")
            self.text(LEFT - 8, y + 4, number(value), "faint", "end")

    def y(self, value):
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * min(value / self.y_max, 1)

    def legend(self, name, mark):
        self.parts.append(f'<g transform="translate({self.legend_x} 48)">{mark}</g>')
        self.text(self.legend_x + 26, 52, name, "ink", "start")
        self.legend_x += 44 + 7.2 * len(name)

    def marker(self, i, x, y):
        kind, c = MARKERS[i % len(MARKERS)], f"f{i % len(COLORS)}"
        if kind == "circle":
            return f'<circle class="{c}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        if kind == "square":
            return f'<rect class="{c}" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
        corners = [(0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0)] if kind == "diamond" else [(0, -5), (5, 4), (-5, 4)]
        return f'<path class="{c}" d="M' + "L".join(f"{x + a:.1f} {y + b:.1f}" for a, b in corners) + 'Z"/>'

    def whisker(self, i, x, low, high):
        for y in (self.y(low), self.y(high)):
            self.segment(x - 4, y, x + 4, y, f"s{i % len(COLORS)}")
        self.segment(x, self.y(low), x, self.y(high), f"s{i % len(COLORS)}")

    def save(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(self.parts) + "\n</svg>\n", encoding="utf-8")


def describe(series, limit):
    names = [name for name, _ in series] + (["the limit of the machine"] if limit else [])
    return "Lines or bars: " + ", ".join(names) + ". The table beside the figure has the numbers."


def lines(path, title, x_label, y_label, series, limit=None):
    """series: [(name, [(x, median, least, most), ...])]; limit: [(x, y), ...], drawn dashed."""
    figure = Figure(title, x_label, y_label, describe(series, limit))
    xs = sorted({p[0] for _, points in series for p in points})
    figure.y_axis(max([p[3] for _, points in series for p in points] + [y for _, y in limit or []]))
    first, last = xs[0], xs[-1]

    def place(x):
        share = (x - first) / (last - first) if last > first else 0.5
        return LEFT + 20 + (WIDTH - RIGHT - LEFT - 40) * share

    written = -100.0
    for x in xs:
        if place(x) - written < 9 + 7.5 * len(number(x)):
            continue  # its label would run into the one before
        written = place(x)
        figure.segment(written, figure.y(0), written, figure.y(0) + 5, "axis")
        figure.text(written, figure.y(0) + 20, number(x), "faint", "middle")
    if limit:
        figure.parts.append('<path class="dash limit" d="M' +
                            "L".join(f"{place(x):.1f} {figure.y(y):.1f}" for x, y in sorted(limit)) + '"/>')
    for i, (name, points) in enumerate(series):
        points = sorted(points)
        figure.parts.append(f'<path class="line s{i % len(COLORS)}" d="M' +
                            "L".join(f"{place(p[0]):.1f} {figure.y(p[1]):.1f}" for p in points) + '"/>')
        for x, median, least, most in points:
            figure.whisker(i, place(x), least, most)
            figure.parts.append(figure.marker(i, place(x), figure.y(median)))
        figure.legend(name, f'<path class="line s{i % len(COLORS)}" d="M0 0H20"/>' + figure.marker(i, 10, 0))
    if limit:
        figure.legend("limit of the machine", '<path class="dash limit" d="M0 0H20"/>')
    figure.save(path)


def bars(path, title, x_label, y_label, groups, names, limits=None):
    """groups: [(label, [(median, least, most) or None for each name])]; limits: a number or None for each group."""
    limits = limits or [None] * len(groups)
    figure = Figure(title, x_label, y_label, describe([(n, None) for n in names], any(limits)))
    figure.y_axis(max([v[2] for _, values in groups for v in values if v] + [x for x in limits if x]))
    room = (WIDTH - RIGHT - LEFT) / len(groups)
    wide = min(0.7 * room / len(names), 64)
    for g, (label, values) in enumerate(groups):
        middle = LEFT + room * (g + 0.5)
        begin = middle - wide * len(names) / 2
        for i, line in enumerate(in_two_lines(label, room)):
            figure.text(middle, figure.y(0) + 15 + 13 * i, line, "faint small", "middle")
        for i, value in enumerate(values):
            if not value:
                continue
            x, y = begin + wide * i, figure.y(value[0])
            figure.parts.append(f'<rect class="f{i % len(COLORS)}" x="{x + 1:.1f}" y="{y:.1f}" width="{wide - 2:.1f}" '
                                f'height="{figure.y(0) - y:.1f}"/>')
            low, high = figure.y(value[1]), figure.y(value[2])
            figure.segment(x + wide / 2, low, x + wide / 2, high, "axis")
            figure.text(x + wide / 2, min(y, high) - 5, number(float(f"{value[0]:.3g}")), "ink small", "middle")
        if limits[g]:
            y = figure.y(limits[g])
            figure.segment(begin - 8, y, begin + wide * len(names) + 8, y, "dash limit")
    for i, name in enumerate(names):
        figure.legend(name, f'<rect class="f{i % len(COLORS)}" x="4" y="-6" width="12" height="12"/>')
    if any(limits):
        figure.legend("limit of the machine", '<path class="dash limit" d="M0 0H20"/>')
    figure.save(path)
