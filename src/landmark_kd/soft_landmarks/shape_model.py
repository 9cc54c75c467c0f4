"""Active shape model: a mean shape and the few modes in which real shapes differ from it.

Cootes, Taylor, Cooper, Graham, "Active Shape Models: Their Training and Application", CVIU 61
(1995), with the tangent-space projection of Cootes & Taylor, "Statistical Models of Appearance
for Computer Vision" (2004), section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from sklearn.decomposition import PCA

from landmark_kd.core.errors import UserError
from landmark_kd.core.files import replaced_file
from landmark_kd.landmarks.missing import complete, present
from landmark_kd.landmarks.procrustes import (
    NO_EXTENT,
    Align,
    aligned_to_mean,
    checked_shapes,
    procrustes_fit,
    procrustes_mean,
    to_complex,
    to_real,
)

# Modes with a smaller share of the variance are rounding errors (four of them are the
# directions of the similarity itself).
NO_VARIANCE = 1e-12
# Missing landmarks are filled in until they move less than this share of the shape, or so often.
FILLED, MAX_FILLINGS = 1e-6, 300


@dataclass(frozen=True)
class ShapeModel:
    """A fitted shape model of K landmarks with M modes.

    Attributes:
        mean: (K, 2) mean shape. Aligned by similarity its centroid is the origin, its size (root
            of the sum of squares) 1 and its rotation the training shapes' average; else it is in
            the coordinates of the training shapes.
        modes: (M, K, 2), orthonormal, by falling variance.
        variances: (M,) variance of the training shapes' coefficient of each kept mode.
        all_variances: variance of the aligned training shapes along each of their principal
            components, kept or not; `explained` is a share of their sum.
        align: similarity or none.
        limit: standard deviations to which a mode's coefficient is clipped.
    """

    mean: np.ndarray
    modes: np.ndarray
    variances: np.ndarray
    all_variances: np.ndarray
    align: Align
    limit: float

    @classmethod
    def fit(
        cls,
        shapes: np.ndarray,
        variance: float = 0.9,
        align: Align = "similarity",
        limit: float = 3.0,
    ) -> ShapeModel:
        """Align shapes, take their mean, and keep the modes that explain enough of the variance.

        Args:
            shapes: (N, K, 2) float, any unit.
            variance: share of the variance to keep, above 0 and at most 1.
            align: similarity (generalised Procrustes) or none (coordinates as they stand).
            limit: `soften` clips each coefficient to this many standard deviations.

        Raises:
            ValueError: an argument out of its range, fewer than two shapes, coordinates that are
                not finite, a shape without extent, or shapes that do not differ.
        """
        if not 0 < variance <= 1:
            raise ValueError(f"variance is {variance}; it must be above 0 and at most 1")
        if align not in get_args(Align):
            raise ValueError(f"align is {align!r}; it must be similarity or none")
        if not limit > 0:
            raise ValueError(f"limit is {limit}; it must be above 0")
        shapes = checked_shapes(shapes, align)
        if len(shapes) < 2:
            raise ValueError(f"{len(shapes)} shape cannot vary; a shape model needs at least two")
        if align == "none":
            mean = shapes.mean(axis=0)
            modes, all_variances = _principal_components(shapes)
            variances = all_variances
        else:
            mean = procrustes_mean(shapes)
            aligned, pose, _ = aligned_to_mean(shapes, mean)
            modes, all_variances = _principal_components(procrustes_fit(shapes, aligned, pose))
            modes = _free_of_similarity(modes, mean)
            coefficients = _flat(aligned - mean) @ _flat(modes).T
            variances = np.square(coefficients).sum(axis=0) / (len(shapes) - 1)
        model = cls(mean, modes, variances, all_variances, align, float(limit))
        return model.explaining(variance)

    @property
    def explained(self) -> float:
        """Share of the training shapes' variance that the kept modes explain."""
        return float(self.all_variances[: len(self.modes)].sum() / self.all_variances.sum())

    def explaining(self, variance: float) -> ShapeModel:
        """Return this model with the fewest of its modes that explain `variance`, a share."""
        cumulative = np.cumsum(self.all_variances) / self.all_variances.sum()
        # The sum of all shares may fall short of 1 by a rounding error.
        count = int(np.searchsorted(cumulative, variance - NO_VARIANCE)) + 1
        return self.truncated(min(count, len(self.modes)))

    def truncated(self, count: int) -> ShapeModel:
        """Return this model with its first `count` modes only.

        Raises:
            ValueError: fewer than one or more than there are.
        """
        if not 1 <= count <= len(self.modes):
            raise ValueError(f"{count} modes were asked for; there are 1 to {len(self.modes)}")
        return replace(self, modes=self.modes[:count], variances=self.variances[:count])

    def soften(self, shapes: np.ndarray) -> np.ndarray:
        """Return the soft-landmarks of shapes: what the model can express of them.

        The shape is aligned to the mean, projected on the modes, each coefficient clipped to
        ± `limit` standard deviations, and put back by the shape's own similarity. The pose is
        that of the mean fitted to the shape, and the modes are orthogonal to it, so softening a
        soft shape leaves it as it is.

        A shape with missing landmarks is softened so that those which are there have the least
        squared distance from what the model can express; the missing ones stay missing.

        Args:
            shapes: (N, K, 2) float, any unit (with align none: that of the training shapes); NaN
                where missing.

        Returns:
            (N, K, 2) float64 in the coordinates of `shapes`.

        Raises:
            ValueError: another number of landmarks, coordinates that are not finite, or a shape
                without extent.
        """
        partial = ~complete(np.asarray(shapes, dtype=np.float64))
        if partial.any():
            soft = np.array(shapes, dtype=np.float64)
            if not partial.all():
                soft[~partial] = self.soften(soft[~partial])
            soft[partial] = self._soften_partial(soft[partial])
            return soft
        shapes = checked_shapes(shapes, self.align)
        if shapes.shape[1] != len(self.mean):
            raise ValueError(
                f"shapes have {shapes.shape[1]} landmarks, the shape model {len(self.mean)}"
            )
        if self.align == "none":
            return self._projected(shapes)
        aligned, pose, centroid = aligned_to_mean(shapes, self.mean)
        return to_real(to_complex(self._projected(aligned)) * pose + centroid)

    def deformed(self, mode: int, deviations: float) -> np.ndarray:
        """Return the mean shape (K, 2) moved along one mode by so many standard deviations."""
        return self.mean + deviations * np.sqrt(self.variances[mode]) * self.modes[mode]

    def save(self, path: Path) -> None:
        """Write the model as .npz, without pickle."""
        with replaced_file(path) as temporary:
            np.savez(
                temporary,
                mean=self.mean,
                modes=self.modes,
                variances=self.variances,
                all_variances=self.all_variances,
                align=self.align,
                limit=self.limit,
            )

    @classmethod
    def load(cls, path: Path) -> ShapeModel:
        """Read a model that `save` wrote.

        Raises:
            UserError: the file is missing or holds no shape model.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                fields: dict[str, Any] = {name: stored[name] for name in stored.files}
            fields["align"], fields["limit"] = str(fields["align"]), float(fields["limit"])
            return cls(**fields)
        except FileNotFoundError:
            raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
        except MemoryError:
            raise
        except Exception as error:  # zipfile, numpy and dict lookups each raise their own kind
            raise UserError(
                f"{path} holds no shape model ({error}); run `dvc checkout` or `dvc repro -f`."
            ) from None

    def _soften_partial(self, shapes: np.ndarray) -> np.ndarray:
        """Soften shapes (N, K, 2) of which landmarks are missing.

        What is missing is filled in from the soft shape, again and again: of all soft shapes that
        leads to the one which is nearest to the landmarks that are there.
        """
        there = present(shapes)[..., None]
        filled = np.where(there, shapes, self._fitted_mean(shapes))
        for _ in range(MAX_FILLINGS):
            soft = self.soften(filled)
            moved = np.abs(soft - filled)[~there[..., 0]].max()
            filled = np.where(there, shapes, soft)
            if moved < FILLED * np.ptp(filled, axis=1).max():
                break
        return np.where(there, soft, np.nan)

    def _fitted_mean(self, shapes: np.ndarray) -> np.ndarray:
        """Return the mean as it lies on the landmarks of shapes (N, K, 2) that are there."""
        if self.align == "none":
            return np.broadcast_to(self.mean, shapes.shape)
        fitted = np.empty_like(shapes)
        mean = to_complex(self.mean)
        for place, shape in zip(fitted, shapes, strict=True):
            known = present(shape)
            if known.sum() < 2 or not np.ptp(shape[known], axis=0).max() > 0:
                raise ValueError("a shape has fewer than two landmarks; it has no pose")
            z = to_complex(shape[known])
            basis = np.stack([mean[known], np.ones(len(z))], axis=1)
            (pose, offset), *_ = np.linalg.lstsq(basis, z, rcond=None)
            place[:] = to_real(pose * mean + offset)
        return fitted

    def _projected(self, aligned: np.ndarray) -> np.ndarray:
        modes = _flat(self.modes)
        bound = self.limit * np.sqrt(self.variances)
        coefficients = np.clip(_flat(aligned - self.mean) @ modes.T, -bound, bound)
        return self.mean + (coefficients @ modes).reshape(aligned.shape)


def _principal_components(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal directions (M, K, 2) in which shapes (N, K, 2) vary, and the variances (M,)."""
    pca = PCA(svd_solver="full").fit(_flat(shapes))
    components, variances = pca.components_, pca.explained_variance_
    # Copies of one shape differ by rounding errors.
    if variances.sum() <= NO_VARIANCE**2 * np.square(shapes).mean():
        raise ValueError("the shapes do not differ; a shape model needs shapes that do")
    real = variances > NO_VARIANCE * variances.sum()
    return _signed(components[real]).reshape(-1, *shapes.shape[1:]), variances[real]


