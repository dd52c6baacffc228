"""One riddle as the generator holds it, and as the data file has it."""

from __future__ import annotations

from dataclasses import dataclass

HINTS = ("first_hint", "second_hint", "third_hint", "special_hint")


@dataclass(frozen=True, slots=True)
class Riddle:
    """Texts of one riddle. picarats: difficulty points, 10 to 70. hints: up to four; None leaves one out."""

    category: str
    picarats: int
    description: str
    answer: str
    justification: str
    hints: tuple[str | None, ...] = ()
    solution: str | None = None

    def row(self, number: int, split: str, img: str | None = None) -> dict[str, object]:
        """The row of the data file, in the order of its columns."""
        given = dict(zip(HINTS, (*self.hints, None, None, None, None), strict=False))
        return {
            "id": f"{split}-{number:03d}",
            "category": self.category,
            "description": self.description,
            "url": None,
            "picarats": self.picarats,
            **given,
            "solution": self.solution,
            "answer": self.answer,
            "justification": self.justification,
            "img": img,
            "split": split,
        }
