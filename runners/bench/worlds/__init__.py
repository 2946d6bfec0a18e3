"""Worlds whose truth is planted: whole small studies, trained by the model itself.

They say whether the claim on capacity (`analysis.arms.hypothesis`) comes out right, and whether groups that are found
(`analysis.grouping`) part what contradicts each other.

pictures.py: speckle and marks · planted.py: worlds of the claim · related.py: the world of groups · encoders.py: one
network in several widths · world_study.py: one seed of a world, from its pictures to the tables · kept_worlds.py: its
result, kept · capacity_study.py, grouping_study.py: what is made of it · hypothesis.py, grouping.py: the tables
"""
