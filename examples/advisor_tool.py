"""An advisor tool: shows each assignment with its reasons, and reports the first contact.

python examples/advisor_tool.py            # for ever; Ctrl-C ends it
python examples/advisor_tool.py --idle 10  # until nothing has come for ten seconds
"""

import argparse
from contextlib import suppress

from schemas.events import AdvisorAssigned, AssignmentEnded
from streams.clients import AdvisorTool

arguments = argparse.ArgumentParser(description="Shows assignments and reports the first contact.")
arguments.add_argument("--idle", type=float, help="end when nothing has come for so many seconds")
arguments.add_argument("--name", default="example", help="processes of one name share the customers")
chosen = arguments.parse_args()

with suppress(KeyboardInterrupt), AdvisorTool(chosen.name) as tool:
    for event in tool.subscribe(until_idle_s=chosen.idle):
        if isinstance(event, AdvisorAssigned):
            reasons = ", ".join(reason.feature for reason in event.reasons[:3])
            by_wish = event.cause == "manual" and not reasons
            why = "by wish" if by_wish else f"{event.score:.2f}: {reasons}"
            print(f"{event.advisor_id} serves {event.customer_id} ({why}), by {event.recommended_channel}")
            tool.report(event, "contacted", channel=event.recommended_channel)
        elif isinstance(event, AssignmentEnded):
            print(f"{event.advisor_id} no longer serves {event.customer_id}: {event.reason}")
