"""Token sequences to forests: merge by common prefix, cut a batch into forests, choose each step's rows.

Instruction data repeats itself: one definition stands before hundreds of instances, one prompt before several
answers. A forest keeps every distinct token once, so that a model computes it once, with the losses and
gradients of separate sequences. Numpy only.
"""

from precept.forest.cut import cut
from precept.forest.group import PrefixGroups, find_groups
from precept.forest.schedule import Schedule
from precept.forest.tree import build_forest, distinct_tokens

__all__ = ["PrefixGroups", "Schedule", "build_forest", "cut", "distinct_tokens", "find_groups"]
