"""Free text-to-speech programs and what to have them say: the raw voices of the synthetic singers.

The words are nonsense composed at random from each language's common sounds, between a few everyday words;
only how they sound matters.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import ModelMissingError

Engine = Literal["espeak-ng", "flite", "festival"]

FESTIVAL_FOLDER = Path("/usr/share/festival/voices")


@dataclass(frozen=True)
class Language:
    """The sounds of a language, as its spelling writes them, separated by spaces."""

    onsets: str
    vowels: str
    codas: str
    words: str


LANGUAGES: dict[str, Language] = {
    "en-us": Language(
        "b d f g h j k l m n p r s t v w y sh ch th br tr st str fl gl sl pl kr sp",
        "a e i o u ee oo ay ow igh oa ar er",
        "n m l t d k s r nd st ng sh ve ght",
        "love night baby river fire tonight again heart away shadow summer dancing never forever hold me "
        "light running home tell you sky slowly waiting rain golden city breathe falling stay believe stars",
    ),
    "de": Language(
        "b d f g h j k l m n p r s t w z sch st schl br kl tr gl fr",
        "a e i o u ei au ie ä ö ü eu aa",
        "n m l t r s ch nd st ng nn tt",
        "nacht licht traum herz morgen immer leben sonne regen tanzen allein fliegen himmel liebe wieder",
    ),
    "fr-fr": Language(
        "b d f g j k l m n p r s t v ch br tr pl gr fl",
        "a e i o u ou é è ai an on in eu oi",
        "r l s t che ne ge lle",
        "amour nuit soleil toujours danser jamais rêve lune chanter demain coeur lumière encore doucement",
    ),
    "es": Language(
        "b d f g j l m n p r s t v ch ll ñ br tr pr cl gr",
        "a e i o u ia ie ue",
        "n r s l",
        "noche corazón luna bailar fuego cielo siempre amor vida mañana contigo volar sueño mar calle",
    ),
    "it": Language(
        "b d f g l m n p r s t v z ch gn br tr st sc pr",
        "a e i o u ia io uo",
        "n r l",
        "notte amore luna ballare cielo sempre cuore sole mare sogno domani insieme piano vento strada",
    ),
    "pt-br": Language(
        "b d f g j l m n p r s t v ch lh nh br tr pr",
        "a e i o u ão ei ou ia",
        "r s m l",
        "noite coração saudade dançar lua mar sempre amor vida manhã estrela sonho chuva",
    ),
    "sv": Language(
        "b d f g h j k l m n p r s t v sk st br tr fl",
        "a e i o u y å ä ö aa ee",
        "n m l t r s ng nd tt ck",
        "natt hjärta sommar drömma himmel alltid regn dansa ensam ljus vatten",
    ),
    "nl": Language(
        "b d f g h j k l m n p r s t v w z sch br tr st",
        "a e i o u aa ee oo ij ui ou oe",
        "n m l t r s ng cht nd",
        "nacht hart dromen regen samen altijd dansen licht water lopen morgen",
    ),
    "fi": Language(
        "h j k l m n p r s t v",
        "a e i o u y ä ö aa ii uu ai ei uo ie",
        "n s t l",
        "yö sydän kesä tanssi meri",
    ),
    "pl": Language(
        "b d g j k l m n p r s t w z sz cz br kr pr st",
        "a e i o u y ie ia",
        "n m ć t k sz j",
        "noc serce lato tańczyć niebo zawsze deszcz woda miasto sen",
    ),
    "cs": Language(
        "b d h j k l m n p r s t v z ch br kr st tr",
        "a e i o u ou ia ie",
        "n m t k s l",
        "noc srdce leto tanec nebe voda domov sen hvezda cesta",
    ),
    "hu": Language(
        "b d f g h j k l m n p r s t v z sz cs gy",
        "a á e é i o ó ö u ü",
        "n m l t r k s",
        "éjszaka szív nyár tánc víz álom csillag",
    ),
    "tr": Language(
        "b c ç d f g h k l m n p r s ş t v y z",
        "a e ı i o ö u ü",
        "n m l r k t ş",
        "gece kalp yaz deniz rüya yıldız güneş",
    ),
    "id": Language(
        "b c d g h j k l m n p r s t w y ng ny",
        "a e i o u ai au",
        "n m ng s t r h k",
        "malam hati cinta bulan hujan jalan mimpi selalu bintang",
    ),
    "ro": Language(
        "b d f g l m n p r s t v z ș ț br tr",
        "a ă e i o u ea oa",
        "n r l t m",
        "noapte inimă cer mereu vis stea",
    ),
    "sw": Language(
        "b d f g h j k l m n p r s t w y z mb nd ng", "a e i o u aa", "", "usiku moyo bahari mwezi penda"
    ),
    "el": Language(
        "β γ δ ζ θ κ λ μ ν π ρ σ τ φ χ στ τρ", "α ε η ο ου ι ω αι", "ς ν", "νύχτα καρδιά θάλασσα όνειρο"
    ),
    "ru": Language(
        "б в г д ж з к л м н п р с т ф х ш ч ст тр",
        "а е и о у ы я ю ё",
        "н м л т р с й шь",
        "море луна дорога вечер сердце звезда река огонь небо",
    ),
    "ja": Language(
        "",
        "か き く け こ さ し す せ そ た て と な に ぬ の は ひ ま み も や ゆ よ ら り る れ ろ わ が だ",
        "ん っ",
        "そら うみ よる ゆめ ほし はな かぜ",
    ),
    "hi": Language(
        "क ग च ज त द न प ब म य र ल व स ह श ख ध भ", "ा ि ी ु ू े ो ै", "न म र ल", "नदी पानी सुबह गाना रात"
    ),
    "te": Language("క గ చ జ త ద న ప బ మ య ర ల వ స హ", "ా ి ీ ు ూ ె ే ొ ో", "", "నది పాట వాన రాత్రి కల"),
    "la": Language("b c d f g l m n p qu r s t v", "a e i o u ae", "m s n r", "luna stella mare semper lux"),
    "haw": Language("h k l m n p w", "a e i o u ai au oa", "", "aloha moana lani pua"),
    "vi": Language(
        "b c d đ h kh l m n ng nh ph t th tr v x", "a ă â e ê i o ô ơ u ư", "n m ng t c", "đêm mưa trăng"
    ),
}

SAME_SOUNDS = {
    "en-gb": "en-us",
    "en-gb-scotland": "en-us",
    "en-029": "en-us",
    "en-us-nyc": "en-us",
    "cy": "en-us",
    "es-419": "es",
    "ca": "es",
    "eu": "es",
    "pt": "pt-br",
    "eo": "it",
    "fr-be": "fr-fr",
    "lb": "de",
    "af": "nl",
    "nb": "sv",
    "da": "sv",
    "is": "sv",
    "et": "fi",
    "sk": "cs",
    "hr": "pl",
    "lv": "pl",
    "uk": "ru",
    "ms": "id",
    "mr": "hi",
    "mi": "haw",
}
"""Languages that are given the syllables of another, and say them in their own way."""

FESTIVAL_LANGUAGES = {
    "catalan": "es",
    "czech": "cs",
    "english": "en-us",
    "us": "en-us",
    "finnish": "fi",
    "hindi": "hi",
    "marathi": "hi",
    "italian": "it",
    "russian": "ru",
    "telugu": "te",
}

LICENCES: dict[str, str] = {
    "espeak-ng": "GPL-3.0-or-later",
    "flite": "Festival/CMU permissive (BSD-like)",
    "upc_ca_ona_hts": "LGPL-2.1-or-later",
    "czech": "GPL-2.0-or-later / GPL-3.0-or-later",
    "kal_diphone": "CSTR/FestVox permissive (BSD-like)",
    "ked_diphone": "CSTR/FestVox permissive (BSD-like)",
    "finnish": "GPL-2.0-or-later / LGPL-2.1-or-later",
    "hindi": "GPL-2.0-or-later",
    "marathi": "GPL-2.0-or-later",
    "telugu": "GPL-2.0-or-later",
    "italian": "GPL-2.0-or-later",
    "russian": "permissive (BSD-like), Nickolay V. Shmyrev",
    "us": "CMU/EST permissive (BSD-like)",
}


@dataclass(frozen=True)
class Speaker:
    """A voice of a text-to-speech program."""

    engine: Engine
    voice: str
    """An espeak-ng variant, a flite voice, a festival voice."""
    languages: tuple[str, ...]
    """What it speaks; an espeak-ng variant can speak them all."""
    licence: str

    @property
    def name(self) -> str:
        """`engine-voice`, a folder's name."""
        return f"{self.engine}-{self.voice.replace(' ', '_').replace('/', '_')}"


