"""What a DAW's mixer is to show of something that happened on the desk."""

from __future__ import annotations

from typing import Literal

from .. import events as e
from ..session import MASTER

What = Literal["gain", "mute", "solo", "pan"]


def shown(event: e.Event) -> tuple[str, What, float] | None:
    """Strip (or `master`), what of it, and the value: dB, 0 or 1, -1 to 1; None for what no mixer shows.

    A fade that begins is shown by its steps, not by where it will end.
    """
    match event:
        case e.GainChanged(stem, gain_db, fade_s):
            return None if fade_s else (stem, "gain", gain_db)
        case e.GainMoved(stem, gain_db):
            return stem, "gain", gain_db
        case e.MasterGainChanged(gain_db, fade_s):
            return None if fade_s else (MASTER, "gain", gain_db)
        case e.MasterGainMoved(gain_db):
            return MASTER, "gain", gain_db
        case e.MuteChanged(stem, on):
            return stem, "mute", float(on)
        case e.SoloChanged(stem, on):
            return stem, "solo", float(on)
        case e.PanChanged(stem, pan):
            return stem, "pan", pan
        case e.MasterMuteChanged(on):
            return MASTER, "mute", float(on)
    return None
