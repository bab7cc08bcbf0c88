"""The names of the MIDI ports there are."""

from __future__ import annotations

from .ports import driver


def port_names() -> tuple[list[str], list[str], str]:
    """Inputs, outputs, and what keeps them from being listed (empty: nothing)."""
    try:
        import rtmidi
    except ImportError:
        return [], [], "MIDI needs python-rtmidi: `pip install stembridge[midi]`"
    try:
        api = driver(rtmidi, None)
        scanner_in, scanner_out = rtmidi.MidiIn(rtapi=api), rtmidi.MidiOut(rtapi=api)
        names = scanner_in.get_ports(), scanner_out.get_ports()
        scanner_in.delete()
        scanner_out.delete()
    except Exception as error:  # rtmidi's own kinds differ from system to system
        return [], [], f"the system's MIDI cannot be used: {error}"
    return *names, ""
