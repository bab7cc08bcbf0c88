"""Styles of drumming: tempo, metre, feel, and the grids their bars are made of.

A part is one or more lines joined by ` | `; a line is a letter of PIECES and a grid of one bar or a whole
fraction of it. Grid marks: `X` accent, `x` stroke, `o` softer, `g` ghost, `?` now and then, `.` nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

PIECES = MappingProxyType(
    {
        "K": "kick",
        "S": "snare",
        "R": "rim",
        "C": "clap",
        "H": "hihat-closed",
        "O": "hihat-open",
        "P": "hihat-pedal",
        "L": "tom-low",
        "M": "tom-mid",
        "T": "tom-high",
        "Y": "crash",
        "D": "ride",
        "Z": "splash",
        "J": "tambourine",
        "A": "shaker",
        "W": "cowbell",
        "G": "conga",
    }
)
"""The letters of the grids and the pieces they stand for."""


@dataclass(frozen=True)
class Style:
    """One style: how fast, in what metre and feel, on what kits, and its stock of one-bar parts."""

    name: str
    tempo: tuple[float, float]
    """Usual beats per minute."""
    kick: tuple[str, ...]
    snare: tuple[str, ...]
    top: tuple[str, ...]
    """Time-keeping lines, from the sparsest to the busiest."""
    colour: tuple[str, ...] = ()
    """Percussion laid over the kit, some of the time."""
    beats: int = 4
    """Beats to the bar."""
    division: int = 4
    """Grid steps to the beat: 4, or 3 for triplets."""
    swing: tuple[float, float] = (0.0, 0.04)
    """How late every second step is, in steps: 1/3 is a full triplet swing."""
    sampled: float = 0.5
    """How often the kit is a sampled one rather than a synthesised one, 0 to 1."""
    looseness_ms: tuple[float, float] = (1.5, 7.0)
    """Spread of a stroke around the grid."""
    backbeat_ms: tuple[float, float] = (-3.0, 8.0)
    """How late the snare is (negative: early)."""
    ghosts: float = 0.2
    """How often ghost notes fill the steps around a backbeat, 0 to 1."""
    variation: float = 0.5
    """How much one bar differs from the next, 0 to 1."""
    fills: tuple[str, ...] = ("toms", "snare", "mixed", "flams", "pickup")
    crash: float = 0.6
    """How often a section starts with a crash."""
    half_time: float = 0.06
    """How often a section is played at half the speed of the grid."""
    characters: tuple[str, ...] = ()
    """Kinds of processing the kits of this style like best."""

    @property
    def meter(self) -> tuple[int, int]:
        """Beats to the bar, and the note that counts as one beat."""
        return self.beats, 4

    @property
    def steps(self) -> int:
        """Grid steps to the bar."""
        return self.beats * self.division


_ELECTRONIC = ("roll", "snare", "gap", "pickup", "stutter")
_MACHINE = (0.0, 1.2)
_ROCK_TOP = ("H x.x.", "H X.o.", "H Xoxo", "O x.x.", "D x.x.", "O x...", "D X.o.", "Y x...")
_BACKBEAT = ("S ....X.......X...",)

# fmt: off
STYLE_TABLE: tuple[Style, ...] = (
    Style("rock", (92, 152),
        ("K x.......x.......", "K x.....x.x.......", "K x.x.....x.......", "K x.......x.x.....",
        "K x..x....x.x...x.", "K x.....x...x.....", "K x.x...x.x.x.....", "K x.........x...x."),
        (*_BACKBEAT, "S ....X.......X..o", "S ....X..g.g..X...", "S ....X..?....X.?."),
        _ROCK_TOP,
        ("J ....x.......x...", "J x.x.", "W x..."),
        sampled=0.85, characters=("clean", "bigroom", "dry")),
    Style("punk", (150, 210),
        ("K x.....x.x.....x.", "K x...x...x...x...", "K x..x..x.x..x..x.", "K x.x...x.x.x...x."),
        ("S ....X.......X...", "S ..x...x...x...x.", "S ....X.....x.X..."),
        ("H x.x.", "O x.x.", "O x...", "D x.x.", "Y x..."),
        sampled=0.9, swing=(0.0, 0.0), backbeat_ms=(-5.0, 3.0), crash=0.8, characters=("clean", "dry",
        "lofi")),
    Style("pop", (88, 130),
        ("K x.......x.......", "K x.......x.x.....", "K x..x..x.........", "K x...x...x...x...",
        "K x.....x...x.....", "K x..x....x..x...."),
        (*_BACKBEAT, "C ....X.......X...", "S ....X.......X... | C ....x.......x...", "S ....X.......X..?"),
        ("H x...", "H x.x.", "H X.o.", "H xoxo", "H x.xx", "O ..x. | H x...", "D x.x."),
        ("A xoxo", "J ....x.......x...", "J ..x.", "A x.x.", "G ..x..x....x.xx.."),
        characters=("clean", "gated", "bigroom")),
    Style("ballad", (56, 84),
        ("K x.......x.......", "K x.........x.....", "K x......xx.......", "K x.......?.......",
        "K x..............x"),
        ("S ........X.......", "S ....X.......X...", "R ....x.......x...", "R ........x......."),
        ("H x...", "H x.o.", "D x.o.", "H xoxo", "P ....x.......x...", "D x..."),
        ("A x.o.", "J ........x.......", "G ..o...o.o..o..o."),
        sampled=0.8, looseness_ms=(3.0, 9.0), backbeat_ms=(0.0, 16.0), crash=0.4, variation=0.4,
        characters=("bigroom", "soft", "clean", "gated")),
    Style("funk", (88, 118),
        ("K x..x....x..x....", "K x.x.......x..x..", "K x..x..x...x.....", "K x.....x..x..x...",
        "K x.x....x..x..x..", "K xx....x...xx...."),
        ("S ....X..g.g..X..g", "S ....X..g.g.gX...", "S ..g.X..g.gg.X..g", "S ....X...g..X..g.",
        "S .g..X.g..g..X.gg"),
        ("H x.x.", "H xoxo", "H Xoxo", "H x.xxx.x.x.xxx.x. | O ......x.........",
        "H xoxoxo.oxoxoxo.o | O ......x.......x.", "D x.xo"),
        ("G ..x.x..x..x.x.xx", "J x.o.", "W x...x...x.x.x...", "A xoxo"),
        sampled=0.85, ghosts=0.6, swing=(0.0, 0.16), looseness_ms=(3.0, 7.0), characters=("dry", "clean",
        "break")),
    Style("soul", (70, 116),
        ("K x.......x.......", "K x......xx.......", "K x.....x.x..x....", "K x...x...x...x...",
        "K x..x...xx......."),
        (*_BACKBEAT, "S x...x...x...x...", "S ....X..g....X.g.", "R ....x.......x..."),
        ("H x.x.", "H x.o.", "H xoxo", "D x.x.", "H x...x...x...x... | J ..x."),
        ("J ....X.......X...", "J x.x.", "G ..x...xx..x...xx"),
        sampled=0.9, swing=(0.0, 0.2), looseness_ms=(4.0, 9.0), backbeat_ms=(0.0, 14.0), ghosts=0.35,
        characters=("soft", "dry", "lofi")),
    Style("disco", (108, 128),
        ("K x...",),
        ("S ....X.......X...", "S ....X.......X... | C ....x.......x...", "C ....X.......X..."),
        ("O ..x.", "H x... | O ..x.", "H x.xx | O ..x.", "H xo.o | O ..x.", "H xoxo", "D ..x."),
        ("G ..xx..x...xx..x.", "J ..x.", "A xoxo", "W x.x..x.x", "C ....x.......x..."),
        sampled=0.6, swing=(0.0, 0.05), characters=("clean", "dry"), ghosts=0.1),
    Style("house", (116, 130),
        ("K x...", "K x...x...x...x..?", "K x...x...x...x.x."),
        ("C ....X.......X...", "S ....X.......X...", "C ....X.......X..o",
        "C ....X..?....X... | R ...x..x...x....."),
        ("O ..x.", "H ..x.", "H xo.o | O ..x.", "H xoxo | O ..x.", "H .x.x | O ..x.", "H xx.x | O ..x."),
        ("A xoxo", "G ...x..x....x..x.", "J ..x.", "R ..x..x....x..x..", "W ..x..x..x..x..x."),
        swing=(0.0, 0.2), sampled=0.12, looseness_ms=_MACHINE, backbeat_ms=(-2.0, 4.0), fills=_ELECTRONIC,
        ghosts=0.1, crash=0.45, variation=0.25, characters=("clean", "big808", "break")),
    Style("techno", (124, 146),
        ("K x...", "K x..?x...x...x.?.", "K x...x..xx...x..."),
        ("C ....x.......x...", "S ....?.......?...", "R ..x..x..x..x..x.", "S ....x.......x..."),
        ("O ..x.", "H .xxx", "H xxxx", "H x.xx | O ..x.", "D ..x.", "D x.x.", "H ..x."),
        ("L ..x..x....x.....", "A xxxx", "R x..x..x..x..x...", "W ....x..x....x...", "T ...x....x..x...."),
        swing=(0.0, 0.08), sampled=0.05, looseness_ms=_MACHINE, backbeat_ms=(0.0, 0.0), fills=_ELECTRONIC,
        ghosts=0.0, crash=0.3, variation=0.2, characters=("hard", "clean", "bigroom")),
    Style("trance", (130, 144),
        ("K x...",),
        ("C ....x.......x...", "S ....x.......x..."),
        ("O ..x.", "H xxxx | O ..x.", "H xoxo", "D ..x."),
        ("A xxxx", "J ..x.", "R ...x..x....x..x."),
        swing=(0.0, 0.0), sampled=0.08, looseness_ms=_MACHINE, backbeat_ms=(0.0, 0.0), fills=_ELECTRONIC,
        variation=0.2, crash=0.7, characters=("hard", "clean", "bigroom")),
    Style("electro", (108, 134),
        ("K x.....x...x.....", "K x..x..x.........", "K x.......x.x..x..", "K x...x..x..x....."),
        ("S ....X.......X...", "C ....X.......X...", "S ....X.......X.x."),
        ("H x.x.", "H xxxx", "H x.xx", "H xx.x | O ..x."),
        ("W ..x..x..x.x..x..", "L ..........x.x...", "G ...x..x....x..xx", "C .......x.......x"),
        swing=(0.0, 0.1), sampled=0.1, looseness_ms=_MACHINE, fills=_ELECTRONIC, characters=("big808",
        "clean", "lofi", "gated")),
    Style("synthwave", (80, 118),
        ("K x...x...x...x...", "K x.......x.......", "K x.....x.x......."),
        ("S ....X.......X...", "S ....X.......X... | C ....x.......x..."),
        ("H x.x.", "H xoxo", "O ..x.", "H x..."),
        ("L ............x.x. | M ..........x.....", "J ..x.", "C ....x.......x..."),
        swing=(0.0, 0.0), sampled=0.25, looseness_ms=_MACHINE, characters=("gated", "gated", "bigroom"),
        fills=("toms", "roll", "flams")),
    Style("trap", (126, 156),
        ("K x.......?.x.....", "K x.....x.........", "K x..x......x..x..", "K x.........x..x..",
        "K x......x..x.....", "K x....x....x...x."),
        ("S ........X.......", "C ........X.......", "S ........X....... | C ........x.......",
        "R ........X......?"),
        ("H x.x.", "H x.x.x.x.x.xxx.x.", "H x..x..x.x..x..x.", "H xxx.", "H xxxx",
        "H x.x. | O ......?........."),
        ("R ...x..x.......x.", "W ......x.......x.", "A x.x.", "T ..............xx"),
        sampled=0.08, looseness_ms=_MACHINE, fills=_ELECTRONIC, crash=0.25, variation=0.6, ghosts=0.05,
        characters=("big808", "hard", "lofi")),
    Style("drill", (138, 146),
        ("K x.......x..x....", "K x..x......x.....", "K x.........x...x.", "K x.....x...x....."),
        ("S ......X.......X.", "S ......X.....X...", "C ......X.......X."),
        ("H x..x..x.", "H x..x..x.x..x.x..", "H x.xx.x.x"),
        ("R ...x......x.....", "G ..x..x....x....."),
        sampled=0.08, looseness_ms=_MACHINE, fills=_ELECTRONIC, crash=0.2, characters=("big808", "hard")),
    Style("hiphop", (78, 104),
        ("K x......x..x.....", "K x.x....x.xx.....", "K x..x......x..x..", "K x.....x.x.......",
        "K xx.....x..x..x..", "K x.......x.x....x"),
        ("S ....X.......X...", "S ....X.......X..g", "S ....X..g....X...", "C ....X.......X..."),
        ("H x.x.", "H X.o.", "H xoxo", "H x.xx", "H x.x. | O ..............x.", "D x.x."),
        ("J ....x.......x...", "A x.x.", "W ..x.......x....."),
        swing=(0.04, 0.3), sampled=0.5, looseness_ms=(1.0, 7.0), backbeat_ms=(-6.0, 14.0),
        fills=("pickup", "gap", "stutter", "snare"), crash=0.25, variation=0.35,
        characters=("break", "lofi", "dry", "big808")),
    Style("lofi", (68, 92),
        ("K x.......x.x.....", "K x......xx.......", "K x..x......x....."),
        ("S ....x.......x...", "R ....x.......x...", "C ....x.......x..."),
        ("H x.o.", "H x.x.", "H xoxo", "D x.o."),
        ("A x.o.", "J ..o."),
        swing=(0.1, 0.33), sampled=0.6, looseness_ms=(3.0, 10.0), backbeat_ms=(0.0, 22.0),
        fills=("pickup", "gap"), crash=0.1, variation=0.3, characters=("lofi", "lofi", "soft", "break")),
    Style("breakbeat", (108, 142),
        ("K x.x.......xx....", "K x..x...x..x.....", "K x.x....x..x..x..", "K x.....x...x....."),
        ("S ....X..g.g..X..g", "S ....X..x.x..X..x", "S ....X.......X.x.", "S ....X..g.X..X..."),
        ("H x.x.", "D x.x.", "H xoxo", "O x...", "H x.xx"),
        ("J x.x.", "G ..x..x....x.xx.."),
        swing=(0.0, 0.12), ghosts=0.5, sampled=0.6, looseness_ms=(1.0, 5.0), characters=("break", "break",
        "hard", "lofi"), fills=("snare", "mixed", "stutter", "gap")),
    Style("dnb", (160, 178),
        ("K x.........x.....", "K x.x.......x.....", "K x.x.......xx....", "K x.....x...x.....",
        "K x..x......x..x.."),
        ("S ....X.......X...", "S ....X..g.g..X...", "S ....X..x.x..X..x", "S ....X..g.g....X."),
        ("H x.x.", "D x.x.", "H xoxo", "H x.xx", "O x...", "H .xxx"),
        ("A xoxo", "J ..x.", "R ...x..x...x....."),
        swing=(0.0, 0.1), ghosts=0.5, sampled=0.45, looseness_ms=(0.3, 4.0), fills=("stutter", "mixed",
        "snare", "gap"), characters=("break", "hard", "break", "clean")),
    Style("dubstep", (136, 144),
        ("K x...............", "K x.....x.........", "K x..x.....x......", "K x.............x."),
        ("S ........X.......", "S ........X....... | C ........x......."),
        ("H x...", "H x..x..x.", "H x.x.", "H x.xx"),
        ("R ...x......x.....", "A x.x."),
        sampled=0.15, looseness_ms=_MACHINE, fills=_ELECTRONIC, swing=(0.0, 0.15), characters=("hard",
        "bigroom", "big808")),
    Style("garage", (126, 136),
        ("K x.........x.....", "K x......x..x.....", "K x..x......x....."),
        ("S ....X.......X...", "C ....X.......X..?", "S ....X..g...gX..."),
        ("O ..x.", "H .xox", "H x.ox | O ..x.", "H xoxo"),
        ("A .x.x", "R ...x..x....x....", "G ..x....x..x..x.."),
        swing=(0.15, 0.34), sampled=0.15, looseness_ms=_MACHINE, fills=_ELECTRONIC, ghosts=0.3,
        characters=("clean", "break", "dry")),
    Style("reggae", (66, 92),
        ("K ........x.......", "K x.......x.......", "K x...x...x...x..."),
        ("R ........x.......", "S ........X.......", "R ........x....... | S ............?..."),
        ("H x.o.", "H x..o", "H xoxo", "O ......x. | H x.x.", "P ....x..."),
        ("A x.x.", "G ..x...xx..x.x.x.", "W ..x.", "J ....x..."),
        swing=(0.05, 0.33), sampled=0.8, looseness_ms=(3.0, 9.0), fills=("toms", "flams", "snare", "mixed"),
        crash=0.4, characters=("dry", "soft", "bigroom")),
    Style("dancehall", (88, 108),
        ("K x..x..x.", "K x...x...x...x...", "K x.....x."),
        ("S ...x..x.", "R ...x..x.", "C ...X..X....X..X."),
        ("H x.x.", "H xxxx", "H ..x.", "H x..."),
        ("G x..x..x.", "A xoxo", "W ..x.", "T ..............xx"),
        sampled=0.25, looseness_ms=(0.0, 3.0), fills=_ELECTRONIC, characters=("clean", "big808", "dry")),
    Style("metal", (100, 190),
        ("K x.x.x.x.x.x.x.x.", "K xxxx", "K x..x..x..x..x.x.", "K xx.xx.x.xx.xx.x.", "K x.......x.......",
        "K x.xxx.xxx.xxx.xx"),
        ("S ....X.......X...", "S ........X.......", "S ..x...x...x...x.", "S .x.x"),
        ("O x...", "Y x...", "D x.x.", "O x.x.", "H x.x.", "D X..."),
        (),
        sampled=0.9, looseness_ms=(0.5, 4.0), backbeat_ms=(-3.0, 3.0), fills=("toms", "mixed", "snare",
        "toms", "double"), crash=0.9, half_time=0.2, ghosts=0.05, characters=("hard", "dry", "clean",
        "bigroom")),
    Style("jazz-swing", (96, 220),
        ("K o...........", "K ............", "K o..o..o..o..", "K .....o......", "K o.......?..x"),
        ("S ............", "S .....g......", "S ..g.....g..?", "R .........x..", "S ......?..g.x"),
        ("D x..x.xx..x.x", "D x..x.xx..x.x | P ...x.....x..", "H x..x.xx..x.x",
        "D x..x..x..x.x | P ...x.....x.."),
        (),
        division=3, sampled=0.95, looseness_ms=(4.0, 11.0), ghosts=0.3, variation=0.8, crash=0.2,
        fills=("snare", "mixed", "pickup", "toms"), half_time=0.0, characters=("soft", "soft", "clean",
        "dry")),
    Style("bossa", (100, 150),
        ("K x..xx..x", "K x..x...x", "K x..xo..x"),
        ("R x..x..x...x..x..", "R x..x...x.x..x...", "R ..x..x..x..x..x."),
        ("H xoxo", "H x.x.", "D xoxo", "P ..x. | A xoxo", "A xxxx"),
        ("A xoxo", "G ..x...xx..x...xx", "W x.x..x.x"),
        sampled=0.85, looseness_ms=(2.0, 7.0), ghosts=0.0, crash=0.15, fills=("snare", "pickup", "toms"),
        half_time=0.0, characters=("soft", "dry", "clean")),
    Style("samba", (92, 116),
        ("K x..xo..x", "K o...X...", "L ....X..."),
        ("S xgoxxgoxgxxgoxgx", "R x.x..x.x.xx.x.x.", "S x.gxg.xg.xg.x.gx"),
        ("H xoox", "A Xoox", "P ..x. | A xxxx"),
        ("W x.x..xx.x.x.x.x.", "G ..xx..x...xx.x.x", "J Xoox"),
        sampled=0.85, looseness_ms=(2.0, 7.0), swing=(0.0, 0.12), ghosts=0.3, crash=0.2, half_time=0.0,
        characters=("dry", "clean")),
    Style("latin", (88, 112),
        ("K ...x..x.", "K x.....x.", "K ..........x....."),
        ("R x..x..x...x.x...", "R ..x.x...x..x..x.", "S ....x.......x..."),
        ("W x.xxx.xx", "H x.x.", "D x.xxx.xx", "W x..."),
        ("G oox.ooxx", "G ..x...xx..x...xx", "A xoxo"),
        sampled=0.85, looseness_ms=(2.0, 7.0), ghosts=0.05, crash=0.3, half_time=0.0, fills=("toms", "flams",
        "mixed"), characters=("dry", "clean")),
    Style("country", (84, 130),
        ("K x...x...", "K x.......", "K x.....x.x......."),
        ("S ....x...", "S ..g.X.g.", "S .o.xXo.x", "R ....x..."),
        ("H x.x.", "H xoxo", "H x...", "D x.x."),
        ("J ....x...", "A xoxo"),
        sampled=0.9, looseness_ms=(2.0, 8.0), ghosts=0.3, characters=("soft", "clean", "dry")),
    Style("train", (92, 124),
        ("K x...x...", "K x..."),
        ("S ooXoooXo", "S oxXoogXo", "S goXg"),
        ("H ..x.", "P ..x.", "H x.x."),
        ("J ..x.", "A xoxo"),
        sampled=0.95, ghosts=0.0, looseness_ms=(3.0, 8.0), characters=("soft", "dry"), fills=("snare",
        "flams", "pickup"), half_time=0.0),
    Style("shuffle", (84, 140),
        ("K x.....x.....", "K x..x..x..x..", "K x....xx.....", "K x.....x..x.x"),
        ("S ...X.....X..", "S ..gX.g..gX.g", "S ......X....."),
        ("H x.x", "D x.x", "H X.o", "O x.x", "H x.."),
        ("J ...x.....x..", "A x.x"),
        division=3, sampled=0.88, looseness_ms=(3.0, 8.0), ghosts=0.35, characters=("clean", "dry",
        "bigroom")),
    Style("slow-blues", (50, 76),
        ("K x.....x.....", "K x....xx.....", "K x.....x..x.x"),
        ("S ...X.....X..", "S ...X....gX.."),
        ("H xxx", "D Xoo", "H Xoo", "H x.x"),
        ("J ...x.....x..",),
        division=3, sampled=0.92, looseness_ms=(3.0, 9.0), backbeat_ms=(0.0, 15.0), characters=("clean",
        "soft", "bigroom")),
    Style("afrobeat", (96, 126),
        ("K x.....x...x.....", "K x..x..x.........", "K ..x...x...x...x.", "K x.....x.x.....x."),
        ("S ....x..x....x..x", "S ...x..x....x..x.", "R ..x..x....x..x..", "S ....X..g.x..g..."),
        ("H x.xx", "H xoxo", "H x.x. | O ......x.......x.", "D x.xx"),
        ("A xoxx", "W x.x.x.xx.x.x.xx.", "G ..x.xx..x.xx.x..", "G x..x..x...x.x..."),
        sampled=0.8, looseness_ms=(2.0, 7.0), ghosts=0.4, swing=(0.0, 0.2), characters=("dry", "clean"),
        half_time=0.0),
    Style("afropop", (98, 116),
        ("K x...", "K x..x..x.", "K x.....x."),
        ("R ...x..x....x.x..", "C ....x.......x...", "S ...x..x."),
        ("A xoxo", "H x.xx", "H ..x.", "A .xx."),
        ("G x..x..x.x.x.xx..", "L ......x.......xx", "R x..x..x...x.x..."),
        sampled=0.3, looseness_ms=(0.0, 4.0), swing=(0.0, 0.2), fills=_ELECTRONIC, characters=("clean",
        "big808", "dry")),
    Style("waltz", (84, 180),
        ("K x...........", "K x.......x...", "K x.........x."),
        ("S ....x...x...", "R ....x...x...", "S ........X...", "S ....g...x..."),
        ("H x...", "H x.x.", "D x.x.", "D x...x..xx...", "P ....x...x..."),
        ("J ....x...x...", "A x.x."),
        beats=3, sampled=0.9, looseness_ms=(3.0, 9.0), half_time=0.0,
        characters=("soft", "clean", "bigroom")),
    Style("indie", (96, 148),
        ("K x.......x.x.....", "K x..x..x...x.....", "K x.....x.x..x....", "K x...x...x...x..."),
        (*_BACKBEAT, "S ....X.......X.x.", "R ....x.......x..."),
        ("H xoxo", "L x.x.", "H x.x.", "D x.x.", "O ..x. | H x...", "M x.xxx.x."),
        ("J x.x.", "A xoxo", "C ....x.......x..."),
        sampled=0.8, characters=("lofi", "dry", "bigroom", "clean")),
    Style("tribal", (80, 126),
        ("K x.....x.x.......", "K x..x..x...x....."),
        ("L ..x..xx...x..xx.", "M ...x..x....x.x..", "S ....x.......x..."),
        ("A xoxo", "H ..x.", "L x.ox..x."),
        ("G x.xxx.x.", "T ....x..x......xx", "W x..x..x...x.x...", "J ..x."),
        sampled=0.6, looseness_ms=(2.0, 7.0), crash=0.4, characters=("bigroom", "clean"), fills=("toms",
        "flams"), half_time=0.0),
    Style("march", (92, 124),
        ("K x...x...", "K x......."),
        ("S x.oox.oox.ooxooo", "S xooxxooxxoxoxooo", "S x.x.xooox.x.x.x."),
        ("P ....x...", "Y x...............", "P x..."),
        ("J ....x...",),
        sampled=0.95, looseness_ms=(2.0, 7.0), ghosts=0.3, characters=("bigroom", "dry"), fills=("snare",
        "flams"), half_time=0.0),
    Style("percussion-only", (76, 128),
        ("G x..ox..o", "G x...x..x", "L x.....x."),
        ("C ....x.......x...", "R x..x..x...x.x...", "G ..x..xx...x..xxo"),
        ("A xoxo", "J x.xx", "A x.x.", "J ..x."),
        ("W x.x.x.xx.x.x.xx.", "J ....x...", "T ...x..x....x..xx", "R ..x."),
        sampled=0.6, looseness_ms=(3.0, 9.0), crash=0.0, fills=("flams", "pickup", "gap"), half_time=0.0,
        ghosts=0.0, characters=("dry", "soft", "clean")),
)
# fmt: on
"""Every style there is."""
