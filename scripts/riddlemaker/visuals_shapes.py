"""Visual riddles about seeing: clocks, counting, areas, symmetry. Answers are computed from what is drawn."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from riddlemaker.canvas import (
    BLUE,
    GREEN,
    GREY,
    INK,
    PALE,
    RED,
    YELLOW,
    Canvas,
    Point,
    polar,
    regular,
    star,
)
from riddlemaker.riddle import Riddle


@dataclass(frozen=True, slots=True)
class Visual:
    """A riddle and its finished picture, PNG or JPEG."""

    riddle: Riddle
    picture: bytes


Cell = tuple[int, int]


def clock(hour: int, minute: int, *, mirrored: bool) -> Visual:
    """A clock face with dashes; mirrored: as seen in a mirror, so left and right are swapped."""
    board = Canvas(260, 260)
    centre = (130.0, 130.0)
    sign = -1 if mirrored else 1
    board.circle(centre, 112, fill="#ffffff", width=4)
    for k in range(60):
        long = k % 5 == 0
        board.line([polar(centre, 94 if long else 102, 6 * k), polar(centre, 107, 6 * k)], width=3 if long else 1)
    board.line([centre, polar(centre, 56, -90 + sign * (30 * hour + minute / 2))], width=8)
    board.line([centre, polar(centre, 86, -90 + sign * 6 * minute)], colour=BLUE, width=5)
    board.circle(centre, 6, fill=INK)
    time = f"{hour}:{minute:02d}"
    if not mirrored:
        angle = abs(30 * hour + minute / 2 - 6 * minute)
        angle = min(angle, 360 - angle)
        return Visual(
            Riddle(
                "geometry",
                30,
                "The picture shows a clock without numerals; twelve is at the top. The thick short hand shows "
                "the hours, "
                "the long blue one the minutes. What is the smaller angle between the two hands, in degrees?",
                f"{angle:g} degrees",
                f"The clock shows {time}. The minute hand stands at {6 * minute} degrees from the top, the hour "
                "hand at "
                f"30 × {hour} + {minute} / 2 = {30 * hour + minute / 2:g} degrees. The smaller angle between them is "
                f"{angle:g} degrees.",
                ("Read the time first.", "The hour hand moves half a degree a minute.", None, f"It is {time}."),
            ),
            board.png(),
        )
    return Visual(
        Riddle(
            "geometry",
            30,
            "The picture shows how a clock without numerals looks in a mirror; twelve is at the top. The thick "
            "short hand "
            "shows the hours, the long blue one the minutes. What time is it really?",
            time,
            f"A mirror swaps left and right. The mirror image seems to show {_mirror_time(hour, minute)}, and the true "
            f"time and the seen time add up to twelve hours, so it is {time}.",
            ("What would you see if you turned the picture over?", "Seen time and true time add up to twelve hours."),
        ),
        board.png(),
    )


def _mirror_time(hour: int, minute: int) -> str:
    seen = (720 - 60 * (hour % 12) - minute) % 720
    return f"{seen // 60 or 12}:{seen % 60:02d}"


SHAPES = {"triangle": "triangles", "square": "squares", "circle": "circles", "star": "stars"}
COLOUR_NAMES = {"red": RED, "blue": BLUE, "green": GREEN, "yellow": YELLOW}


def crowd(seed: int, columns: int, rows: int, *, odd: tuple[str, str]) -> Visual:
    """Shapes strewn on a grid of places; asked: how many have one shape but not one colour."""
    rng = random.Random(seed)
    board = Canvas(columns * 46 + 24, rows * 46 + 24)
    drawn: list[tuple[str, str]] = []
    for row in range(rows):
        for column in range(columns):
            what = (rng.choice(list(SHAPES)), rng.choice(list(COLOUR_NAMES)))
            centre = (35 + column * 46 + rng.uniform(-4, 4), 35 + row * 46 + rng.uniform(-4, 4))
            _shape(board, *what, centre, rng.uniform(13, 17))
            drawn.append(what)
    shape, colour = odd
    all_of_shape = sum(what[0] == shape for what in drawn)
    of_colour = drawn.count(odd)
    number = all_of_shape - of_colour
    return Visual(
        Riddle(
            "counting",
            20,
            f"How many {SHAPES[shape]} in the picture are not {colour}?",
            f"{number} {SHAPES[shape]}",
            f"There are {all_of_shape} {SHAPES[shape]} in the picture, and {of_colour} of them are {colour}. "
            f"{all_of_shape} - {of_colour} = {number}.",
            ("Go through the picture row by row.",),
        ),
        board.png(),
    )


def _shape(board: Canvas, shape: str, colour: str, centre: Point, size: float) -> None:
    fill = COLOUR_NAMES[colour]
    if shape == "circle":
        board.circle(centre, size, fill=fill)
    elif shape == "star":
        board.polygon(star(centre, size * 1.2), fill=fill)
    elif shape == "triangle":
        board.polygon(regular((centre[0], centre[1] + 2), size * 1.15, 3), fill=fill)
    else:
        board.polygon(regular(centre, size * 1.15, 4, turn=-45), fill=fill)


def squares(size: int, missing: frozenset[Cell]) -> Visual:
    """A square grid in which some cells are filled with ink; asked: squares made of white cells only."""
    board = Canvas(size * 56 + 24, size * 56 + 24)
    for row in range(size):
        for column in range(size):
            fill = INK if (row, column) in missing else "#ffffff"
            board.rect((12 + column * 56, 12 + row * 56), (56, 56), fill=fill, width=3)
    by_side = [sum(1 for cells in _blocks(size, side) if not missing & cells) for side in range(1, size + 1)]
    found = [f"{count} of {side} × {side}" for side, count in enumerate(by_side, start=1) if count]
    return Visual(
        Riddle(
            "counting",
            40,
            "How many squares of any size can you find in the picture that lie on the lines of the grid and "
            "contain no black "
            "cell?",
            f"{sum(by_side)} squares",
            f"Counted by their side in cells: {', '.join(found)}. Together {sum(by_side)}.",
            ("There is more than one size.", "Count each size on its own.", f"There are {by_side[0]} of the smallest."),
        ),
        board.png(),
    )


def _blocks(size: int, side: int) -> Iterator[frozenset[Cell]]:
    for top in range(size - side + 1):
        for left in range(size - side + 1):
            yield frozenset((top + r, left + c) for r in range(side) for c in range(side))


def fan(rays: int, levels: int) -> Visual:
    """A triangle cut by rays from its apex and by lines parallel to its base; asked: triangles of any size."""
    board = Canvas(320, 280)
    apex = (160.0, 20.0)
    feet = [(24 + k * 272 / (rays - 1), 258.0) for k in range(rays)]
    for foot in feet:
        board.line([apex, foot], width=3)
    for level in range(1, levels + 1):
        share = level / levels
        ends = [(apex[0] + (foot[0] - apex[0]) * share, apex[1] + 238 * share) for foot in (feet[0], feet[-1])]
        board.line(ends, width=3)
    number = sum(1 for _ in combinations(range(rays), 2)) * levels
    return Visual(
        Riddle(
            "counting",
            40,
            "How many triangles, of any size, can you find in the picture?",
            f"{number} triangles",
            f"Every triangle has its top at the apex, two of the {rays} rays as sides and one of the {levels} "
            "level lines as "
            f"its base: {number // levels} × {levels} = {number}.",
            ("All of them share a corner.", "Count those on the lowest line first."),
        ),
        board.png(),
    )


def twisted(glyph: str, columns: int, rows: int, at: Cell) -> Visual:
    """A table of one character, of which one is mirrored."""
    board = Canvas(columns * 46 + 60, rows * 46 + 50)
    for column in range(columns):
        board.text((63 + column * 46, 20), "ABCDEFGH"[column], size=17, colour=BLUE)
    for row in range(rows):
        board.text((20, 60 + row * 46), str(row + 1), size=17, colour=BLUE)
        for column in range(columns):
            board.stamp((63 + column * 46, 60 + row * 46), glyph, size=31, mirrored=(row, column) == at)
    name = f"{'ABCDEFGH'[at[1]]}{at[0] + 1}"
    return Visual(
        Riddle(
            "perception",
            20,
            f'In the picture, one of the characters "{glyph}" is mirrored. In which column (letter) and row '
            "(number) does it stand?",
            name,
            f"All characters open to the same side except the one in column {name[0]}, row {name[1]}, where left "
            "and right "
            "are swapped.",
            (f"It is not in row {(at[0] + 1) % rows + 1}.",),
        ),
        board.png(),
    )


def shaded(size: int, cells: frozenset[Cell], halves: frozenset[Cell]) -> Visual:
    """A grid with whole and half cells shaded; asked: the shaded share as a fraction in lowest terms."""
    board = Canvas(size * 50 + 24, size * 50 + 24)
    for row in range(size):
        for column in range(size):
            x, y = 12 + column * 50, 12 + row * 50
            board.rect((x, y), (50, 50), fill=BLUE if (row, column) in cells else "#ffffff")
            if (row, column) in halves:
                board.polygon([(x, y), (x + 50, y + 50), (x, y + 50)], fill=BLUE)
    twice = 2 * len(cells) + len(halves)
    top, bottom = _lowest(twice, 2 * size * size)
    return Visual(
        Riddle(
            "geometry",
            30,
            "What fraction of the large square is blue? Give it in lowest terms.",
            f"{top}/{bottom}",
            f"{len(cells)} cells are blue as a whole and {len(halves)} are half blue, so {twice / 2:g} of "
            f"{size * size} cells "
            f"are blue, which is {top}/{bottom}.",
            ("Two halves make a whole cell.", f"The large square has {size * size} cells."),
        ),
        board.png(),
    )


def _lowest(top: int, bottom: int) -> tuple[int, int]:
    a, b = top, bottom
    while b:
        a, b = b, a % b
    return top // a, bottom // a


def lattice(corners: Sequence[Cell]) -> Visual:
    """A polygon on a dot grid, whose area is asked for; corners in grid units (column, row)."""
    board = Canvas(320, 320)
    place = [(30 + 37 * column, 30 + 37 * row) for column, row in corners]
    board.polygon(place, fill="#cfe0fb", width=3)
    for row in range(8):
        for column in range(8):
            board.circle((30 + 37 * column, 30 + 37 * row), 3, fill=INK)
    pairs = list(zip(corners, [*corners[1:], corners[0]], strict=True))
    area = abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2
    edge = sum(_lowest_steps(x2 - x1, y2 - y1) for (x1, y1), (x2, y2) in pairs)
    inside = round(area - edge / 2 + 1)
    return Visual(
        Riddle(
            "geometry",
            50,
            "The corners of the blue figure lie on dots; neighbouring dots in a row or a column are 1 cm apart. "
            "What is the "
            "area of the figure, in square centimetres?",
            f"{area:g} square centimetres",
            f"{edge} dots lie on the outline and {inside} inside. By Pick's theorem the area is {inside} + {edge} "
            "/ 2 - 1 = "
            f"{area:g}.",
            ("Put a rectangle around it and take away what is too much.", "Or count dots: on the outline, and inside."),
        ),
        board.png(),
    )


def _lowest_steps(dx: int, dy: int) -> int:
    a, b = abs(dx), abs(dy)
    while b:
        a, b = b, a % b
    return a


def towers(heights: Sequence[Sequence[int]]) -> Visual:
    """Stacked cubes from above and in front; heights[row][column], back row first, no cube hidden from counting."""
    board = Canvas(320, 300)
    u, v = 34.0, 17.0
    rows, columns = len(heights), len(heights[0])
    for row in range(rows):
        for column in range(columns):
            for level in range(heights[row][column]):
                x = 160 + (column - row) * u
                y = 140 + (column + row) * v - level * 36
                _cube(board, x, y, u, v)
    number = sum(map(sum, heights))
    stacks = " + ".join(str(height) for line in heights for height in line if height)
    return Visual(
        Riddle(
            "geometry",
            40,
            "Equal cubes are stacked on the floor. No cube floats: below each cube there is another one or the "
            "floor. Every "
            "stack can be seen in the picture, at least its top. How many cubes are there in all?",
            f"{number} cubes",
            f"The heights of the stacks, from back to front, are {stacks} = {number}.",
            ("Some cubes are hidden behind or below others.", "Find the height of each stack and add."),
        ),
        board.png(),
    )


def _cube(board: Canvas, x: float, y: float, u: float, v: float) -> None:
    """One cube; (x, y) is the back corner of its top face."""
    top = [(x, y), (x + u, y + v), (x, y + 2 * v), (x - u, y + v)]
    board.polygon(top, fill="#ffffff")
    board.polygon([(x - u, y + v), (x, y + 2 * v), (x, y + 2 * v + 36), (x - u, y + v + 36)], fill=GREY)
    board.polygon([(x + u, y + v), (x, y + 2 * v), (x, y + 2 * v + 36), (x + u, y + v + 36)], fill=PALE)


def symmetry(size: int, left: frozenset[Cell], wrong: Cell) -> Visual:
    """A pattern that is symmetric about its vertical middle line except for one pair of cells."""
    board = Canvas(2 * size * 32 + 54, size * 32 + 54)
    right = {(row, 2 * size - 1 - column) for row, column in left} ^ {wrong}
    for column in range(2 * size):
        board.text((58 + column * 32 - 2, 18), "ABCDEFGHIJ"[column], size=15, colour=BLUE)
    for row in range(size):
        board.text((20, 56 + row * 32), str(row + 1), size=15, colour=BLUE)
        for column in range(2 * size):
            fill = GREEN if (row, column) in left | right else "#ffffff"
            board.rect((40 + column * 32, 40 + row * 32), (32, 32), fill=fill, width=1)
    middle = 40 + size * 32
    board.line([(middle, 32), (middle, 40 + size * 32 + 8)], colour=RED, width=3)
    name = f"{'ABCDEFGHIJ'[wrong[1]]}{wrong[0] + 1}"
    twin = f"{'ABCDEFGHIJ'[2 * size - 1 - wrong[1]]}{wrong[0] + 1}"
    state = "green" if wrong in right else "white"
    return Visual(
        Riddle(
            "perception",
            30,
            "The pattern should be symmetric about the red line, but one cell to the right of the line has the "
            "wrong colour. "
            "Which cell is it? Give its column letter and its row number.",
            name,
            f"{name} is {state}, but its mirror image {twin} is {'white' if state == 'green' else 'green'}. All "
            "other cells "
            "agree with their mirror images.",
            ("Compare the two halves row by row, from the red line outwards.",),
        ),
        board.png(),
    )


def bars(values: Sequence[int], days: Sequence[str]) -> Visual:
    """A bar chart; asked: on how many days more than the average was sold."""
    board = Canvas(330, 250)
    for k in range(0, 11, 2):
        board.line([(40, 215 - 19 * k), (318, 215 - 19 * k)], colour=GREY, width=1)
        board.text((22, 215 - 19 * k), str(k), size=14)
    for k, value in enumerate(values):
        board.rect((52 + 39 * k, 215 - 19 * value), (25, 19 * value), fill=YELLOW)
        board.text((64 + 39 * k, 231), days[k], size=14)
    mean = sum(values) / len(values)
    above = [day for day, value in zip(days, values, strict=True) if value > mean]
    return Visual(
        Riddle(
            "arithmetic",
            30,
            "The chart shows how many kites a shop sold on each day of a week. On how many days did it sell more "
            "than its "
            "average of the week?",
            f"{len(above)} days",
            f"The bars read {', '.join(map(str, values))}; their sum is {sum(values)} and the average {mean:g}. "
            "More was sold "
            f"on {', '.join(above)}: {len(above)} days.",
            ("Add up all bars first.", f"{sum(values)} kites were sold in the week."),
        ),
        board.png(),
    )


def strings(seed: int, names: str, asked: int) -> Visual:
    """Balloons and children joined by crossing strings; asked: whose balloon is it."""
    rng = random.Random(seed)
    count = len(names)
    order = list(range(count))
    while any(k == place for place, k in enumerate(order)):
        rng.shuffle(order)
    board = Canvas(320, 300)
    for k in range(count):
        top, bottom = 40 + 240 * k / (count - 1), 40 + 240 * order[k] / (count - 1)
        curve = [(top + (bottom - top) * _smooth(step / 24), 66 + 190 * step / 24) for step in range(25)]
        board.line(curve, colour=INK, width=2)
    for k in range(count):
        x = 40 + 240 * k / (count - 1)
        board.circle((x, 44), 21, fill=(RED, YELLOW, GREEN, BLUE, GREY)[k])
        board.text((x, 44), str(k + 1), size=20)
        board.text((x, 274), names[k], size=24)
    child = names[order[asked]]
    return Visual(
        Riddle(
            "perception",
            20,
            f"Each child, A to {names[-1]}, holds the string of one balloon. The strings cross but do not touch. "
            "Which child "
            f"holds balloon {asked + 1}?",
            f"Child {child}",
            f"Followed smoothly through its crossings, the string of balloon {asked + 1} ends at {child}.",
            ("Follow the string with a finger; it never bends sharply.",),
        ),
        board.jpeg(),
    )


def _smooth(t: float) -> float:
    return t * t * (3 - 2 * t)


def words(entries: Sequence[tuple[str, str]]) -> Visual:
    """Colour words in colours; asked: how many are written in the colour that they name."""
    board = Canvas(300, 260)
    for k, (word, colour) in enumerate(entries):
        board.text((80 + 140 * (k % 2), 34 + 38 * (k // 2)), word.upper(), size=25, colour=COLOUR_NAMES[colour])
    right = [word for word, colour in entries if word == colour]
    return Visual(
        Riddle(
            "perception",
            10,
            "The picture shows names of colours. How many of these words are written in the colour that they name?",
            f"{len(right)} words",
            f"Only {len(right)} of the {len(entries)} words have the colour that they name: {', '.join(right)}.",
            ("Do not read faster than you look.",),
        ),
        board.png(),
    )


def makers() -> tuple[Callable[[], Visual], ...]:
    """The riddles of this file in the order of their ids: append, never insert."""
    return (
        lambda: clock(7, 20, mirrored=False),
        lambda: clock(1, 50, mirrored=False),
        lambda: clock(8, 35, mirrored=True),
        lambda: clock(2, 10, mirrored=True),
        lambda: crowd(11, 7, 5, odd=("triangle", "red")),
        lambda: crowd(23, 7, 5, odd=("star", "blue")),
        lambda: squares(4, frozenset({(1, 1)})),
        lambda: squares(5, frozenset({(0, 0), (2, 2), (3, 4)})),
        lambda: fan(5, 2),
        lambda: fan(6, 3),
        lambda: twisted("7", 7, 5, (3, 4)),
        lambda: twisted("R", 8, 5, (1, 6)),
        lambda: shaded(4, frozenset({(0, 0), (1, 1), (2, 2), (3, 3)}), frozenset({(0, 1), (1, 2), (2, 3), (3, 0)})),
        lambda: shaded(
            5, frozenset({(0, 4), (2, 2), (4, 0), (1, 3), (3, 1), (2, 0)}), frozenset({(0, 0), (4, 4), (2, 4)})
        ),
        lambda: lattice([(1, 1), (6, 0), (7, 5), (3, 7)]),
        lambda: lattice([(0, 2), (3, 3), (5, 0), (7, 6), (4, 5), (1, 7)]),
        lambda: towers([[3, 2, 1], [2, 1, 1], [1, 1, 0]]),
        lambda: towers([[4, 3, 2], [3, 1, 1], [1, 1, 1]]),
        lambda: symmetry(
            5, frozenset({(0, 1), (0, 4), (1, 0), (1, 3), (2, 2), (2, 4), (3, 1), (4, 0), (4, 3)}), (3, 6)
        ),
        lambda: symmetry(5, frozenset({(0, 0), (0, 3), (1, 2), (1, 4), (2, 1), (3, 3), (3, 4), (4, 2)}), (2, 8)),
        lambda: bars((3, 6, 4, 8, 2, 10, 9), ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")),
        lambda: strings(5, "ABCDE", 1),
        lambda: strings(12, "ABCDE", 3),
        lambda: words(
            (
                ("red", "blue"),
                ("green", "green"),
                ("blue", "yellow"),
                ("yellow", "red"),
                ("blue", "blue"),
                ("green", "red"),
                ("yellow", "yellow"),
                ("red", "green"),
                ("green", "blue"),
                ("red", "red"),
                ("yellow", "green"),
                ("blue", "red"),
            )
        ),
    )
