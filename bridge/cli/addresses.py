"""`stembridge addresses`: every OSC address, what it takes and what it answers."""

from __future__ import annotations

import argparse
import json


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--markdown", action="store_true", help="as the table of the README")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    from stembridge.bridge.addresses import ADDRESSES, PUSHES, markdown, signature

    if arguments.markdown:
        print(markdown())
        return 0
    rows = [(row.path, signature(row), row.text, row.answers) for row in ADDRESSES]
    pushed = [(push.path, f",{push.tags}", push.text) for push in PUSHES]
    if arguments.json:
        keys = ("address", "arguments", "text", "answers")
        taken = [dict(zip(keys, row, strict=True)) for row in rows]
        told = [dict(zip(("address", "types", "text"), push, strict=True)) for push in pushed]
        print(json.dumps({"taken": taken, "sent": told}, indent=2))
        return 0
    wide = max(len(f"{path} {taken}") for path, taken, *_ in rows) + 2
    for path, takes, text, answers in rows:
        print(f"{f'{path} {takes}':<{wide}}{text}")
        if answers:
            print(f"{'':<{wide}}-> {answers.replace('`', '')}")
    print("\nsent to subscribers:")
    for path, tags, text in pushed:
        print(f"{f'{path} {tags}':<{wide}}{text}")
    return 0
