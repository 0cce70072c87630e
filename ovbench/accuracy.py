"""What a session knows of accuracy: each model's answers by precision, judged against FP32's and the labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ovbench.agreement import (
    NO_LABEL,
    TOLD_DROP,
    Agreement,
    DropVerdict,
    OutputDifference,
    compare_outputs,
    judge_drop,
    measure_agreement,
)
from ovbench.answers import Answers, answer
from ovbench.config import Precision
from ovbench.images.scenes import Scenes
from ovbench.images.sets import ImageSet
from ovbench.models.source import Source

SMOKE_IMAGES = 50
COMPARED_INPUTS = 16  # of a model that is no classifier: outputs are kept whole, 16 of 20 MB for both sides are 640 MB

Row = tuple[str, Precision]
"""A model by name, and a precision."""


@dataclass
class Accuracy:
    """Answers and judgements of a session; answers are found once for each row."""

    smoke: bool = False
    max_drop: float = TOLD_DROP
    agreements: dict[Row, Agreement] = field(default_factory=dict)
    differences: dict[Row, tuple[OutputDifference, ...]] = field(default_factory=dict)
    drops: dict[Row, DropVerdict] = field(default_factory=dict)
    answers: dict[Row, Answers] = field(default_factory=dict)
    _outputs: dict[Row, list[list[NDArray[Any]]]] = field(default_factory=dict)

    def images(self, source: Source) -> ImageSet | None:
        """The pictures that a classifier's accuracy is measured on; None where none fit."""
        images = source.evaluation
        if self.smoke and isinstance(images, Scenes):
            return replace(images, count=min(SMOKE_IMAGES, images.count))
        return images

    def run(self, source: Source, precision: Precision, compiled: Any, on_done: Callable[[float], None]) -> None:
        """Find a precision's answers: on all pictures for a classifier, on a few inputs for any other model."""
        row = (source.name, precision)
        if source.classes is None:
            if row not in self._outputs:
                self._outputs[row] = _outputs_of(source, compiled, on_done)
        elif row not in self.answers:
            images = self.images(source)
            assert images is not None, "a classifier without pictures is skipped"
            assert source.inputs is not None, "a source with pictures says how they become inputs"
            count = len(images)
            self.answers[row] = answer(compiled, images, source.inputs.to_input, lambda done: on_done(done / count))

    def judge(self, source: Source, precision: Precision) -> str:
        """Hold a precision's answers against FP32's and the labels; both must have been found.

        Returns why they cannot be compared, "" if they can.
        """
        row, reference = (source.name, precision), (source.name, Precision.FP32)
        if source.classes is None:
            try:
                self.differences[row] = compare_outputs(
                    self._outputs[row], self._outputs[reference], source.output_names
                )
            except ValueError as error:  # of a detector, say, that finds another number of things
                return f"outputs of {source.name} cannot be compared: {error}"
            return ""
        images = self.images(source)
        assert images is not None
        mine, theirs = self.answers[row], self.answers[reference]
        found = [images.label(int(number)) for number in mine.numbers]
        labels = np.array([NO_LABEL if label is None else label for label in found])
        self.agreements[row] = measure_agreement(mine.logits, theirs.logits, labels, mine.numbers)
        if precision is not Precision.FP32 and not self.smoke:  # nothing of a smoke run is evidence
            self.drops[row] = judge_drop(self.agreements[row], self.max_drop)
        return ""


def _outputs_of(source: Source, compiled: Any, on_done: Callable[[float], None]) -> list[list[NDArray[Any]]]:
    """All outputs on the same few inputs for every precision: pictures where there are some, else random inputs."""
    request = compiled.create_infer_request()
    samples = source.compared_inputs(COMPARED_INPUTS)
    found = []
    for number, sample in enumerate(samples):
        request.infer(sample if isinstance(sample, dict) else {0: sample})
        found.append([np.array(request.get_output_tensor(index).data) for index in range(len(compiled.outputs))])
        on_done((number + 1) / len(samples))
    return found
