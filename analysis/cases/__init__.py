"""Single test cases: which gain and which lose, and where harm lives. No verdict is made from them."""
