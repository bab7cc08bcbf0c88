"""MIDI in the bridge: controllers move faders, faders move controllers.

`ports` and `boxes` bring bytes in and out, `controls` names what moves, `pairs` and `decoder` turn bytes
into moves, `takeover` keeps faders from jumping, `mapping` and `map_files` say what a control is for,
`learning` finds that out, `surface` and `service` put it all on one hub. python-rtmidi is imported only when
ports are opened.
"""
