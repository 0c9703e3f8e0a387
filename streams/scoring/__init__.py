"""What the scorer decides, kind by kind: the parts of the core whose door is `streams/engine.py`."""
