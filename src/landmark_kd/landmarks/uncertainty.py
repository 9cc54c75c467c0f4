"""How far off a landmark may be: regions around predicted landmarks, and the trust in a face.

A network says a scale sigma for each landmark of a face, in the unit of its coordinates. Regions
are circles around the landmark, whose radius is a multiple of sigma. The multiples are quantiles
of error / sigma over validation faces (split conformal prediction, Papadopoulos et al. 2002), so
nothing is supposed about the distribution of errors.
"""

from __future__ import annotations

import numpy as np

# Shares of landmarks that the regions are to cover.
LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
# Those that tables show.
SHOWN_LEVELS = (0.5, 0.9)
# sigma is such that half of the landmarks lie within this multiple of it, as they do where the
# errors of x and y are normally distributed with the standard deviation sigma.
MEDIAN_REGION = float(np.sqrt(2 * np.log(2)))

# A face's doubt is 0 where its sigmas are typical of validation faces and 1 where one face in a
# hundred has larger ones. Trust is a half at the doubt HALF, beyond that of nearly all faces.
HALF = 1.3
STEEPNESS = 10.0


def regions(errors: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Return the multiples of sigma that cover LEVELS of the landmarks, (19,) float64.

    Args:
        errors, sigma: (N, K), distances from the hard-landmarks and scales in one unit; errors
            that are NaN are of landmarks that nobody knows.
    """
    return np.nanquantile(errors / sigma, LEVELS)


def coverage(errors: np.ndarray, sigma: np.ndarray, multiples: np.ndarray) -> np.ndarray:
    """Return the shares (L,), 0 to 1, of landmarks whose error is within multiples of sigma.

    Args:
        errors, sigma: (N, K) as `regions` takes them.
        multiples: (L,).
    """
    ratios = (errors / sigma)[~np.isnan(errors)]
    return (ratios[:, None] <= np.asarray(multiples)).mean(axis=0)


def typical(sigma: np.ndarray) -> tuple[float, float]:
    """Return the median and the 99th percentile of faces' mean log sigma, of sigma (N, K)."""
    middle, large = np.quantile(np.log(sigma).mean(axis=1), (0.5, 0.99)).tolist()
    return middle, large


def trust(sigma: np.ndarray, typical_sigma: tuple[float, float]) -> np.ndarray:
    """Return how far faces (N,) are to be trusted, from 0 (no face at all) to 1.

    Args:
        sigma: (N, K), in shares of the crop's side.
        typical_sigma: of validation faces, see `typical`.
    """
    middle, large = typical_sigma
    doubt = (np.log(sigma).mean(axis=1) - middle) / max(large - middle, 1e-3)
    # Clipped, since exp of a large number overflows.
    return 1 / (1 + np.exp((STEEPNESS * (doubt - HALF)).clip(-50, 50)))
