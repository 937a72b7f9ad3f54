"""All that is to be measured on a GPU, in one command of at most eight minutes.

`python -m benchmarks.gpu --help` lists its options. `steps` runs each step in a process of its own, within a
limit and a common budget. What `measures` measures lies in files of `rows`, written row by row; `table` makes
the page from them. `--pretend` does all of it on a CPU, with tiny sizes (`setting`): it measures nothing, but
finds typing errors.
"""
