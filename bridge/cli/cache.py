"""`stembridge cache`: how big the stem cache is, and emptying it."""

from __future__ import annotations

import argparse
import json


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("action", choices=("size", "clear"), help="say how much is kept, or delete all of it")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Print the size, or delete everything that nobody is writing; 1 if something would not go."""
    from stembridge.bridge.config import load_config
    from stembridge.model.stem_cache import StemCache

    settings = load_config().cache
    cache = StemCache(settings.folder, settings.limit_bytes)
    facts: dict[str, str | int] = {"folder": str(cache.folder), "limit_bytes": cache.limit_bytes}
    if arguments.action == "clear":
        facts["freed_bytes"] = cache.clear()
    facts |= {"songs": cache.count(), "bytes": cache.size()}
    failed = arguments.action == "clear" and facts["songs"] != 0
    if arguments.json:
        print(json.dumps(facts, ensure_ascii=False))
    elif arguments.action == "clear":
        left = f"; {facts['songs']} would not go" if failed else ""
        print(f"{_size(facts['freed_bytes'])} freed in {cache.folder}{left}")
    else:
        count = f"{facts['songs']} separated song{'' if facts['songs'] == 1 else 's'}"
        print(f"{_size(facts['bytes'])} of {_size(cache.limit_bytes)}, {count}, in {cache.folder}")
    return 1 if failed else 0


def _size(size: str | int) -> str:
    size = int(size)
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