def _free_of_similarity(modes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Make modes (M, K, 2) orthogonal to the mean's translation, scaling and rotation.

    Procrustes-aligned shapes vary a little in size, and so do their principal components; without
    that, pose and coefficients are independent, and one fit of each is exact.
    """
    turned = np.stack([-mean[:, 1], mean[:, 0]], axis=1)
    along_x, along_y = np.zeros_like(mean), np.zeros_like(mean)
    along_x[:, 0] = along_y[:, 1] = 1
    similarity = np.stack([along_x, along_y, mean, turned])
    directions = np.concatenate([_flat(similarity), _flat(modes)])
    orthonormal, triangle = np.linalg.qr(directions.T)
    # A mode that was nothing but similarity and the modes before it leaves nothing.
    new = np.abs(np.diag(triangle)) > NO_EXTENT
    new[: len(similarity)] = False
    return _signed(orthonormal.T[new]).reshape(-1, *mean.shape)


def _signed(modes: np.ndarray) -> np.ndarray:
    """Flip modes (M, D), whose sign is arbitrary, so that the largest coordinate is positive."""
    largest = np.take_along_axis(modes, np.abs(modes).argmax(axis=1)[:, None], axis=1)
    return modes * np.sign(largest)


def _flat(shapes: np.ndarray) -> np.ndarray:
    return shapes.reshape(len(shapes), 2 * shapes.shape[1])
