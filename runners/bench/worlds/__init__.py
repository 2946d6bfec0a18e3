"""Worlds whose truth is planted: whole small studies with arms of several sizes, trained by the model itself.

They say whether the claim on capacity (`analysis.arms.hypothesis`) comes out right: supported where tasks harm each
other at any size of the model.

pictures.py: speckle and marks · planted.py: the worlds · encoders.py: one network in several widths ·
world_study.py: one seed of a world, from its pictures to the verdict · hypothesis.py: the table
"""
