"""What a study is asked: each file answers one question from pairs of scores, or from frames, with a frame."""