def installed_speakers() -> list[Speaker]:
    """Every speaker of the engines on this machine; ModelMissingError when there is none."""
    found = [*_espeak(), *_flite(), *_festival()]
    if not found:
        raise ModelMissingError(
            "no text-to-speech program is installed: apt install espeak-ng flite festival"
        )
    return found


def _espeak() -> Iterator[Speaker]:
    if shutil.which("espeak-ng") is None:
        return
    everyone = tuple(sorted([*(set(LANGUAGES) - {"te"}), *SAME_SOUNDS]))
    listing = subprocess.run(
        ["espeak-ng", "--voices=variant"], capture_output=True, text=True, check=True
    ).stdout
    for line in listing.splitlines()[1:]:
        variant = line.split("!v/")[1].split("  ")[0].strip()
        # Robots and effects are no voices; duplicates of a male default add nothing.
        if not any(word in variant.lower() for word in ("robo", "unirobot", "announcer", "fast", "demonic")):
            yield Speaker("espeak-ng", variant, everyone, LICENCES["espeak-ng"])


def _flite() -> Iterator[Speaker]:
    if shutil.which("flite") is None:
        return
    listing = subprocess.run(["flite", "-lv"], capture_output=True, text=True, check=True).stdout
    for voice in listing.partition(":")[2].split():
        if voice not in ("kal", "awb_time"):  # kal at 8 kHz is kal16; awb_time only tells the time
            yield Speaker("flite", voice, ("en-us",), LICENCES["flite"])


