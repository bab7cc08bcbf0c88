"""Who plays in which kind of music: parts, bass sounds and manners, drum styles, voices."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Recipe:
    """One accompanying or solo part."""

    sound: str
    """`gm:PROGRAM,...` (one is chosen), `synth:NAME`, `guitar:MANNER` or `solo:NAME`."""
    roles: tuple[str, ...]
    """Manners of `accompaniment.ROLES`, or `solo`; one is chosen for each section."""
    register: tuple[float, float]
    """Where the centre of the part lies, as MIDI notes."""
    level_db: float = 0.0
    place: str = "side"
    """`centre`, `side` (anywhere between), `wide` (both sides)."""


# fmt: off
RECIPES: MappingProxyType[str, Recipe] = MappingProxyType({
    "piano": Recipe("gm:0,0,1,2", ("two hands", "quarters", "comp", "busy hands"), (58, 68), 0, "wide"),
    "piano ballad": Recipe("gm:0,0,1", ("quarters", "ringing arpeggio", "two hands"), (60, 67), 1,
        "wide"),
    "honky-tonk": Recipe("gm:3,0", ("busy hands", "off-beat"), (60, 69), -1),
    "electric piano": Recipe("gm:4,5", ("comp", "two hands", "pad"), (57, 66), -1, "wide"),
    "fm piano": Recipe("synth:fm keys", ("comp", "two hands", "ringing arpeggio"), (60, 70), -1, "wide"),
    "clavinet": Recipe("gm:7", ("busy comp", "scratch", "riff"), (55, 64), -2),
    "organ": Recipe("gm:16,17,18", ("pad", "comp", "pad"), (58, 68), -3, "wide"),
    "drawbar organ": Recipe("synth:drawbar organ", ("pad", "off-beat", "comp"), (58, 68), -3, "wide"),
    "accordion": Recipe("gm:21,23", ("pad", "comp", "counter"), (60, 69), -2),
    "acoustic strum": Recipe("guitar:acoustic", ("strum",), (52, 57), 0),
    "acoustic picking": Recipe("guitar:acoustic", ("pick", "pick", "arpeggio"), (52, 57), 0),
    "clean guitar": Recipe("guitar:clean", ("comp", "ringing arpeggio", "strum", "riff"), (52, 62), -1),
    "clean arpeggio": Recipe("guitar:clean", ("pick", "ringing arpeggio", "arpeggio"), (54, 62), -1),
    "funk guitar": Recipe("guitar:clean", ("scratch", "scratch", "busy comp"), (62, 69), -2),
    "skank guitar": Recipe("guitar:clean", ("off-beat",), (60, 68), -1),
    "crunch guitar": Recipe("guitar:crunch", ("power rhythm", "comp", "riff", "strum"), (48, 58), 0,
        "wide"),
    "wall of guitars": Recipe("guitar:distorted", ("power rhythm", "power", "power rhythm"), (43, 50), 2,
        "wide"),
    "metal guitars": Recipe("guitar:distorted", ("chug", "chug", "power rhythm", "riff"), (41, 47), 2,
        "wide"),
    "guitar riff": Recipe("guitar:distorted", ("riff",), (48, 57), 0),
    "lead guitar": Recipe("guitar:lead", ("solo",), (67, 78), -1, "centre"),
    "clean lead guitar": Recipe("guitar:clean", ("solo", "counter"), (64, 76), -1),
    "gm distortion": Recipe("gm:29,30", ("power", "power rhythm"), (45, 52), 0, "wide"),
    "banjo": Recipe("gm:105", ("fast arpeggio", "pick", "arpeggio"), (58, 66), -2),
    "mandolin": Recipe("synth:plucked strings", ("fast arpeggio", "off-beat", "strum"), (66, 74), -3),
    "harp": Recipe("gm:46", ("ringing arpeggio", "fast arpeggio"), (62, 74), -2, "wide"),
    "strings": Recipe("gm:48,49,50,51", ("pad", "counter", "thin pad"), (62, 74), -2, "wide"),
    "pizzicato": Recipe("gm:45", ("arpeggio", "comp"), (62, 74), -3, "wide"),
    "tremolo strings": Recipe("gm:44", ("pad",), (62, 72), -4, "wide"),
    "brass": Recipe("gm:61,62,56", ("hits", "hits", "counter"), (60, 70), -1, "wide"),
    "horns": Recipe("gm:60,58", ("counter", "pad"), (55, 64), -3),
    "woodwinds": Recipe("gm:68,71,73", ("counter",), (67, 78), -3),
    "mallets": Recipe("gm:11,12,13,108", ("arpeggio", "riff", "comp"), (67, 79), -3),
    "music box": Recipe("gm:9,10,8,14,112", ("arpeggio", "riff"), (76, 88), -6, "wide"),
    "steel drums": Recipe("gm:114", ("riff", "comp"), (66, 76), -3),
    "kalimba": Recipe("synth:fm keys", ("arpeggio", "riff"), (66, 80), -3),
    "sitar": Recipe("gm:104,106,107", ("riff", "fast arpeggio"), (58, 68), -3),
    "synth pad": Recipe("synth:synth pad", ("pad", "pad", "thin pad"), (58, 70), -3, "wide"),
    "gm pad": Recipe("gm:88,89,90,92,93,94,95", ("pad",), (58, 70), -3, "wide"),
    "super-saw": Recipe("synth:super-saw", ("comp", "pad", "busy comp"), (60, 72), 0, "wide"),
    "synth arpeggio": Recipe("synth:synth pluck", ("fast arpeggio", "arpeggio"), (60, 74), -2, "wide"),
    "synth pluck": Recipe("synth:synth pluck", ("riff", "comp", "busy comp"), (60, 74), -2),
    "synth keys": Recipe("synth:synth keys", ("comp", "riff", "busy comp"), (56, 70), -2),
    "synth stabs": Recipe("synth:super-saw", ("hits", "off-beat"), (58, 70), -2),
    "low synth": Recipe("synth:synth keys", ("riff", "thin pad"), (46, 55), -2),
    "bells": Recipe("synth:fm keys", ("riff", "arpeggio", "sparse comp"), (72, 86), -5, "wide"),
    "orchestra hits": Recipe("gm:55", ("hits",), (58, 66), -4, "wide"),
    "riser": Recipe("synth:riser", ("lead-up",), (60, 61), -4, "wide"),
    "choir pad": Recipe("solo:choir", ("pad", "thin pad", "counter"), (60, 70), -1, "wide"),
    "synth choir": Recipe("solo:synth choir", ("pad", "thin pad"), (58, 69), -1, "wide"),
    "saxophone": Recipe("solo:saxophone", ("solo", "counter"), (58, 72), 1, "centre"),
    "reed": Recipe("solo:reed", ("solo", "counter"), (58, 72), 1, "centre"),
    "violin": Recipe("solo:violin", ("solo", "counter"), (66, 79), 0, "centre"),
    "cello": Recipe("solo:cello", ("counter", "solo"), (48, 58), 0, "centre"),
    "flute": Recipe("solo:flute", ("solo", "counter"), (70, 82), 0, "centre"),
    "clarinet": Recipe("solo:clarinet", ("solo", "counter"), (62, 74), 0, "centre"),
    "trumpet": Recipe("solo:trumpet", ("solo", "hits", "counter"), (62, 74), 0, "centre"),
    "harmonica": Recipe("solo:harmonica", ("solo", "counter"), (64, 76), 0, "centre"),
    "whistle": Recipe("solo:whistle", ("solo", "counter"), (74, 86), -2, "centre"),
    "voice lead": Recipe("solo:voice lead", ("solo", "counter"), (60, 74), 1, "centre"),
    "lead synth": Recipe("solo:lead synth", ("solo", "counter", "riff"), (62, 80), 0, "centre"),
    "gm lead": Recipe("solo:gm lead", ("solo", "riff"), (62, 80), -1, "centre"),
    "talk-box": Recipe("solo:talk-box", ("solo", "counter"), (50, 66), 1, "centre"),
})
"""Parts by name."""

_GUITAR_LEADS = ("lead guitar", "lead guitar", "clean lead guitar")
_BREATH = ("saxophone", "saxophone", "reed", "flute", "trumpet", "clarinet")
_SYNTH_LEADS = ("lead synth", "lead synth", "gm lead", "talk-box", "voice lead", "whistle", "saxophone")
_FOLK_LEADS = ("violin", "flute", "harmonica", "violin", "clean lead guitar", "cello", "whistle", "clarinet")


@dataclass(frozen=True)
class Idiom:
    """A kind of music."""

    name: str
    weight: float
    """How often it is chosen."""
    drums: tuple[str, ...]
    """Styles of `grooves.STYLES`."""
    feelings: tuple[str, ...]
    """Keys of `harmony.LOOPS`."""
    bass: tuple[str, ...]
    """`gm:PROGRAM,...` or `synth:NAME`."""
    lines: tuple[str, ...]
    """Keys of `bass_lines.BASS_LINES`."""
    cores: tuple[tuple[str, ...], ...]
    """Bands: one of them plays."""
    extras: tuple[str, ...]
    """Some of these join."""
    leads: tuple[str, ...]
    """Solo parts."""
    extra_count: tuple[int, int] = (0, 2)
    voices: tuple[float, float, float, float] = (0.78, 0.03, 0.07, 0.12)
    """Chances of a sung lead, rap, choir or backing voices only, no voice."""
    drumless: float = 0.05
    bassless: float = 0.05
    pumping: float = 0.0
    """Chance of side-chain compression from the kick."""
    dense: float = 0.5
    """How full the mix is pushed, 0 to 1."""
    balance_db: MappingProxyType[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """What a stem is louder than usual by."""


def _louder(**stems: float) -> MappingProxyType[str, float]:
    return MappingProxyType(stems)


_FINGERED = ("gm:33", "gm:33,34", "gm:34", "synth:plucked strings")

IDIOMS: tuple[Idiom, ...] = (
    Idiom("rock", 2.6, ("rock", "rock", "indie", "shuffle"), ("rock", "major", "minor", "riff"),
        ("gm:33,34", "gm:34", "gm:33"), ("eighths", "eighths", "with kick", "riff", "melodic", "sustained"),
        (("wall of guitars",), ("wall of guitars", "clean arpeggio"), ("crunch guitar",), ("crunch guitar",
        "piano"), ("crunch guitar", "organ"), ("guitar riff", "wall of guitars"), ("crunch guitar",
        "acoustic strum"), ("gm distortion",)), ("organ", "piano", "clean arpeggio", "guitar riff",
        "strings", "clean lead guitar", "synth pad"), _GUITAR_LEADS, (0, 2), dense=0.7),
    Idiom("indie", 1.5, ("indie", "rock", "pop", "tribal"), ("major", "minor", "rock"), ("gm:33,34",
        "gm:33", "synth:synth bass"), ("eighths", "melodic", "riff", "with kick", "sustained"),
        (("clean guitar", "clean arpeggio"), ("clean arpeggio", "crunch guitar"), ("clean guitar",
        "synth pad"), ("clean guitar",), ("acoustic strum", "clean arpeggio"), ("crunch guitar",
        "synth keys")), ("synth pad", "mallets", "organ", "piano", "strings", "music box",
        "synth arpeggio"), (*_GUITAR_LEADS, "lead synth", "violin")),
    Idiom("punk", 0.5, ("punk", "punk", "rock"), ("rock", "major"), ("gm:34", "gm:34,33"), ("eighths",
        "eighths", "with kick"), (("wall of guitars",), ("crunch guitar",), ("wall of guitars",
        "guitar riff")), ("organ", "lead guitar"), _GUITAR_LEADS, (0, 1), dense=0.8),
    Idiom("metal", 0.8, ("metal", "metal", "rock", "punk"), ("rock", "minor", "riff"), ("gm:34",
        "gm:33,34"), ("eighths", "with kick", "sixteenths", "riff"), (("metal guitars",), ("metal guitars",
        "wall of guitars"), ("metal guitars", "synth pad"), ("wall of guitars", "tremolo strings")),
        ("synth choir", "choir pad", "strings", "clean arpeggio", "lead guitar"), ("lead guitar",
        "lead guitar", "lead synth"), (0, 1), voices=(0.7, 0.03, 0.07, 0.2), dense=0.9),
    Idiom("pop", 2.2, ("pop", "pop", "dancehall", "synthwave", "disco"), ("major", "minor", "dance"),
        ("gm:33", "synth:synth bass", "gm:38,39", "synth:808"), ("eighths", "with kick", "sustained",
        "riff", "octaves", "melodic"), (("piano", "synth pad"), ("clean guitar", "synth pad"),
        ("acoustic strum", "piano"), ("electric piano", "synth pluck"), ("super-saw", "synth pluck"),
        ("fm piano", "strings"), ("funk guitar", "electric piano"), ("synth keys", "clean guitar")),
        ("strings", "synth arpeggio", "riser", "bells", "brass", "organ", "mallets", "super-saw",
        "clean arpeggio", "choir pad"), (*_SYNTH_LEADS, "lead guitar", "violin"), (0, 3), pumping=0.2),
    Idiom("folk", 2.2, ("country", "train", "waltz", "percussion-only", "ballad", "tribal"), ("folk",
        "folk", "major"), ("gm:32", "gm:32,33", "gm:35"), ("root-fifth", "sustained", "walking", "sparse",
        "quarters"), (("acoustic strum",), ("acoustic picking",), ("acoustic picking", "acoustic strum"),
        ("acoustic strum", "banjo"), ("piano ballad",), ("acoustic picking", "mandolin"), ("acoustic strum",
        "accordion"), ("acoustic picking", "piano"), ("acoustic strum", "harp")), ("mandolin", "banjo",
        "accordion", "strings", "woodwinds", "cello", "harp", "organ"), _FOLK_LEADS, (0, 1), voices=(0.85,
        0.0, 0.06, 0.09), drumless=0.55, bassless=0.4, dense=0.2, balance_db=_louder(vocals=2.0, other=1.0,
        drums=-4.0, bass=-1.0)),
    Idiom("country", 1.0, ("country", "train", "shuffle", "rock"), ("folk", "major", "rock"), _FINGERED,
        ("root-fifth", "walking", "eighths", "with kick"), (("acoustic strum", "clean guitar"),
        ("acoustic strum", "piano"), ("clean guitar", "honky-tonk"), ("acoustic strum", "banjo")),
        ("violin", "organ", "mandolin", "clean lead guitar", "banjo", "accordion"), ("violin",
        "clean lead guitar", "harmonica"), drumless=0.1),
    Idiom("ballad", 1.0, ("ballad", "ballad", "soul", "waltz"), ("major", "minor", "soul"), ("gm:33",
        "gm:35", "gm:32", "synth:synth bass"), ("sustained", "melodic", "sparse", "with kick"),
        (("piano ballad",), ("piano ballad", "strings"), ("acoustic picking", "strings"), ("electric piano",
        "synth pad"), ("piano ballad", "clean arpeggio")), ("strings", "synth pad", "gm pad", "harp",
        "horns", "bells", "organ", "choir pad"), ("lead guitar", "saxophone", "violin", "cello", "reed",
        "flute"), (0, 2), drumless=0.35, bassless=0.25, dense=0.3, balance_db=_louder(vocals=2.0,
        drums=-2.0)),
    Idiom("funk", 0.7, ("funk", "funk", "breakbeat"), ("funk", "soul"), ("gm:36,37", "gm:33", "gm:33,36",
        "synth:synth bass"), ("funk", "funk", "riff", "octaves"), (("funk guitar", "clavinet"),
        ("funk guitar", "electric piano"), ("clavinet", "organ"), ("funk guitar", "brass"),
        ("electric piano", "brass")), ("brass", "organ", "strings", "synth keys", "clean lead guitar"),
        (*_BREATH, "talk-box", "lead synth", "lead guitar"), (0, 2), voices=(0.66, 0.06, 0.06, 0.22)),
    Idiom("soul", 0.8, ("soul", "soul", "funk", "ballad"), ("soul", "major"), ("gm:33", "gm:35,33",
        "gm:32"), ("melodic", "with kick", "riff", "walking"), (("electric piano", "clean guitar"),
        ("organ", "clean guitar"), ("piano", "brass"), ("electric piano", "strings")), ("brass", "strings",
        "organ", "horns", "mallets"), _BREATH, (0, 2), voices=(0.8, 0.02, 0.08, 0.1)),
    Idiom("disco", 0.5, ("disco", "disco", "house"), ("soul", "minor", "dance"), ("gm:33", "gm:36",
        "synth:synth bass"), ("octaves", "funk", "eighths"), (("funk guitar", "strings"), ("funk guitar",
        "electric piano", "strings"), ("synth keys", "funk guitar"), ("piano", "strings")), ("brass",
        "strings", "synth arpeggio", "clavinet", "organ"), (*_SYNTH_LEADS, "flute"), (1, 2), pumping=0.2),
    Idiom("reggae", 0.5, ("reggae", "reggae", "dancehall"), ("reggae",), ("gm:33", "gm:33,35", "synth:808"),
        ("reggae", "reggae", "sparse"), (("skank guitar", "drawbar organ"), ("skank guitar", "piano"),
        ("skank guitar", "organ"), ("skank guitar",)), ("clavinet", "brass", "clean lead guitar",
        "steel drums"), (*_BREATH, "clean lead guitar", "harmonica"), (0, 1), voices=(0.72, 0.1, 0.06,
        0.12)),
    Idiom("blues", 0.6, ("shuffle", "slow-blues", "rock"), ("blues",), ("gm:33", "gm:32,33"), ("walking",
        "walking", "riff", "quarters"), (("crunch guitar",), ("clean guitar", "organ"), ("clean guitar",
        "honky-tonk"), ("piano",), ("crunch guitar", "drawbar organ")), ("organ", "piano", "brass",
        "harmonica"), ("lead guitar", "lead guitar", "harmonica", "saxophone"), (0, 1), voices=(0.72, 0.0,
        0.04, 0.24)),
    Idiom("jazz", 0.5, ("jazz-swing", "bossa", "jazz-swing", "waltz"), ("jazz", "soul"), ("gm:32", "gm:32",
        "gm:35"), ("walking", "walking", "root-fifth"), (("piano",), ("clean guitar",), ("electric piano",),
        ("piano", "mallets")), ("strings", "woodwinds", "brass", "mallets"), (*_BREATH, "clean lead guitar",
        "violin"), (0, 1), voices=(0.55, 0.0, 0.05, 0.4), drumless=0.15, dense=0.15),
    Idiom("latin", 0.6, ("latin", "bossa", "samba", "afrobeat", "afropop"), ("minor", "major", "jazz"),
        ("gm:33", "gm:32", "gm:35"), ("root-fifth", "riff", "with kick", "reggae"), (("piano",),
        ("acoustic picking", "piano"), ("acoustic strum",), ("clean guitar", "brass"), ("electric piano",
        "acoustic picking")), ("brass", "strings", "mallets", "accordion", "steel drums", "kalimba"),
        ("trumpet", "flute", "saxophone", "violin", "clean lead guitar"), (0, 2)),
    Idiom("house", 0.6, ("house", "garage", "techno"), ("dance", "minor", "funk"), ("synth:synth bass",
        "synth:fm bass", "synth:808", "gm:38,39"), ("off-beat", "with kick", "riff", "rolling", "octaves"),
        (("piano", "synth pad"), ("synth pluck", "synth pad"), ("super-saw", "synth pluck"), ("synth stabs",
        "synth arpeggio"), ("electric piano", "synth stabs")), ("synth arpeggio", "strings", "riser",
        "bells", "synth stabs", "synth choir", "gm pad"), _SYNTH_LEADS, (0, 2), voices=(0.6, 0.05, 0.1,
        0.25), pumping=0.7, dense=0.8),
    Idiom("trance", 0.4, ("trance", "techno", "dnb", "dubstep"), ("dance", "minor"), ("synth:synth bass",
        "synth:808"), ("rolling", "off-beat", "sixteenths", "sustained"), (("super-saw", "synth arpeggio"),
        ("synth pad", "synth pluck"), ("super-saw",), ("synth stabs", "synth pad")), ("synth pluck",
        "synth choir", "strings", "riser", "bells", "piano"), _SYNTH_LEADS, (0, 2), voices=(0.5, 0.04, 0.1,
        0.36), pumping=0.7, dense=0.9),
    Idiom("synth-pop", 0.7, ("synthwave", "electro", "pop"), ("minor", "major", "dance"),
        ("synth:synth bass", "synth:fm bass", "gm:38,39"), ("eighths", "octaves", "sixteenths", "riff"),
        (("synth keys", "synth pad"), ("synth arpeggio", "synth pad"), ("super-saw", "synth keys"),
        ("clean guitar", "synth pad")), ("riser", "bells", "synth choir", "clean arpeggio", "gm pad",
        "brass"), (*_SYNTH_LEADS, "lead guitar"), (0, 2), pumping=0.2, dense=0.6),
    Idiom("hip-hop", 0.8, ("hiphop", "lofi", "hiphop", "breakbeat"), ("minor", "soul", "riff", "jazz"),
        ("synth:808", "gm:33", "gm:32", "synth:synth bass"), ("with kick", "sparse", "riff", "melodic"),
        (("electric piano",), ("piano",), ("clean guitar",), ("strings",), ("electric piano", "synth pad"),
        ("mallets", "synth pad"), ("pizzicato", "strings")), ("bells", "brass", "flute", "strings",
        "synth pad", "choir pad"), ("flute", "saxophone", "lead synth", "whistle", "talk-box"), (0, 1),
        voices=(0.28, 0.56, 0.05, 0.11)),
    Idiom("trap", 0.6, ("trap", "trap", "drill"), ("minor", "riff"), ("synth:808", "synth:808",
        "synth:fm bass"), ("with kick", "sparse", "sustained"), (("bells",), ("piano",), ("synth pluck",),
        ("clean arpeggio",), ("synth pad", "bells"), ("strings", "bells")), ("synth choir", "flute",
        "synth pad", "choir pad", "music box", "brass"), ("flute", "lead synth", "whistle", "voice lead"),
        (0, 1), voices=(0.38, 0.47, 0.05, 0.1)),
    Idiom("anthem", 0.3, ("march", "tribal", "rock"), ("major", "minor", "rock"), ("gm:33", "gm:48",
        "gm:58"), ("sustained", "quarters", "root-fifth"), (("strings", "brass"), ("strings", "horns",
        "choir pad"), ("piano", "strings"), ("wall of guitars", "strings")), ("harp", "orchestra hits",
        "tremolo strings", "woodwinds", "choir pad"), ("violin", "trumpet", "flute", "lead guitar"), (1, 2),
        voices=(0.5, 0.0, 0.3, 0.2), drumless=0.2),
)
# fmt: on
"""Every kind of music there is."""
