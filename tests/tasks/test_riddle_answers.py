"""Answers of the shipped riddles, derived again: texts from their numbers, pictures from their pixels."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter, deque
from collections.abc import Callable
from datetime import date, timedelta
from itertools import combinations, combinations_with_replacement, permutations, product
from math import comb, factorial, gcd, isqrt

import pytest
from PIL import Image

from batchflow.tasks import riddles

ROWS = {
    row["id"]: row
    for split in riddles.SPLITS
    for row in map(json.loads, (riddles.DATA / f"riddles_{split}.jsonl").read_text("utf-8").splitlines())
}
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
NAMES = {
    **dict(enumerate(ONES)),
    **{10 * t + 20 + u: TENS[t] + (ONES[u] if u else "") for t in range(8) for u in range(10)},
    100: "onehundred",
}
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def only(found) -> object:
    (one,) = set(found)
    return one


def fewest(start, steps: Callable, done: Callable) -> int:
    """Length of the shortest way in a graph."""
    seen, queue = {start}, deque([(start, 0)])
    while queue:
        here, count = queue.popleft()
        if done(here):
            return count
        for there in steps(here):
            if there not in seen:
                seen.add(there)
                queue.append((there, count + 1))
    raise AssertionError("no way")


def beetle() -> int:
    height = 0
    for day in range(1, 100):
        height += 5
        if height >= 17:
            return day
        height -= 3
    raise AssertionError


def bridge() -> int:
    times = {1, 3, 6, 8}

    def bounded(near: frozenset[int], torch: bool, limit: int) -> bool:
        """Whether the rest of the way takes at most `limit` minutes."""
        if not near:
            return True
        side = near if torch else times - near
        for group in (*combinations(side, 1), *combinations(side, 2)):
            after = near - set(group) if torch else near | set(group)
            if max(group) <= limit and bounded(after, not torch, limit - max(group)):
                return True
        return False

    return next(limit for limit in range(50) if bounded(frozenset(times), True, limit))


def flags() -> str:
    def fits(row: tuple[str, ...]) -> bool:
        at = row.index
        return (
            at("green") == 2
            and abs(at("white") - at("yellow")) == 1
            and at("red") < 2
            and abs(at("blue") - 2) != 1
            and at("yellow") not in {0, 4}
        )

    return f"The {only(row[4] for row in permutations(['blue', 'green', 'red', 'white', 'yellow']) if fits(row))} flag"


def code() -> str:
    def told(secret: tuple[str, ...], guess: str) -> tuple[int, int]:
        placed = sum(a == b for a, b in zip(secret, guess, strict=True))
        return placed, len(set(secret) & set(guess)) - placed

    clues = {"408": (1, 0), "609": (0, 1), "281": (0, 2), "165": (0, 0)}
    fits = (c for c in permutations("0123456789", 3) if all(told(c, g) == t for g, t in clues.items()))
    return "".join(only(fits))


def ferry_animals() -> int:
    def safe(bank: frozenset[str]) -> bool:
        return not {"fox", "hen"} <= bank and not {"hen", "corn"} <= bank

    everything = frozenset({"fox", "hen", "corn"})

    def steps(state):
        near, here = state
        bank = near if here else everything - near
        for count in range(3):
            for taken in combinations(sorted(bank), count):
                left = bank - set(taken)
                if safe(left):
                    yield (left if here else everything - left), not here

    return fewest((everything, True), steps, lambda state: not state[0])


def jugs() -> int:
    def steps(state):
        small, large = state
        pour_up, pour_down = min(small, 7 - large), min(large, 3 - small)
        yield from {(3, large), (small, 7), (0, large), (small, 0)}
        yield small - pour_up, large + pour_up
        yield small + pour_down, large - pour_down

    return fewest((0, 0), steps, lambda state: state[1] == 5)


def knight() -> int:
    moves = [(a, b) for a, b in product((-2, -1, 1, 2), repeat=2) if abs(a) != abs(b)]
    return fewest(
        (0, 0),
        lambda at: [(at[0] + a, at[1] + b) for a, b in moves if 0 <= at[0] + a < 8 and 0 <= at[1] + b < 8],
        lambda at: at == (7, 7),
    )


def gnome() -> str:
    told = [said for said in range(1, 6) if sum(other != said for other in range(1, 6)) == said]
    assert all(sum(other != liars for other in range(1, 6)) == liars for liars in told)
    return f"The {['first', 'second', 'third', 'fourth', 'fifth'][only(told) - 1]} gnome"


def truthful() -> str:
    kinds = [(a, b) for a, b in product((True, False), repeat=2) if a == (not b) and b == (a == b)]
    assert kinds == [(True, False)]
    return "Only Arno"


def chest() -> str:
    claims = [lambda at: at == 1, lambda at: at != 2, lambda at: at != 1]
    return f"In chest {only(at for at in (1, 2, 3) if sum(claim(at) for claim in claims) == 1)}"


def lying_days() -> str:
    lies = DAYS[:3]
    able = [day for k, day in enumerate(DAYS) if (DAYS[k - 1] in lies) != (day in lies)]
    return " and ".join(able)


def twentieth() -> str:
    fits = set()
    for length, first in product((28, 29, 30, 31), range(7)):
        counted = Counter((first + k) % 7 for k in range(length))
        if counted[0] == counted[1] == counted[2] == 5:
            fits.add(DAYS[(first + 19) % 7])
    return only(fits)


def ada() -> str:
    """All pairs of a birthday and a day of speaking in and around one year."""
    fits = set()
    for born in (date(2000, 1, 1) + timedelta(days=k) for k in range(366)):
        for offset in range(366):
            speaks = date(2010, 1, 1) + timedelta(days=offset)

            def age(on: date, born: date = born) -> int:
                return on.year - born.year - ((on.month, on.day) < (born.month, born.day))

            if age(speaks - timedelta(days=2)) == 9 and speaks.year + 1 - born.year == 12:
                fits.add((speaks.month, speaks.day))
    return "1 January" if fits == {(1, 1)} else str(fits)


def doorways() -> int:
    return "".join(map(str, range(1, 131))).count("7")


def fewest_coins(total: int) -> int:
    return next(n for n in range(1, 50) if total in map(sum, combinations_with_replacement((1, 9, 20), n)))


def in_order() -> int:
    return only(number for number, name in NAMES.items() if list(name) == sorted(name))


def letters(text: str) -> Counter[str]:
    return Counter(text.replace(" ", "").upper())


TEXTS: dict[str, Callable[[], object]] = {
    "llm-001": lambda: only(a for a in range(11) if 6 * a + 10 * (10 - a) == 76),
    "llm-002": lambda: next(n for n in range(9) if 3**n >= 27),
    "llm-003": lambda: sum(sum(c in {0, 3} for c in cell) == 1 for cell in product(range(4), repeat=3)),
    "llm-006": lambda: -(9 * 60 + 8 - 370) % 25,
    "llm-007": truthful,
    "llm-008": lambda: abs(30 * 3 + 40 / 2 - 6 * 40).__int__(),
    "llm-010": lambda: "".join(ALPHABET[ALPHABET.index(c) - 1] for c in "SJEEMF"),
    "llm-012": lambda: 60 * 4 // 60,
    "llm-014": lambda: (23 - 20) / 2,
    "llm-015": lambda: len({(side, k) for side in range(3) for k in range(7)}),
    "llm-016": in_order,
    "llm-019": lambda: f"Day {beetle()}",
    "llm-020": lambda: 1 + sum(range(1, 6)),
    "llm-021": lambda: only(number for number, name in NAMES.items() if len(name) == number),
    "llm-023": doorways,
    "llm-024": flags,
    "llm-025": lambda: f"{comb(3, 2) // gcd(comb(3, 2), comb(5, 2))}/{comb(5, 2) // gcd(comb(3, 2), comb(5, 2))}",
    "llm-026": lambda: only(f"{n} and {n + 1}" for n in range(1, 200, 2) if 2 * n + 1 == 127),
    "llm-027": lambda: isqrt(3**2 + 4**2 + 12**2),
    "llm-029": lambda: sum(ALPHABET.index(c) + 1 for c in "RIDDLE"),
    "llm-031": lambda: only(day for k, day in enumerate(DAYS) if DAYS[(k - 1 - 3) % 7] == DAYS[(4 + 1) % 7]),
    "llm-032": lambda: only(d for d in range(60) if 4 * d + 16 == 2 * (d + 16)),
    "llm-033": bridge,
    "llm-034": lambda: 2**3,
    "llm-037": lambda: (180 + 420) // 20,
    "llm-038": lambda: 2 * 60 // (60 // 12 + 60 // 20),
    "llm-039": ferry_animals,
    "llm-040": lambda: only(max(a, 18 - a) for a in range(1, 18) if a * (18 - a) == 80),
    "llm-043": lambda: only(n for n in range(100) if comb(n, 2) == 66),
    "llm-044": chest,
    "llm-045": lambda: 20 // (5 - 1) * (8 - 1),
    "llm-046": lambda: (3 + 1) // 1,
    "llm-048": lambda: "".join({".-.": "R", ".-": "A", "..": "I", "-.": "N"}[c] for c in [".-.", ".-", "..", "-."]),
    "llm-051": lambda: 8 // (5 - 1) * (11 - 1),
    "llm-052": lambda: comb(10, 2) - 10,
    "llm-055": knight,
    "llm-056": lambda: f"Day {only(day for day in range(25) if 4 * 2**day == 2**24)}",
    "llm-057": lambda: 1 + max(a + b + c for a, b, c in product(range(4), repeat=3)),
    "llm-058": lambda: (5 - 2) * (4 - 2) * (3 - 2),
    "llm-061": lambda: 37 - 1,
    "llm-062": lambda: only(n for n in range(10, 100) if n // 10 + n % 10 == 9 and int(str(n)[::-1]) == n + 27),
    "llm-063": twentieth,
    "llm-064": lambda: isqrt((3 + 6) ** 2 + (4 + 8) ** 2),
    "llm-066": lambda: "LOAKNITAESRUNE"[::2],
    "llm-068": lambda: next(n for n in range(7, 999, 7) if all(n % k == 1 for k in (2, 3, 4, 5, 6))),
    "llm-069": jugs,
    "llm-070": lambda: sum(sum(roll) == 10 for roll in product(range(1, 7), repeat=3)),
    "llm-071": lambda: len(str(factorial(30))) - len(str(factorial(30)).rstrip("0")),
    "llm-072": lambda: (4 + 7 - 11) * 11,
    "llm-074": ada,
    "llm-075": lambda: fewest_coins(47),
    "llm-076": gnome,
    "llm-077": lambda: "{}:{:02d}".format(*divmod(12 * 60 - (4 * 60 + 20), 60)),
    "llm-080": lambda: 2 * (3 - 5 + 7 + 6) + 1,
    "llm-081": lying_days,
    "llm-082": lambda: (2 - 1) * 2**6 + 1,
    "llm-083": lambda: comb(4, 2) ** 2,
    "llm-085": lambda: int("1" * 10, 2),
    "llm-087": lambda: -(-30 // 12),
    "llm-088": lambda: comb(7, 3),
    "llm-089": lambda: 2 * 0.3,
    "llm-092": code,
    "llm-093": lambda: len(set(permutations("LEVEL"))),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_computed_answer_is_the_one_that_is_shipped(name) -> None:
    answer = ROWS[name]["answer"]
    derived = str(TEXTS[name]())
    assert answer == derived or answer.startswith((derived + " ", derived + "/")), ROWS[name]["description"]


def test_the_words_of_wordplay() -> None:
    assert ("STONE"[1:], "STONE"[2:], "BROOK"[1:]) == ("TONE", "ONE", "ROOK")
    assert letters("THICKEN") == letters(ROWS["llm-028"]["answer"])
    assert letters("TWELVE PLUS ONE") == letters(ROWS["llm-035"]["answer"])
    assert "bear" in "Jacob earned the medal".lower().replace(" ", "")
    assert "rome" in "Shepherds came down from every hill".lower().replace(" ", "")
    seasons = [[season.count(letter) for season in ("summer", "autumn", "winter", "spring")] for letter in "m"]
    assert seasons == [[2, 1, 0, 0]]
    others = set("summer") - {"m"}
    assert not any([s.count(c) for s in ("summer", "autumn", "winter", "spring")] == [2, 1, 0, 0] for c in others)
    assert "drawer"[::-1] == "reward"
    assert "kayak"[::-1] == "kayak"


def picture(name: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(ROWS[name]["img"]))).convert("RGB")


def is_like(pixel: tuple[int, ...], colour: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < 40 for a, b in zip(pixel, colour, strict=True))


def flood(image: Image.Image, start: tuple[int, int], passes: Callable) -> set[tuple[int, int]]:
    seen, queue = {start}, deque([start])
    while queue:
        x, y = queue.popleft()
        for there in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            inside = 0 <= there[0] < image.width and 0 <= there[1] < image.height
            if inside and there not in seen and passes(image.getpixel(there)):
                seen.add(there)
                queue.append(there)
    return seen


def patches(image: Image.Image, colour: tuple[int, int, int], least: int) -> int:
    """How many connected patches of a colour the picture has, specks left out."""
    seen: set[tuple[int, int]] = set()
    count = 0
    for at in product(range(image.width), range(image.height)):
        if at not in seen and is_like(image.getpixel(at), colour):
            patch = flood(image, at, lambda pixel: is_like(pixel, colour))
            seen |= patch
            count += len(patch) >= least
    return count


def share(image: Image.Image, colour: tuple[int, int, int]) -> float:
    """Pixels of a colour."""
    return sum(is_like(image.getpixel(at), colour) for at in product(range(image.width), range(image.height)))


RED, BLUE, GREEN, YELLOW, INK = (209, 56, 61), (47, 111, 208), (47, 158, 88), (242, 194, 48), (31, 36, 48)


@pytest.mark.parametrize(("name", "size"), [("vlm-002", 9), ("vlm-004", 10)])
def test_from_the_red_dot_a_flood_leaves_the_maze_through_one_gate(name, size) -> None:
    image = picture(name)
    centre = 34 + 28 * (size // 2) + 14
    assert is_like(image.getpixel((centre, centre)), RED)
    gates = {
        "A": (34 + 28 + 14, 34),
        "B": (34 + 28 * size, 34 + 28 + 14),
        "C": (34 + 28 * (size - 2) + 14, 34 + 28 * size),
        "D": (34, 34 + 28 * (size - 2) + 14),
    }
    shut = image.copy()
    for x, y in gates.values():  # a plug in each gate, so that the flood stays inside
        shut.paste(INK, (x - 14, y - 1, x + 14, y + 1) if y in {34, 34 + 28 * size} else (x - 1, y - 14, x + 1, y + 14))
    inside = flood(shut, (centre + 10, centre), lambda pixel: sum(pixel) > 350)
    reached = [gate for gate, (x, y) in gates.items() if any(abs(a - x) + abs(b - y) < 8 for a, b in inside)]
    assert ROWS[name]["answer"] == f"Gate {only(reached)}"


@pytest.mark.parametrize(("name", "side"), [("vlm-025", 4), ("vlm-027", 5)])
def test_the_shaded_share_is_the_share_of_blue_pixels(name, side) -> None:
    square = picture(name).crop((12, 12, 12 + 50 * side, 12 + 50 * side))
    top, bottom = map(int, ROWS[name]["answer"].split("/"))
    blue, white = share(square, BLUE), share(square, (255, 255, 255))
    assert blue / (blue + white) == pytest.approx(top / bottom, abs=0.01)


@pytest.mark.parametrize("name", ["vlm-029", "vlm-031"])
def test_the_area_of_a_figure_is_that_of_its_pixels(name) -> None:
    image = picture(name)
    figure = flood(image, (160, 195), lambda pixel: not is_like(pixel, (253, 252, 247)) or pixel[2] - pixel[0] > 20)
    edge = next(at for at in sorted(figure) if is_like(image.getpixel(at), INK))
    outline = flood(image, edge, lambda pixel: sum(pixel) < 400)
    area = (len(figure) - len(outline) / 2) / 37**2
    assert area == pytest.approx(float(ROWS[name]["answer"].split()[0]), abs=0.35)


def test_balls_on_the_scales() -> None:
    """4 balls level 2 cubes and one lies beside the cube in the first, 6 and 2 in the second."""
    assert patches(picture("vlm-010"), RED, 60) == 4 + 1
    assert patches(picture("vlm-012"), RED, 60) == 6 + 2
    assert ROWS["vlm-010"]["answer"] == f"{2 * (4 // 2 + 1)} balls"
    assert ROWS["vlm-012"]["answer"] == f"{2 * (6 // 2 + 2)} balls"


def test_hidden_faces_of_the_dice() -> None:
    for name, count in (("vlm-020", 3), ("vlm-022", 4)):
        pips = patches(picture(name), INK, 30) - count  # the outlines are ink too
        assert ROWS[name]["answer"] == str(7 * count - pips)


def test_white_cells_of_the_grids() -> None:
    for name, size in (("vlm-013", 4), ("vlm-015", 5)):
        image = picture(name)
        cells = [[sum(image.getpixel((40 + 56 * c, 40 + 56 * r))) > 400 for c in range(size)] for r in range(size)]
        number = sum(
            all(cells[r + i][c + j] for i, j in product(range(side), repeat=2))
            for side in range(1, size + 1)
            for r, c in product(range(size - side + 1), repeat=2)
        )
        assert ROWS[name]["answer"] == f"{number} squares"


def test_the_one_cell_that_breaks_the_symmetry() -> None:
    for name in ("vlm-037", "vlm-039"):
        image = picture(name)
        green = {
            (r, c) for r in range(5) for c in range(10) if is_like(image.getpixel((56 + 32 * c, 56 + 32 * r)), GREEN)
        }
        wrong = only((r, c) for r in range(5) for c in range(5, 10) if ((r, c) in green) != ((r, 9 - c) in green))
        assert ROWS[name]["answer"] == f"{ALPHABET[wrong[1]]}{wrong[0] + 1}"


def test_squares_that_no_queen_attacks() -> None:
    for name, size in (("vlm-048", 6), ("vlm-049", 7)):
        image = picture(name)
        board = list(product(range(size), repeat=2))
        queens = [(r, c) for r, c in board if is_like(image.getpixel((12 + 44 * c + 22, 12 + 44 * r + 28)), RED)]
        assert len(queens) in {2, 3}
        free = [(r, c) for r, c in board if all(r != a and c != b and abs(r - a) != abs(c - b) for a, b in queens)]
        assert ROWS[name]["answer"] == f"{len(free)} squares"


def test_heights_of_the_bars() -> None:
    image = picture("vlm-041")
    tall = [sum(is_like(image.getpixel((64 + 39 * k, y)), YELLOW) for y in range(image.height)) / 19 for k in range(7)]
    values = [round(height) for height in tall]
    assert sum(value > sum(values) / 7 for value in values) == int(ROWS["vlm-041"]["answer"].split()[0])


NETS = {"vlm-014": (" A  ", "BCDE", " F  "), "vlm-016": ("KL  ", " MN ", "  OP"), "vlm-018": ("UVW  ", "  XYZ")}


@pytest.mark.parametrize(("name", "asked"), [("vlm-014", "B"), ("vlm-016", "M"), ("vlm-018", "V")])
def test_faces_opposite_in_a_net(name, asked) -> None:
    """An ordinary die rolls over the net (as read off the picture) and prints its lower face into each cell."""
    cells = {(r, c): face for r, line in enumerate(NETS[name]) for c, face in enumerate(line) if face != " "}
    start = min(cells)
    printed, queue = {}, deque([(start, (1, 2, 3))])  # lower, northern and eastern face; opposite ones make 7
    while queue:
        (r, c), (low, north, east) = queue.popleft()
        if (r, c) in cells and cells[r, c] not in printed:
            printed[cells[r, c]] = low
            queue.append(((r, c + 1), (east, north, 7 - low)))
            queue.append(((r, c - 1), (7 - east, north, low)))
            queue.append(((r - 1, c), (north, 7 - low, east)))
            queue.append(((r + 1, c), (7 - north, low, east)))
    assert sorted(printed.values()) == [1, 2, 3, 4, 5, 6]
    assert ROWS[name]["answer"] == only(face for face, low in printed.items() if low == 7 - printed[asked])


def test_magic_squares_are_determined_by_what_is_shown() -> None:
    def full(shown: dict[int, int], top: int) -> set[tuple[int, ...]]:
        found = set()
        for a, b, centre in product(range(1, top + 1), repeat=3):
            s = 3 * centre
            square = (a, s - a - b, b, 0, centre, 0, s - b - centre, 0, s - a - centre)
            left, right = s - square[0] - square[6], s - square[2] - square[8]
            square = (*square[:3], left, centre, right, square[6], s - square[6] - square[8], square[8])
            if all(square[k] == v for k, v in shown.items()):
                found.add(square)
        return found

    assert str(only(full({0: 8, 1: 1, 2: 6, 3: 3, 8: 2}, 9))[5]) == ROWS["vlm-028"]["answer"]
    assert str(only(full({0: 7, 2: 9, 3: 12, 4: 10, 8: 13}, 20))[7]) == ROWS["vlm-030"]["answer"]
