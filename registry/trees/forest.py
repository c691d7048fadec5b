"""A booster as arrays of nodes, read from what XGBoost itself writes of it. Pure.

The layout is for `registry.trees.kernel`: children lie side by side, and a leaf is a node that leads to
itself, so that every row takes the same number of steps through a tree, and no step is a branch.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.trees.ubjson import read_ubjson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.uint32]
    Floats = npt.NDArray[np.float32]

# What is done with the sum over the trees: nothing, or the logistic function.
_SUMS = frozenset(
    {"reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "rank:pairwise", "rank:ndcg"}
)
_LOGISTIC = frozenset({"binary:logistic", "reg:logistic"})
_WORD_BITS = 32
# All sets of categories have so many words at most; a booster with more is left to XGBoost.
_MOST_WORDS = 2**22
# Every row takes as many steps as the deepest leaf: trees that are deeper are mostly lopsided.
_MOST_DEPTH = 16


@dataclass(frozen=True)
class Forest:
    """Nodes of all trees, one after the other, and where each tree begins and how deep it is.

    At a node, the column `feature` is looked at: `features` columns in which what is missing goes left,
    then as many in which it goes right. A row goes to `child + 1` where its value is at least `threshold`,
    or its category is in the set of `1 + words` words that begins at `sets`, and to `child` elsewhere.
    Where a category decides `threshold` is NaN, at a leaf as well; and where none does, the set is empty.
    `leaf` is what a node adds to the sum, which begins with `base`. The last node is of no tree.
    """

    features: int
    feature: Ints
    threshold: Floats
    child: Ints
    leaf: Floats
    roots: Ints
    depths: Ints
    base: float
    is_logistic: bool
    sets: Ints
    words: int
    set_words: Ints

    @property
    def has_categories(self) -> bool:
        """Whether a category decides anywhere."""
        return self.words > 0


class _UnknownError(Exception):
    """A booster is of a kind that is left to XGBoost."""


def read_forest(booster: Any) -> Forest | None:
    """Read a booster of scalar trees whose sum is the prediction, or its logit; None for any other."""
    try:
        return forest_of(read_ubjson(bytes(booster.save_raw("ubj")))["learner"])
    except ValueError:
        return None


def forest_of(learner: Mapping[str, Any]) -> Forest | None:
    """Return what XGBoost's document of a learner says, if it is of such trees; None for any other."""
    try:
        return _read(learner)
    except (_UnknownError, IndexError):  # a child that is not there
        return None


def _read(learner: Mapping[str, Any]) -> Forest:
    gradient_booster, objective = learner["gradient_booster"], learner["objective"]["name"]
    parameters = learner["learner_model_param"]
    base = [float(each) for each in parameters["base_score"].strip("[]").split(",")]
    if gradient_booster["name"] != "gbtree" or objective not in _SUMS | _LOGISTIC or len(base) != 1:
        raise _UnknownError
    if gradient_booster["model"].get("weight_drop"):
        raise _UnknownError  # DART, as XGBoost 3.4 writes it
    if int(parameters["num_class"]) > 1 or int(parameters["num_target"]) > 1:
        raise _UnknownError
    features, trees = int(parameters["num_feature"]), gradient_booster["model"]["trees"]
    sets = _Sets.of(trees)
    read = []
    for tree in trees:
        # For an endpoint that loads a version in a thread: numpy lets go of the interpreter and takes it
        # again so often that a thread which waits for it would get it only when all trees are read.
        time.sleep(0)
        read.append(_read_tree(tree, features, sets))
    roots = np.cumsum([0, *(len(tree["feature"]) for tree in read)]).astype(np.uint32)
    for tree, root in zip(read, roots[:-1], strict=True):
        tree["child"] += root

    def joined(name: str, dtype: type) -> npt.NDArray[Any]:
        return np.concatenate([*(tree[name] for tree in read), np.zeros(1)]).astype(dtype)

    threshold, feature = joined("threshold", np.float32), joined("feature", np.uint32)
    if np.isinf(threshold).any() or feature.max() >= 2 * features:
        raise _UnknownError  # what is missing would not be beyond them; columns that no row has
    return Forest(
        features=features,
        feature=feature,
        threshold=threshold,
        child=joined("child", np.uint32),
        leaf=joined("leaf", np.float32),
        roots=roots[:-1].copy(),
        depths=np.array([tree["depth"] for tree in read], np.uint32),
        base=_logit(base[0]) if objective in _LOGISTIC else base[0],
        is_logistic=objective in _LOGISTIC,
        sets=joined("sets", np.uint32),
        words=sets.words,
        set_words=sets.all(),
    )


