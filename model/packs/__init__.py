"""Finished stems in the shapes others take them: NI stem files, zips, acapella and instrumental."""

from .acapella import AcapellaSpec, pack_acapella
from .finished import Finished, find_finished, finished
from .stem_mp4 import StemMp4Spec, pack_stem_mp4
from .target import Pack, PackProgress
from .zip_pack import ZipSpec, pack_zip

__all__ = [
    "AcapellaSpec",
    "Finished",
    "Pack",
    "PackProgress",
    "StemMp4Spec",
    "ZipSpec",
    "find_finished",
    "finished",
    "pack_acapella",
    "pack_stem_mp4",
    "pack_zip",
]
