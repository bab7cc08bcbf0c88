"""Models of synthesised drum kits: regions of parameters, each a kind of drum machine or of real kit."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class DrumModel:
    """A region of parameters; every field but the name is a range that a kit draws from."""

    name: str
    kick_hz: Range = (45.0, 60.0)
    kick_s: Range = (0.25, 0.6)
    """To -60 dB, as all decays here."""
    sweep: Range = (2.0, 6.0)
    """How far above its pitch the kick starts, in multiples of it."""
    sweep_s: Range = (0.006, 0.03)
    click: Range = (0.05, 0.4)
    drive: Range = (0.5, 2.0)
    snare_hz: Range = (165.0, 260.0)
    snare_s: Range = (0.15, 0.4)
    wires: Range = (0.4, 0.8)
    """Share of noise in the snare."""
    wires_hz: Range = (700.0, 2500.0)
    """Where the noise of the snare begins."""
    membrane: Range = (0.0, 0.3)
    """How much of the upper membrane modes sounds: near 0 a machine, near 1 a drum."""
    tom_hz: Range = (70.0, 110.0)
    """The low tom; the others stand above it."""
    tom_s: Range = (0.3, 0.8)
    hat_hz: Range = (5000.0, 8000.0)
    """Below this a hi-hat is silent."""
    hat_s: Range = (0.04, 0.12)
    metal: Range = (0.5, 1.0)
    """Tone against noise in cymbals and hats."""
    cymbal_s: Range = (1.2, 3.0)
    bright: Range = (-3.0, 1.0)
    """Tilt of all noise, dB per octave."""
    gate: Range = (0.0, 0.2)
    """How often, 0 to 1, the snare is cut off instead of dying away."""
    attack_s: Range = (0.0005, 0.002)
    """How fast the wires of the snare speak: slowly under brushes."""


# fmt: off
MODELS: tuple[DrumModel, ...] = (
    DrumModel("eight", (42, 58), (0.5, 2.2), (1, 4), (0.004, 0.02), (0.02, 0.25), (0.5, 2.5), (160, 200)),
    DrumModel("eight-short", (48, 66), (0.2, 0.5), (1, 3), snare_s=(0.1, 0.2), wires_hz=(1500, 3500)),
    DrumModel("nine", (42, 56), (0.25, 0.6), (3, 7), (0.008, 0.025), (0.2, 0.7), (1, 3), metal=(0.1, 0.5)),
    DrumModel("six", (50, 64), (0.15, 0.3), (0.5, 2), snare_hz=(190, 280), hat_hz=(6000, 9500),
              metal=(0.8, 1)),
    DrumModel("digital", (46, 64), (0.15, 0.35), (1, 3), membrane=(0.2, 0.6), metal=(0, 0.3),
              gate=(0.2, 0.6)),
    DrumModel("hexagon", (44, 64), (0.25, 0.6), (2, 6), (0.008, 0.03), tom_hz=(70, 140), tom_s=(0.5, 1.4),
              gate=(0.3, 0.9)),
    DrumModel("hard", (44, 58), (0.25, 0.7), (5, 14), (0.01, 0.05), (0.3, 0.9), (3, 12), wires=(0.6, 0.95)),
    DrumModel("trap", (36, 52), (0.8, 2.6), (1, 5), (0.004, 0.02), (0.1, 0.5), (1, 5), snare_s=(0.12, 0.3),
              hat_s=(0.02, 0.07)),
    DrumModel("minimal", (46, 58), (0.2, 0.45), (1, 4), click=(0, 0.15), snare_s=(0.05, 0.15),
              hat_s=(0.015, 0.05), wires=(0.3, 0.6)),
    DrumModel("chip", (46, 76), (0.12, 0.35), (2, 8), (0.008, 0.03), metal=(0, 0.2), bright=(-1, 3),
              cymbal_s=(0.5, 1.2), gate=(0.3, 1)),
    DrumModel("dub", (40, 54), (0.35, 0.9), (0.5, 2), click=(0, 0.1), wires=(0.3, 0.6), membrane=(0.2, 0.7),
              bright=(-6, -2), cymbal_s=(1, 2)),
    # From here on kits of wood and skin: the columns are the fields in their order.
    DrumModel("tight", (52, 72), (0.14, 0.3), (0.4, 1.5), (0.004, 0.015), (0.1, 0.5), (0.3, 1), (175, 240),
              (0.15, 0.35), (0.35, 0.65), (500, 1500), (0.4, 1), (75, 105), (0.25, 0.6), (1800, 4500),
              (0.05, 0.15), (0.2, 0.6), (1.2, 3)),
    DrumModel("boomy", (42, 58), (0.35, 0.8), (0.3, 1.2), (0.006, 0.02), (0.03, 0.25), (0.3, 1), (140, 190),
              (0.3, 0.7), (0.3, 0.6), (400, 1200), (0.4, 1), (60, 85), (0.6, 1.6), (1200, 3500),
              (0.08, 0.25), (0.2, 0.6), (2, 5), (-6, -2)),
    DrumModel("piccolo", (50, 66), (0.15, 0.35), (0.4, 2), (0.004, 0.02), (0.15, 0.6), (0.3, 1), (240, 340),
              (0.12, 0.3), (0.3, 0.6), (900, 2500), (0.5, 1), (85, 120), (0.25, 0.6), (2500, 6000),
              (0.04, 0.12), (0.2, 0.7), (1, 2.5)),
    DrumModel("brushes", (48, 64), (0.2, 0.45), (0.2, 0.6), (0.004, 0.015), (0, 0.1), (0.2, 0.6), (170, 230),
              (0.1, 0.3), (0.7, 0.95), (600, 2000), (0.2, 0.6), (75, 105), (0.3, 0.8), (1500, 4000),
              (0.06, 0.2), (0.1, 0.4), (1.5, 4), (-7, -3), attack_s=(0.004, 0.015)),
    DrumModel("garage", (50, 70), (0.2, 0.5), (0.4, 2), (0.006, 0.02), (0.1, 0.5), (1, 4), (160, 240),
              (0.2, 0.6), (0.45, 0.8), (400, 1500), (0.4, 1), (70, 100), (0.4, 1), (1000, 3500),
              (0.08, 0.3), (0.1, 0.5), (1.5, 4), (-5, -1)),
)
# fmt: on
"""All models. Whole models are held out for validation, by name."""
