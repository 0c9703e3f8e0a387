"""Replay: years of events through the same core as the worker, in minutes. START HERE.

    sources ──> rows ──> [fold: parallel over shards] ──> moments ──> [sequel: score, learn, assign] ──> Run ──> measures ──> report

`rows.py` says what a row of the log is, `sources/` where rows come from. Customers fold independently, so the fold runs
beside itself over any number of processes; what follows it (scoring, learning, assigning) is sequential, and runs over
looks and outcomes only. Nothing here writes to topics or keys.
"""
