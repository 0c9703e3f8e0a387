"""`maitred doctor`: what is wrong around a worker, and the cure.

`gather.py` asks the servers and never judges; `checks.py` judges what was gathered and asks nobody. Between them lie the
values of `gathered.py`.
"""
