"""`stembridge devices`: the audio devices and MIDI ports there are."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """List what can be played on and with; 0 even where there is nothing."""
    from stembridge.bridge.midi.listing import port_names
    from stembridge.bridge.player.device import DeviceError, list_devices

    problem = ""
    try:
        devices = list_devices()
    except DeviceError as error:
        devices, problem = [], str(error)
    inputs, outputs, midi_problem = port_names()
    if arguments.json:
        facts = {
            "audio": [asdict(device) for device in devices],
            "midi": {"inputs": inputs, "outputs": outputs},
            "problems": [text for text in (problem, midi_problem) if text],
        }
        print(json.dumps(facts, ensure_ascii=False))
        return 0
    print("audio:")
    for device in devices:
        mark = "*" if device.is_default else " "
        ways = f"{device.outputs} out, {device.inputs} in, {device.sample_rate:g} Hz"
        print(f" {mark}{device.index:>3}  {device.name}  ({device.host}; {ways})")
    print(f"   {problem}" if problem else "" if devices else "   none")
    print("MIDI:")
    for way, names in (("in ", inputs), ("out", outputs)):
        for name in names:
            print(f"  {way}  {name}")
    if midi_problem or not (inputs or outputs):
        print(f"   {midi_problem or 'none'}")
    return 0
