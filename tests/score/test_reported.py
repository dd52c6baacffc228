import numpy as np
import pytest

from batchflow.score.paired import Scored, compare
from batchflow.score.reported import reported_difference


def test_the_error_is_that_of_the_paired_difference():
    rng = np.random.default_rng(0)
    base, ids = rng.random(200), tuple(map(str, range(200)))
    a, b = (np.clip(base + rng.normal(shift, 0.2, 200), 0, 1) for shift in (0.05, 0.0))
    paired = compare(Scored("a", ids, a), Scored("b", ids, b), resamples=1)
    errors = [float(x.std(ddof=1)) / np.sqrt(200) for x in (a, b)]
    found = reported_difference(a.mean(), errors[0], b.mean(), errors[1], correlation=paired.correlation)
    assert found.standard_error == pytest.approx(paired.standard_error)
    assert found.difference == pytest.approx(paired.difference)
    assert reported_difference(a.mean(), errors[0], b.mean(), errors[1]).standard_error == pytest.approx(
        paired.unpaired_error
    )


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ((0.5, -0.1, 0.5, 0.1), "error_a"),
        ((0.5, 0.1, float("nan"), 0.1), "mean_b"),
        ((0.5, 0.1, 0.5, float("inf")), "error_b"),
    ],
)
def test_values_that_are_none(values, name):
    with pytest.raises(ValueError, match=name):
        reported_difference(*values)
    with pytest.raises(ValueError, match="correlation"):
        reported_difference(0.5, 0.1, 0.4, 0.1, correlation=1.5)
