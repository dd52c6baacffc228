"""Visual riddles about thinking: mazes, balances, dice, matches, grids. Answers are computed from what is drawn."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise, permutations

from riddlemaker.canvas import BLUE, GREEN, GREY, INK, PALE, RED, YELLOW, Canvas, Point, polar, regular
from riddlemaker.riddle import Riddle
from riddlemaker.visuals_shapes import Cell, Visual

Wall = frozenset[Cell]
STEPS = {"up": (-1, 0), "right": (0, 1), "down": (1, 0), "left": (0, -1)}


def maze(seed: int, size: int) -> Visual:
    """A maze with a start in the middle and four gates, of which exactly one can be reached."""
    rng = random.Random(seed)
    doors = {
        "A": ((0, 1), (-1, 1)),
        "B": ((1, size - 1), (1, size)),
        "C": ((size - 1, size - 2), (size, size - 2)),
        "D": ((size - 2, 0), (size - 2, -1)),
    }
    start = (size // 2, size // 2)
    while True:
        passages = _carve(rng, size)
        for _ in range(3):  # cut the maze in pieces
            passages.remove(rng.choice(sorted(passages, key=sorted)))
        reached = _reach(passages, start)
        open_gates = [name for name, (inside, _) in doors.items() if inside in reached]
        if len(open_gates) == 1 and len(reached) > size * size // 3:
            break
    board = Canvas(size * 28 + 68, size * 28 + 68)
    _walls(board, size, passages, {frozenset(door) for door in doors.values()})
    for name, (_, (row, column)) in doors.items():
        board.text((34 + 28 * column + 14, 34 + 28 * row + 14), name, size=20, colour=BLUE)
    board.circle((34 + 28 * start[1] + 14, 34 + 28 * start[0] + 14), 7, fill=RED)
    gate = open_gates[0]
    return Visual(
        Riddle(
            "logic",
            30,
            "Through which of the four gates A, B, C and D can you leave the maze, if you start at the red dot?",
            f"Gate {gate}",
            f"Of the four gates, only {gate} is joined to the red dot by open passages; walls cut off the way to "
            "each of the "
            "others.",
            ("Going backwards from the gates is often quicker.",),
        ),
        board.png(),
    )


def _carve(rng: random.Random, size: int) -> set[Wall]:
    """Passages of a perfect maze, as pairs of neighbouring cells (depth first)."""
    start = (rng.randrange(size), rng.randrange(size))
    seen, stack, passages = {start}, [start], set()
    while stack:
        fresh = [cell for cell in _near(stack[-1], size) if cell not in seen]
        if not fresh:
            stack.pop()
            continue
        cell = rng.choice(fresh)
        passages.add(frozenset({stack[-1], cell}))
        seen.add(cell)
        stack.append(cell)
    return passages


def _near(cell: Cell, size: int) -> Iterator[Cell]:
    for down, right in STEPS.values():
        row, column = cell[0] + down, cell[1] + right
        if 0 <= row < size and 0 <= column < size:
            yield row, column


def _reach(passages: set[Wall], start: Cell) -> set[Cell]:
    seen, queue = {start}, deque([start])
    while queue:
        cell = queue.popleft()
        for passage in passages:
            if cell in passage:
                (other,) = passage - {cell}
                if other not in seen:
                    seen.add(other)
                    queue.append(other)
    return seen


def _walls(board: Canvas, size: int, passages: set[Wall], gates: set[Wall]) -> None:
    for row in range(size):
        for column in range(size):
            x, y = 34 + 28 * column, 34 + 28 * row
            sides = {
                (row - 1, column): [(x, y), (x + 28, y)],
                (row + 1, column): [(x, y + 28), (x + 28, y + 28)],
                (row, column - 1): [(x, y), (x, y + 28)],
                (row, column + 1): [(x + 28, y), (x + 28, y + 28)],
            }
            for other, ends in sides.items():
                if frozenset({(row, column), other}) not in passages | gates:
                    board.line([(float(a), float(b)) for a, b in ends], width=4)


def pyramid(bottom: Sequence[int], shown: frozenset[Cell]) -> Visual:
    """A pyramid of bricks, each the sum of the two below; shown: (level from the bottom, place) of the given bricks."""
    levels = [list(bottom)]
    while len(levels[-1]) > 1:
        levels.append([a + b for a, b in pairwise(levels[-1])])
    board = Canvas(len(bottom) * 70 + 24, len(bottom) * 44 + 24)
    for level, numbers in enumerate(levels):
        for place, number in enumerate(numbers):
            x, y = 12 + level * 35 + place * 70, 12 + (len(bottom) - 1 - level) * 44
            top = level == len(levels) - 1
            board.rect((x, y), (70, 44), fill=YELLOW if top else "#ffffff")
            label = "?" if top else str(number) if (level, place) in shown else ""
            board.text((x + 35, y + 22), label, size=22)
    told = " / ".join(" ".join(map(str, numbers)) for numbers in levels)
    return Visual(
        Riddle(
            "arithmetic",
            40,
            "Each brick of this wall carries the sum of the two bricks on which it rests. Some numbers have "
            "faded. Which "
            "number belongs into the yellow brick at the top?",
            str(levels[-1][0]),
            f"Filled in from the bottom row upwards, the wall reads {told}.",
            ("Sometimes you have to subtract.", f"The bottom row is {' '.join(map(str, bottom))}."),
        ),
        board.png(),
    )


def balances(ball: int, cube: int, cone: int) -> Visual:
    """Two balanced scales and a third one to fill; weights in units of one ball."""
    board = Canvas(330, 330)
    cubes_left, balls_right = 2, 2 * cube // ball
    _scale(board, 78, [("cube", cubes_left)], [("ball", balls_right)])
    _scale(board, 183, [("cone", 1)], [("cube", 1), ("ball", (cone - cube) // ball)])
    _scale(board, 288, [("cone", 2)], [("?", 1)])
    number = 2 * cone // ball
    return Visual(
        Riddle(
            "logic",
            40,
            "The first two scales are in balance. Things of the same shape have the same weight. How many balls, "
            "and nothing "
            "else, have to lie on the right side of the third scale to balance it?",
            f"{number} balls",
            f"{cubes_left} cubes weigh as much as {balls_right} balls, so a cube weighs {cube // ball} balls. A "
            "triangle weighs "
            f"as much as a cube and {(cone - cube) // ball} more, which is {cone // ball} balls. Two triangles "
            f"weigh {number} "
            "balls.",
            ("Express everything in balls.", "What does one cube weigh?"),
        ),
        board.png(),
    )


def _scale(board: Canvas, y: float, left: Sequence[tuple[str, int]], right: Sequence[tuple[str, int]]) -> None:
    board.line([(30, y), (300, y)], width=4)
    board.polygon(regular((165, y + 16), 16, 3), fill=GREY)
    for centre, things in ((92, left), (238, right)):
        flat = [thing for thing, count in things for _ in range(count)]
        for k, thing in enumerate(flat):
            _weight(board, thing, (centre + 25 * (k - (len(flat) - 1) / 2), y - 15))


def _weight(board: Canvas, thing: str, at: Point) -> None:
    if thing == "ball":
        board.circle(at, 11, fill=RED)
    elif thing == "cube":
        board.rect((at[0] - 12, at[1] - 11), (24, 24), fill=BLUE)
    elif thing == "cone":
        board.polygon([(at[0], at[1] - 14), (at[0] + 13, at[1] + 12), (at[0] - 13, at[1] + 12)], fill=GREEN)
    else:
        board.text(at, thing, size=28)


# Nets of a cube: cells (row, column) of the six faces, and how they fold is computed by rolling a die over them.
NETS = {
    "cross": ((0, 1), (1, 0), (1, 1), (1, 2), (1, 3), (2, 1)),
    "stairs": ((0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3)),
    "snake": ((0, 0), (0, 1), (0, 2), (1, 2), (1, 3), (1, 4)),
}


def net(shape: str, labels: str, asked: str) -> Visual:
    """A net of a cube with a letter on each face; asked: which face lies opposite."""
    cells = NETS[shape]
    board = Canvas((max(column for _, column in cells) + 1) * 62 + 24, (max(row for row, _ in cells) + 1) * 62 + 24)
    for (row, column), label in zip(cells, labels, strict=True):
        board.rect((12 + column * 62, 12 + row * 62), (62, 62), fill="#ffffff", width=3)
        board.text((43 + column * 62, 43 + row * 62), label, size=30, colour=BLUE)
    sides = _fold(cells)
    side = sides[cells[labels.index(asked)]]
    opposite = next(label for cell, label in zip(cells, labels, strict=True) if sides[cell] == _turned(side))
    return Visual(
        Riddle(
            "geometry",
            40,
            f"The net in the picture is folded into a cube. Which letter is then on the face opposite to {asked}?",
            opposite,
            f"When the net is folded, {asked} and {opposite} never share an edge: they end up on opposite faces.",
            (
                "In a straight row, every second face lies opposite.",
                "Take one face as the bottom and fold up the others.",
            ),
        ),
        board.png(),
    )


Vector = tuple[int, int, int]


def _turned(vector: Vector) -> Vector:
    return -vector[0], -vector[1], -vector[2]


def _fold(cells: Sequence[Cell]) -> dict[Cell, Vector]:
    """The outward direction of each face, found by rolling a cube over the net; orientation = (down, right, near)."""
    found: dict[Cell, Vector] = {}
    queue: deque[tuple[Cell, tuple[Vector, Vector, Vector]]] = deque([(cells[0], ((0, 0, -1), (1, 0, 0), (0, 1, 0)))])
    while queue:
        cell, (down, right, near) = queue.popleft()
        if cell in found or cell not in cells:
            continue
        found[cell] = down
        row, column = cell
        queue.append(((row, column + 1), (right, _turned(down), near)))
        queue.append(((row, column - 1), (_turned(right), down, near)))
        queue.append(((row + 1, column), (near, right, _turned(down))))
        queue.append(((row - 1, column), (_turned(near), right, down)))
    return found


PIPS = {
    1: (4,),
    2: (0, 8),
    3: (0, 4, 8),
    4: (0, 2, 6, 8),
    5: (0, 2, 4, 6, 8),
    6: (0, 2, 3, 5, 6, 8),
}


def dice(tops: Sequence[int]) -> Visual:
    """Dice seen from above; asked: the sum of the faces on which they lie."""
    board = Canvas(len(tops) * 84 + 24, 104)
    for k, top in enumerate(tops):
        x = 22 + k * 84
        board.rect((x, 20), (64, 64), fill="#ffffff", width=3)
        for pip in PIPS[top]:
            board.circle((x + 15 + 17 * (pip % 3), 35 + 17 * (pip // 3)), 6, fill=INK)
    hidden = sum(7 - top for top in tops)
    return Visual(
        Riddle(
            "arithmetic",
            20,
            "You look from above at ordinary dice on a table; opposite faces of a die add up to 7. What is the "
            "sum of the faces "
            "on which the dice lie?",
            str(hidden),
            f"Each die has 7 on top and bottom together, so {len(tops)} dice have {7 * len(tops)}. The tops show "
            f"{sum(tops)}, "
            f"which leaves {hidden}.",
            ("What lies under a six?",),
        ),
        board.png(),
    )


SEGMENTS = ("abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg")


def matches(left: int, sign: str, right: int, result: int) -> Visual:
    """A false equation of matches; one match is to be moved from digit to digit so that it becomes true."""
    solutions = sorted(set(_repairs(left, sign, right, result)))
    if len(solutions) != 1:
        raise ValueError(f"{left}{sign}{right}={result} has {len(solutions)} solutions")
    board = Canvas(350, 130)
    for x, digit in ((20, left), (140, right), (260, result)):
        for segment in SEGMENTS[digit]:
            _match(board, *_ends(segment, x))
    _match(board, (89, 65), (125, 65))
    if sign == "+":
        _match(board, (107, 47), (107, 83))
    for y in (57, 73):
        _match(board, (209, y), (245, y))
    return Visual(
        Riddle(
            "logic",
            50,
            "The equation of matches is wrong. Move exactly one match, without touching the signs, so that it "
            "becomes right. "
            "Digits look as on a pocket calculator. Which equation do you get?",
            solutions[0],
            f"{left} {sign} {right} = {result} is wrong. {solutions[0]} is right and needs one match moved, and "
            "it is the only "
            "equation that does.",
            ("The signs stay as they are.", "A match may move within a digit, or from one digit to another."),
        ),
        board.png(),
    )


def _repairs(left: int, sign: str, right: int, result: int) -> Iterator[str]:
    before = [SEGMENTS[digit] for digit in (left, right, result)]
    for a in range(10):
        for b in range(10):
            c = a + b if sign == "+" else a - b
            if not 0 <= c <= 9:
                continue
            after = [SEGMENTS[digit] for digit in (a, b, c)]
            gone = sum(len(set(old) - set(new)) for old, new in zip(before, after, strict=True))
            come = sum(len(set(new) - set(old)) for old, new in zip(before, after, strict=True))
            if gone == come == 1:
                yield f"{a} {sign} {b} = {c}"


def _ends(segment: str, x: float) -> tuple[Point, Point]:
    """Ends of a segment of a digit whose left edge is at x: a on top, then clockwise b to f, g in the middle."""
    return {
        "a": ((x + 6, 20), (x + 44, 20)),
        "b": ((x + 50, 25), (x + 50, 60)),
        "c": ((x + 50, 70), (x + 50, 105)),
        "d": ((x + 6, 110), (x + 44, 110)),
        "e": ((x, 70), (x, 105)),
        "f": ((x, 25), (x, 60)),
        "g": ((x + 6, 65), (x + 44, 65)),
    }[segment]


def _match(board: Canvas, start: Point, end: Point) -> None:
    board.line([start, end], colour="#c99a55", width=5)
    board.circle(start, 4.5, fill=RED, outline=None)


def magic(square: Sequence[Sequence[int]], shown: frozenset[Cell], asked: Cell) -> Visual:
    """A magic square of 3 × 3 with numbers missing."""
    board = Canvas(234, 234)
    for row in range(3):
        for column in range(3):
            here = (row, column)
            board.rect(
                (12 + column * 70, 12 + row * 70), (70, 70), fill=YELLOW if here == asked else "#ffffff", width=3
            )
            label = "?" if here == asked else str(square[row][column]) if here in shown else ""
            board.text((47 + column * 70, 47 + row * 70), label, size=28)
    total = sum(square[0])
    number = square[asked[0]][asked[1]]
    rows = " / ".join(" ".join(map(str, line)) for line in square)
    return Visual(
        Riddle(
            "arithmetic",
            40,
            "In this square, the three numbers of each row, of each column and of each of the two diagonals have "
            "the same sum. "
            "Which number belongs into the yellow cell?",
            str(number),
            f"The common sum is {total}. The full square reads {rows}.",
            ("Find a line that is complete.", None, None, f"The common sum is {total}."),
        ),
        board.png(),
    )


def sudoku(grid: Sequence[str], asked: Cell) -> Visual:
    """A 4 × 4 sudoku; '.' marks an empty cell."""
    solutions = list(_fill([list(line) for line in grid]))
    if len(solutions) != 1:
        raise ValueError(f"{len(solutions)} solutions")
    board = Canvas(244, 244)
    for row in range(4):
        for column in range(4):
            here = (row, column)
            board.rect(
                (12 + column * 55, 12 + row * 55), (55, 55), fill=YELLOW if here == asked else "#ffffff", width=2
            )
            label = "?" if here == asked else grid[row][column].replace(".", "")
            board.text((39 + column * 55, 39 + row * 55), label, size=26)
    for k in (0, 110, 220):
        board.line([(12 + k, 12), (12 + k, 232)], width=5)
        board.line([(12, 12 + k), (232, 12 + k)], width=5)
    full = solutions[0]
    return Visual(
        Riddle(
            "logic",
            40,
            "Each row, each column and each of the four blocks with thick borders shall hold each of the numbers "
            "1, 2, 3 and 4 "
            "once. Which number belongs into the yellow cell?",
            full[asked[0]][asked[1]],
            f"There is only one way to fill the grid; row by row it reads {' / '.join(full)}.",
            ("Look for a row, column or block with three numbers.", "Each number that you find helps with the next."),
        ),
        board.png(),
    )


def _fill(grid: list[list[str]]) -> Iterator[list[str]]:
    """All ways to fill a 4 × 4 sudoku."""
    hole = next(((row, column) for row in range(4) for column in range(4) if grid[row][column] == "."), None)
    if hole is None:
        yield ["".join(line) for line in grid]
        return
    row, column = hole
    for digit in "1234":
        block = [grid[row // 2 * 2 + r][column // 2 * 2 + c] for r in (0, 1) for c in (0, 1)]
        if digit not in grid[row] and digit not in block and all(line[column] != digit for line in grid):
            grid[row][column] = digit
            yield from _fill(grid)
            grid[row][column] = "."


def robot(seed: int, size: int) -> Visual:
    """A grid of arrows that a robot follows from the red cell until it leaves the grid."""
    rng = random.Random(seed)
    while True:
        arrows = {(row, column): rng.choice(list(STEPS)) for row in range(size) for column in range(size)}
        start = (rng.randrange(size), rng.randrange(size))
        path = _follow(arrows, start)
        if path is not None and len(path) >= 2 * size:
            break
    board = Canvas(size * 48 + 44, size * 48 + 44)
    for k in range(size):
        board.text((46 + 48 * k, 12), "ABCDEFGH"[k], size=15, colour=BLUE)
        board.text((11, 46 + 48 * k), str(k + 1), size=15, colour=BLUE)
    for (row, column), way in arrows.items():
        x, y = 46 + column * 48, 46 + row * 48
        board.rect((x - 24, y - 24), (48, 48), fill="#f6b9bb" if (row, column) == start else "#ffffff", width=1)
        down, right = STEPS[way]
        board.arrow((x - 14 * right, y - 14 * down), (x + 15 * right, y + 15 * down))
    last = path[-1]
    name = f"{'ABCDEFGH'[last[1]]}{last[0] + 1}"
    told = ", ".join(f"{'ABCDEFGH'[column]}{row + 1}" for row, column in path)
    return Visual(
        Riddle(
            "logic",
            20,
            "A robot starts in the red cell. In each cell it moves one cell further in the direction of the "
            "arrow, until an "
            "arrow leads it out of the grid. In which cell was it last? Give the column letter and the row number.",
            name,
            f"Its way is {told}, and from there the arrow leads {arrows[last]}, out of the grid.",
            ("Take one step at a time.",),
        ),
        board.png(),
    )


def _follow(arrows: Mapping[Cell, str], start: Cell) -> list[Cell] | None:
    """The cells from the start to the edge, or None where the way is a circle."""
    path = [start]
    while path[-1] in arrows:
        down, right = STEPS[arrows[path[-1]]]
        cell = (path[-1][0] + down, path[-1][1] + right)
        if cell in path:
            return None
        path.append(cell)
    return path[:-1]


PLACES = {
    "A": (40, 150),
    "B": (125, 50),
    "C": (130, 240),
    "D": (215, 145),
    "E": (300, 50),
    "F": (310, 235),
    "G": (385, 145),
}


def roads(lengths: Mapping[str, int]) -> Visual:
    """A road map; lengths: two letters and kilometres. Asked: the shortest way from A to G."""
    board = Canvas(425, 290)
    for pair, length in lengths.items():
        a, b = PLACES[pair[0]], PLACES[pair[1]]
        board.line([a, b], width=4, colour=GREY)
        middle = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
        board.circle(middle, 12, fill="#ffffff", outline=None)
        board.text(middle, str(length), size=18)
    for name, at in PLACES.items():
        board.circle(at, 18, fill=YELLOW if name in "AG" else "#ffffff", width=3)
        board.text(at, name, size=20)
    ways = sorted(_ways(lengths))
    shortest, way = ways[0]
    if ways[1][0] == shortest:
        raise ValueError("two shortest ways")
    return Visual(
        Riddle(
            "logic",
            40,
            "The map shows villages and roads; the numbers are lengths in kilometres. How long is the shortest "
            "way from A to G?",
            f"{shortest} km",
            f"The shortest way is {'-'.join(way)} with {shortest} km; the next best one has {ways[1][0]} km.",
            ("Few roads do not always make a short way.", None, f"It passes through {way[1]}."),
            f"{'-'.join(way)} = {' + '.join(str(_length(lengths, a, b)) for a, b in pairwise(way))} = {shortest} km.",
        ),
        board.png(),
    )


def _length(lengths: Mapping[str, int], a: str, b: str) -> int | None:
    return lengths.get(a + b, lengths.get(b + a))


def _ways(lengths: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    """(kilometres, villages) of every way from A to G that visits no village twice."""
    for count in range(len(PLACES) - 1):
        for between in permutations("BCDEF", count):
            way = "A" + "".join(between) + "G"
            parts = [_length(lengths, a, b) for a, b in pairwise(way)]
            known = [part for part in parts if part is not None]
            if len(known) == len(parts):
                yield sum(known), way


def gears(count: int, *, clockwise: bool) -> Visual:
    """A row of meshing gears; the first one's direction is given, the last one's asked."""
    board = Canvas(count * 62 + 40, 150)
    for k in range(count):
        centre = (51.0 + 62 * k, 85.0)
        teeth = 12
        for tooth in range(teeth):
            angle = 360 * tooth / teeth + (15 if k % 2 else 0)
            board.line([polar(centre, 26, angle), polar(centre, 34, angle)], width=6)
        board.circle(centre, 28, fill=PALE if k else "#f6b9bb", width=3)
        board.text(centre, str(k + 1), size=20)
    # a bent arrow over the first gear
    turn = [polar((51, 85), 46, angle) for angle in range(-130, -49, 8)]
    turn = turn if clockwise else turn[::-1]
    board.line(turn[:-1], colour=RED, width=3)
    board.arrow(turn[-2], turn[-1], colour=RED)
    same = count % 2 == 1
    way = "clockwise" if clockwise == same else "anticlockwise"
    first = "clockwise" if clockwise else "anticlockwise"
    return Visual(
        Riddle(
            "logic",
            20,
            f"The gears mesh in a row. Gear 1 turns as the red arrow shows. Does gear {count} turn clockwise or "
            "anticlockwise?",
            way[0].upper() + way[1:],
            f"Gear 1 turns {first}. Each gear turns the other way than the one before, so the odd gears turn "
            f"{first} and the "
            f"even ones the other way; gear {count} turns {way}.",
            ("Two gears that mesh turn in opposite directions.",),
        ),
        board.png(),
    )


def queens(size: int, placed: Sequence[Cell]) -> Visual:
    """Queens on a board; asked: how many empty squares are attacked by none."""
    board = Canvas(size * 44 + 24, size * 44 + 24)
    for row in range(size):
        for column in range(size):
            fill = PALE if (row + column) % 2 else "#ffffff"
            board.rect((12 + column * 44, 12 + row * 44), (44, 44), fill=fill, width=1)
    for row, column in placed:
        x, y = 12 + column * 44, 12 + row * 44
        crown = [(8, 34), (6, 13), (15, 23), (22, 9), (29, 23), (38, 13), (36, 34)]
        board.polygon([(x + dx, y + dy) for dx, dy in crown], fill=RED)
    free = [
        (row, column)
        for row in range(size)
        for column in range(size)
        if not any(row == r or column == c or abs(row - r) == abs(column - c) for r, c in placed)
    ]
    per_row = [sum(cell[0] == row for cell in free) for row in range(size)]
    return Visual(
        Riddle(
            "logic",
            40,
            "The crowns are chess queens. A queen attacks along her row, her column and both diagonals. How many "
            "empty squares "
            "of the board are attacked by no queen?",
            f"{len(free)} squares",
            f"Row by row from the top, {', '.join(map(str, per_row))} squares are free of attack: {len(free)} in all.",
            ("Cross out everything that each queen attacks.",),
        ),
        board.png(),
    )


def venn(only: tuple[int, int, int], pairs: tuple[int, int, int], middle: int) -> Visual:
    """Three overlapping circles with numbers: A, B, C; pairs are AB, AC, BC. Asked: how many are in exactly two."""
    board = Canvas(320, 300)
    centres = {"tea": (120, 110), "milk": (200, 110), "juice": (160, 180)}
    for centre in centres.values():
        board.circle(centre, 82, width=3)
    places = [(85, 90), (235, 90), (160, 225), (160, 78), (108, 160), (212, 160), (160, 135)]
    for at, number in zip(places, (*only, *pairs, middle), strict=True):
        board.text(at, str(number), size=22)
    for at, name in zip(((50, 20), (270, 20), (160, 280)), centres, strict=True):
        board.text(at, name, size=19, colour=BLUE)
    number = sum(pairs)
    return Visual(
        Riddle(
            "logic",
            20,
            "The circles stand for the pupils of a class who like tea, milk and juice; each number tells how "
            "many pupils belong "
            "into its field. How many pupils like exactly two of the three drinks?",
            f"{number} pupils",
            f"The three fields that lie in exactly two circles hold {', '.join(map(str, pairs))}: together "
            f"{number}. The field "
            "in the middle stands for all three drinks.",
            ("The field in the middle does not count.",),
        ),
        board.png(),
    )


def makers() -> tuple[Callable[[], Visual], ...]:
    """The riddles of this file in the order of their ids: append, never insert."""
    return (
        lambda: maze(4, 9),
        lambda: maze(21, 10),
        lambda: pyramid((3, 5, 2, 6), frozenset({(0, 0), (1, 0), (1, 1), (0, 3)})),
        lambda: pyramid((4, 1, 7, 3, 5), frozenset({(1, 0), (0, 1), (1, 1), (0, 3), (1, 3)})),
        lambda: balances(1, 2, 3),
        lambda: balances(1, 3, 5),
        lambda: net("cross", "ABCDEF", "B"),
        lambda: net("stairs", "KLMNOP", "M"),
        lambda: net("snake", "UVWXYZ", "V"),
        lambda: dice((6, 2, 5)),
        lambda: dice((3, 1, 4, 4)),
        lambda: matches(6, "+", 4, 4),
        lambda: matches(9, "-", 5, 8),
        lambda: magic(((8, 1, 6), (3, 5, 7), (4, 9, 2)), frozenset({(0, 0), (0, 1), (0, 2), (1, 0), (2, 2)}), (1, 2)),
        lambda: magic(
            ((7, 14, 9), (12, 10, 8), (11, 6, 13)), frozenset({(0, 0), (1, 1), (2, 2), (1, 0), (0, 2)}), (2, 1)
        ),
        lambda: sudoku(("..3.", "3..1", "14..", "...4"), (0, 0)),
        lambda: sudoku(("1...", ".4..", "..2.", ".1.3"), (0, 2)),
        lambda: robot(8, 5),
        lambda: robot(31, 6),
        lambda: roads(
            {"AB": 4, "AC": 3, "BD": 5, "CD": 4, "BE": 7, "CF": 9, "DE": 2, "DF": 6, "DG": 9, "EG": 5, "FG": 4}
        ),
        lambda: roads(
            {"AB": 6, "AC": 5, "BC": 2, "BD": 3, "CD": 7, "BE": 9, "CF": 9, "DE": 3, "DF": 5, "EG": 6, "FG": 3, "EF": 1}
        ),
        lambda: gears(6, clockwise=True),
        lambda: gears(5, clockwise=False),
        lambda: queens(6, ((0, 1), (3, 4))),
        lambda: queens(7, ((1, 1), (2, 5), (5, 2))),
        lambda: venn((4, 6, 5), (3, 2, 4), 1),
    )
