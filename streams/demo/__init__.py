"""The demo: a simulated shop, an embedded broker and store, one real worker, and a view of what it decides.

    stage.py      who runs what: START HERE
    plan.py       how large the shop is and how fast its time runs
    playing.py    the shop: publishes its events at its own pace
    backstage.py  the worker, as a process of its own, exactly as in production
    observer.py   what a subscriber knows from the topics alone; `watching.py` reads them for it
    scene.py      a moment of all that, as values
    view.py       the terminal view, made of `panels.py`; `words.py` puts reasons into words
    telling.py    plain lines, the summary, the JSON object
    ending.py     who asked for the end

Only the broker, the store and the pace differ from production. Nothing here decides anything.
"""
