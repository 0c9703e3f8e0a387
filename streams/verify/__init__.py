"""Verify: what production decided, recomputed from what lies on the topics, and compared byte for byte.

    verify(reads, settings, registry) -> Verdict            START in verifying.py

A batch log names all that was given to the core: which records in which order, the watermark, the model, the policy, and what
was read of other partitions. So each entry can be decided anew (`recomputing.py`), and what comes of it must lie on the topics
(`matching.py`), unchanged, once, in its order; the changelog must hold the state that is left. `cursors.py` reads the topics
page by page, `models.py` finds the model an entry names, `telling.py` shows both sides of a difference.

Nothing is imported here: a replay in recorded order takes the readers (`batch_logs.py`, `given.py`) without the rest.
"""
