"""`stembridge daws`: which DAWs can be linked, and their files put where they look for them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

DAWS = ("live", "reaper", "ardour")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shown = actions.add_parser("list", help="list the links, and where their files go")
    shown.add_argument("--json", action="store_true", help="as JSON")
    put = actions.add_parser("install", help="put a DAW's files where it looks for them, over older ones")
    put.add_argument("daw", choices=DAWS, help="whose")
    put.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help="Live's User Library, REAPER's resource folder or Ardour's configuration, if not where usual",
    )


def run(arguments: argparse.Namespace) -> int:
    """List, or install and say what is left to do."""
    from stembridge.bridge.daws.install import SETUPS, install

    if arguments.action == "list":
        return _list(arguments.json)
    to = arguments.to.expanduser() if arguments.to is not None else None
    for path in install(arguments.daw, to):
        print(path)
    print(f"\n{SETUPS[arguments.daw].then}")
    return 0


def _list(as_json: bool) -> int:
    from stembridge.bridge.daws.catalogue import LINKS
    from stembridge.bridge.daws.install import SETUPS

    products = {**_PRODUCTS, **{name: setup.product for name, setup in SETUPS.items()}}
    folders = {name: [str(path) for path in setup.usual()] for name, setup in SETUPS.items()}
    if as_json:
        rows = [{"daw": name, "product": products[name], "folders": folders.get(name)} for name in LINKS]
        print(json.dumps(rows, indent=2))
        return 0
    for name in LINKS:
        print(f"{name:<12}{products[name]}")
        if name in folders:
            where = ", ".join(folders[name]) or "a folder that has to be named with --to"
            print(f"{'':<12}`stembridge daws install {name}` puts its files into {where}")
    return 0


_PRODUCTS = {
    "abletonosc": "Ableton Live, through AbletonOSC",
    "mcu": "any host that knows the Mackie Control",
}