def _festival() -> Iterator[Speaker]:
    if shutil.which("festival") is None:
        return
    for folder in sorted(FESTIVAL_FOLDER.glob("*/*")):
        family = folder.parent.name
        if family in FESTIVAL_LANGUAGES and (folder / "festvox").is_dir():
            licence = LICENCES.get(folder.name, LICENCES.get(family, "see the Debian package"))
            yield Speaker("festival", folder.name, (FESTIVAL_LANGUAGES[family],), licence)


def text(language: str, syllables: int, rng: np.random.Generator) -> str:
    """Random words of about that many syllables."""
    sounds = LANGUAGES[SAME_SOUNDS.get(language, language)]
    onsets, vowels, codas, known = (
        part.split() for part in (sounds.onsets, sounds.vowels, sounds.codas, sounds.words)
    )
    words = []
    left = syllables
    while left > 0:
        if rng.random() < 0.4:
            words.append(str(rng.choice(known)))
            left -= 2
            continue
        count = min(left, int(rng.integers(1, 4)))
        word = ""
        for _ in range(count):
            word += (str(rng.choice(onsets)) if onsets and rng.random() < 0.9 else "") + str(
                rng.choice(vowels)
            )
        words.append(word + (str(rng.choice(codas)) if codas and rng.random() < 0.4 else ""))
        left -= count
    return " ".join(words)


def speak(
    speaker: Speaker, language: str, texts: Sequence[str], folder: Path, rng: np.random.Generator
) -> list[Path]:
    """Have the texts spoken into WAV files, one each; those the voice could not say are left out.

    Speed and pitch vary by text. festival starts once for all of them.
    """
    files = [folder / f"{k}.wav" for k in range(len(texts))]
    if speaker.engine == "festival":
        script = folder / "script.scm"
        lines = [f"(voice_{speaker.voice})"]
        for spoken, file in zip(texts, files, strict=True):
            stretch = rng.uniform(0.95, 1.35)
            lines.append(f"(Parameter.set 'Duration_Stretch {stretch:.2f})")
            lines.append(f'(utt.save.wave (utt.synth (Utterance Text "{spoken}")) "{file}" \'riff)')
        script.write_text("\n".join(lines), encoding="utf-8")
        _run(["festival", "-b", str(script)])
    for spoken, file in zip(texts, files, strict=True):
        if speaker.engine == "espeak-ng":
            voice = f"{language}+{speaker.voice}"
            pace, pitch = int(rng.integers(95, 165)), int(rng.integers(25, 80))
            _run(["espeak-ng", "-v", voice, "-s", str(pace), "-p", str(pitch), "-w", str(file), spoken])
        elif speaker.engine == "flite":
            setting = f"duration_stretch={rng.uniform(0.95, 1.4):.2f}"
            _run(["flite", "-voice", speaker.voice, "--setf", setting, "-t", spoken, "-o", str(file)])
    return [file for file in files if file.is_file() and file.stat().st_size > 4000]


def _run(command: list[str]) -> None:
    """Run one of the programs; a text it cannot say is no reason to stop (its file is missing or short)."""
    subprocess.run(command, capture_output=True, timeout=120, check=False)
