"""Digits drawn on sheets and fitted again: in `varied` ones hands and scanners differ."""

import numpy as np

from edge.contract import DIGIT2
from train.redrawn import TILT, redrawn


def test_varied_strokes_lie_turned_as_far_as_stated_and_others_upright():
    stroke = np.zeros((40, 28, 28, 1), np.uint8)
    stroke[:, 4:24, 12:16] = 255
    upright, varied = redrawn(stroke, DIGIT2, seed=0), redrawn(stroke, DIGIT2, seed=0, varied=True)
    assert max(abs(degrees(image)) for image in upright) < 2
    turned = [degrees(image) for image in varied]
    assert -TILT - 3 < min(turned) < -0.6 * TILT and 0.6 * TILT < max(turned) < TILT + 3
    assert (redrawn(stroke, DIGIT2, seed=0, varied=True) == varied).all()


def degrees(image: np.ndarray) -> float:
    """How far the main axis of the light in `image`, uint8 [H, W, 1], is from upright."""
    y, x = np.nonzero(image[:, :, 0] > 100)
    covariance = np.cov(x, y)
    return float(np.degrees(np.arctan2(2 * covariance[0, 1], covariance[1, 1] - covariance[0, 0]) / 2))
