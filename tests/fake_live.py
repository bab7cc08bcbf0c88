"""A stand-in for Ableton Live that runs the real Remote Script, on its own main loop with Live's ticks.

As a program it takes the hands of a person from standard input, one line of JSON each. Runs on Python 3.7.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import select
import sys
import time
import traceback
import types
from typing import Any

from fake_lom import Clip, Handle, Track, WarpMarker, World


def install_modules(world: World) -> None:
    """Make `Live` and `_Framework` importable, as they are for scripts inside of Live."""
    live: Any = types.ModuleType("Live")
    application = types.SimpleNamespace(
        get_major_version=lambda: world.version[0], get_minor_version=lambda: world.version[1]
    )
    live.Application = types.SimpleNamespace(get_application=lambda: application)
    live.Clip = types.SimpleNamespace(WarpMarker=WarpMarker)
    framework: Any = types.ModuleType("_Framework")
    surface: Any = types.ModuleType("_Framework.ControlSurface")
    surface.ControlSurface = ControlSurface
    framework.ControlSurface = surface
    sys.modules.update({"Live": live, "_Framework": framework, "_Framework.ControlSurface": surface})


class ControlSurface:
    """What scripts derive from, as far as ours does; `c_instance` is the world."""

    def __init__(self, c_instance: World) -> None:
        self._world = c_instance
        self.connected = True

    def song(self) -> Handle:
        return self._world.hand()

    def log_message(self, text: str) -> None:
        self._world.log.append(text)

    def show_message(self, text: str) -> None:
        self._world.messages.append(text)

    def update_display(self) -> None:
        if not self.connected:
            raise RuntimeError("a script that is gone was called")

    def disconnect(self) -> None:
        self.connected = False


def main() -> int:
    """Run the script at PATH/Stembridge until standard input ends or `quit` comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--tick", type=float, default=0.1)
    parser.add_argument("--version", default="12.1")
    parser.add_argument("--cannot-place", action="store_true")
    arguments = parser.parse_args()
    major, minor = arguments.version.split(".")
    world = World((int(major), int(minor)), not arguments.cannot_place)
    install_modules(world)
    sys.path.insert(0, arguments.folder)
    names: dict[str, Any] = {"world": world, "song": world.song, "Track": Track, "Clip": Clip}
    names["script"] = importlib.import_module("Stembridge").create_instance(world)
    due = time.monotonic()
    lines = b""
    while True:
        ready, _, _ = select.select([0], [], [], max(due - time.monotonic(), 0.0))
        if ready:
            data = os.read(0, 65536)
            lines += data
            if not data:
                break
            while b"\n" in lines:
                line, lines = lines.split(b"\n", 1)
                _obey(json.loads(line.decode()), names)
            if "stop" in names:
                break
        if time.monotonic() >= due:
            due += arguments.tick
            names["script"].update_display()
            world.settle()
    names["script"].disconnect()
    print(json.dumps({"listeners": world.listeners}), flush=True)
    return 0


def _obey(request: dict[str, str], names: dict[str, Any]) -> None:
    try:
        exec(request.get("do", ""), names)
        answer = {"value": eval(request.get("ask", "None"), names)}
    except Exception:
        answer = {"error": traceback.format_exc()}
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    sys.exit(main())
