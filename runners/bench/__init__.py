"""`make bench`: what a study costs, as ratios measured side by side on one machine.

Ratios, not seconds: the machine's speed cancels out. Each part is one file and can be run alone:

    python -m runners.bench                                  # every part, about ten minutes on two cores
    python -m runners.bench peers growth --data PATH         # some of them, on a folder of one's own
    python -m runners.bench peers --share 1 --passes 11      # the whole study in place of the cut-down one
"""
