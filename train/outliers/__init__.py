"""Pictures of none of the classes, made to train and to fit against: what a camera may see besides.

Five families, none of which needs a download: glyphs of many scripts and symbols, strokes, silhouettes, noise, and pieces and
mixtures of genuine images. What a report judges by must be made of other fonts, other images and other seeds.
"""

import numpy as np

from edge.contract import InputContract
from train.datasets import Split
from train.outliers import drawn, noise, pieces, silhouettes

_SHARES = {"glyphs": 0.45, "strokes": 0.1, "silhouettes": 0.17, "noise": 0.1}  # the rest are pieces


def made(genuine: Split, contract: InputContract, *, n: int, seed: int, letters: float = 0.5) -> np.ndarray:
    """`n` images for `contract` in mixed order: uint8 [n, H, W, C]. Pieces are of `genuine`; `letters` is the share of the
    glyphs. Equal seeds give equal images.
    """
    rng = np.random.default_rng([seed, 7])
    counts = {family: round(n * share) for family, share in _SHARES.items()}
    together = np.concatenate(
        [
            drawn.glyphs(contract, n=counts["glyphs"], rng=rng, letters=letters),
            drawn.strokes(contract, n=counts["strokes"], rng=rng),
            silhouettes.images(contract, n=counts["silhouettes"], rng=rng),
            noise.images(contract, n=counts["noise"], rng=rng),
            pieces.images(genuine, n=n - sum(counts.values()), rng=rng),
        ]
    )
    return together[rng.permutation(n)]
