"""Pictures that are nothing but their number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ovbench.errors import UnreadableImage


@dataclass(frozen=True)
class Numbers:
    """Pictures that hold nothing but their number, as an array of one; those in ``lost`` cannot be read."""

    count: int
    lost: frozenset[int] = frozenset()
    name: str = "numbers"

    def __len__(self) -> int:
        return self.count

    def image(self, i: int) -> Any:
        if i in self.lost:
            raise UnreadableImage(f"image {i} cannot be read, it is empty: remove it")
        return np.full((1,), i)
