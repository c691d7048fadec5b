"""A forest that asks about bins: a byte instead of a number, and trees in which no node is left out. Pure.

XGBoost finds its splits among a few hundred cuts of each feature, so all that its trees can ask of a number
is between which two cuts it lies. The layout is for `registry.trees.binned_kernel`: a tree has all nodes of
all its levels, whether it needs them or not, so that the turns of a row say at which leaf it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from registry.trees.forest import Forest

# Bins of a feature, and leaves of a tree, are counted by a byte.
BINS = 256
_MOST_LEVELS = 8


@dataclass(frozen=True)
class BinnedForest:
    """Trees of `levels` levels and the cuts of each feature.

    The bin of a number is how many of its `cuts`, float32 of shape (features, 256), filled up with NaN, are
    not above it. What is missing is in bin 0 of a feature where it goes left, and in the last where it goes
    right: there are two columns of each, as in a `Forest`. Nodes lie level by level, uint32 of shape (trees,
    2 ** levels - 1); node n of a level leads to 2n and 2n + 1 of the next, to the latter where the bin in the
    column `feature` is at least `least`. `leaf`, float32 of shape (trees, 2 ** levels), is what a tree adds.
    """

    levels: int
    cuts: npt.NDArray[np.float32]
    feature: npt.NDArray[np.uint32]
    least: npt.NDArray[np.uint32]
    leaf: npt.NDArray[np.float32]
    base: float
    is_logistic: bool

    @property
    def features(self) -> int:
        """How many numbers a row has."""
        return len(self.cuts)

    @classmethod
    def of(cls, forest: Forest) -> BinnedForest | None:
        """Return a forest in bins; None without trees, or with categories, or too many levels or cuts."""
        levels = max(int(forest.depths.max(initial=0)), 1)
        if not len(forest.roots) or forest.has_categories or levels > _MOST_LEVELS:
            return None
        is_split = ~np.isnan(forest.threshold)
        is_split[-1] = False  # of no tree
        cuts = np.full((forest.features, BINS), np.nan, np.float32)
        least = np.zeros(len(forest.threshold), np.uint32)
        of_feature = forest.feature % max(forest.features, 1)
        for feature in range(forest.features):
            asked = is_split & (of_feature == feature)
            found = np.unique(forest.threshold[asked])
            if len(found) >= BINS:
                return None
            cuts[feature, : len(found)] = found
            least[asked] = np.searchsorted(found, forest.threshold[asked]) + 1
        # A leaf leads to itself. Where it stands for nodes below it, it does not matter which way these go.
        level, nodes = forest.roots[:, None], []
        for _ in range(levels):
            nodes.append(level)
            child = forest.child[level]
            level = np.stack([child, child + is_split[level]], axis=2).reshape(len(child), -1)
        asked = np.concatenate(nodes, axis=1)
        return cls(
            levels,
            cuts,
            forest.feature[asked],
            least[asked],
            forest.leaf[level],
            forest.base,
            forest.is_logistic,
        )
