"""`ganbench doctor`: whether this machine can train, by which ways, whether rightly, and how fast.

`examination` asks one question after another. Each is answered in a process of its own (`children`), by a
function of `facts`, `ways`, `agreement`, `waits`, `repetition`, `memory` or `speed`, on the games of `games`.
The answers are the dataclasses of `findings`; `advice` judges them and `lines` words them. `first_use` asks
the quick questions of a GPU that is new, for `ganbench run`.
"""
