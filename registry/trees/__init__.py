"""The trees of a booster, walked by code of our own, with XGBoost's own answers to the bit."""

from registry.trees.evaluator import Evaluator, choose_evaluator
from registry.trees.kernel import prepare

__all__ = ["Evaluator", "choose_evaluator", "prepare"]