def _read_tree(tree: Mapping[str, Any], features: int, sets: _Sets) -> dict[str, Any]:
    """Return the nodes of one tree, level by level, children side by side, counted from its root."""
    if int(tree["tree_param"]["size_leaf_vector"]) > 1:
        raise _UnknownError
    left, right = (np.asarray(tree[f"{side}_children"], np.int64) for side in ("left", "right"))
    levels = [np.zeros(1, np.int64)]
    while True:
        inner = levels[-1][left[levels[-1]] >= 0]
        if not len(inner):
            break
        if len(levels) > _MOST_DEPTH:
            raise _UnknownError
        levels.append(np.stack([left[inner], right[inner]], axis=1).ravel())
    order = np.concatenate(levels)
    place = np.empty(len(left), np.int64)
    place[order] = np.arange(len(order))
    is_inner = left[order] >= 0
    conditions = np.asarray(tree["split_conditions"], np.float32)[order]
    goes_right = np.asarray(tree["default_left"])[order] == 0
    is_set, set_of = np.zeros(len(left), bool), np.zeros(len(left), np.int64)
    for node, start, size in zip(
        tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
    ):
        is_set[node], set_of[node] = True, sets.add(tree["categories"][start : start + size])
    return {
        "feature": np.where(
            is_inner, np.asarray(tree["split_indices"], np.int64)[order] + goes_right * features, 0
        ),
        "threshold": np.where(is_inner & ~is_set[order], conditions, np.float32(np.nan)),
        "child": np.where(is_inner, place[left[order]], np.arange(len(order))).astype(np.uint32),
        "leaf": np.where(is_inner, np.float32(0), conditions),
        "depth": len(levels) - 1,
        "sets": set_of[order],
    }


class _Sets:
    """Bits of all sets of categories, each of `words` words and one; the first of all is empty."""

    def __init__(self, words: int) -> None:
        self.words = words
        self._found: list[npt.NDArray[np.uint32]] = [np.zeros(words + 1, np.uint32)]

    @classmethod
    def of(cls, trees: Sequence[Mapping[str, Any]]) -> _Sets:
        most = max((int(np.max(tree["categories"], initial=-1)) for tree in trees), default=-1)
        words, many = (most + _WORD_BITS) // _WORD_BITS, sum(len(tree["categories_nodes"]) for tree in trees)
        if (words + 1) * (many + 1) > _MOST_WORDS:
            raise _UnknownError
        return cls(words)

    def add(self, categories: Sequence[int]) -> int:
        """Take a set; return where it begins."""
        bits = np.zeros(self.words + 1, np.uint32)
        chosen = np.asarray(categories, np.int64)
        np.bitwise_or.at(bits, chosen // _WORD_BITS, np.uint32(1) << (chosen % _WORD_BITS).astype(np.uint32))
        # The last word is for rows without a category: its first bit goes left, its second goes right.
        bits[-1] = 2
        self._found.append(bits)
        return (len(self._found) - 1) * (self.words + 1)

    def all(self) -> npt.NDArray[np.uint32]:
        return np.concatenate(self._found)


def _logit(probability: float) -> float:
    """Return the logit as XGBoost takes it: by the C library, in float32."""
    log = ctypes.CDLL(None).logf
    log.restype, log.argtypes = ctypes.c_float, [ctypes.c_float]
    odds = np.float32(1) / np.float32(probability) - np.float32(1)
    return -float(log(odds))
