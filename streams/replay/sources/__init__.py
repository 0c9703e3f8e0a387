"""Where rows come from: files, topics, data sets by name, the simulator. One file each; all are a `Source` of `rows.py`.

The same events give the same rows, whichever of them they come through: `files.py` and `named.py` lay them on the partitions,
and number them, as `maitred publish` would.
"""
