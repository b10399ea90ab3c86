"""Verifiable instructions: IFEval's 25 checkers and its four scores (Zhou et al. 2023, 2311.07911)."""

from precept.evaluate.ifeval.score import Check, Followed, bind, follow_all, loose_variants, score_followed

__all__ = ["Check", "Followed", "bind", "follow_all", "loose_variants", "score_followed"]
