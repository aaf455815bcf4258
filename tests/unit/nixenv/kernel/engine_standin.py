"""A program of the engine's shape: events on standard error, one object on standard output.

What it says is in the JSON file that STANDIN names: `events`, `answer`, `status`, `noise`, `wait` (a file
to make when it has said everything, after which it waits for a signal). It writes what it was given to
the file's neighbour `heard.json`.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

plan_file = Path(os.environ["STANDIN"])
plan = json.loads(plan_file.read_text())


def stop(number, _frame):
    plan_file.with_name("stopped").write_text(signal.Signals(number).name)
    sys.stdout.write(
        json.dumps({"error": {"type": "RealisationCancelledError", "message": "stopped"}})
    )
    sys.exit(130)


for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, stop)
plan_file.with_name("heard.json").write_text(
    json.dumps({"argv": sys.argv[1:], "environ": dict(os.environ), "pid": os.getpid()})
)
for line in plan.get("noise", []):
    sys.stderr.write(line + "\n")
for event in plan.get("events", []):
    sys.stderr.write(json.dumps(event) + "\n")
    sys.stderr.flush()
if "wait" in plan:
    Path(plan["wait"]).touch()
    time.sleep(60)
if "answer" in plan:
    sys.stdout.write(json.dumps(plan["answer"]))
sys.exit(plan.get("status", 0))
