"""MDX-Net (Kim, Choi, Chung, Lee and Jung 2021) as Ultimate Vocal Remover shares it: `.onnx`, streamed.

A file holds one network between spectrograms, `(1, 4, dim_f, dim_t)` in and out (left and right, each real
and imaginary); how the spectrograms are made stands in a small JSON beside it, by our names or by those of
UVR's `model_data.json`:

    {"n_fft": 6144, "hop": 1024, "dim_f": 2048, "dim_t": 256, "compensate": 1.035, "primary_stem": "Vocals"}

The network is run by onnxruntime, the STFT is torch's, centred and mirrored at the ends of a segment as in
UVR. The rest of the mix is the second stem.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio, StemArray
from ..errors import ModelMissingError
from ..weights_files import checked, given_path, package
from .network_workers import Warn
from .segments import SegmentNetwork, SegmentSeparator, as_warning
from .stem_names import pair_of

SAMPLE_RATE = 44100
_LOWEST_BINS = 3
"""So many bins from 0 Hz up are silenced in what the network sees, as in its training."""
_UVR_HASHED_BYTES = 10_000 * 1024


@dataclass(frozen=True)
class MdxSettings:
    """How the spectrograms of a network are made."""

    n_fft: int
    dim_f: int
    dim_t: int
    primary_stem: str
    compensate: float = 1.0
    hop: int = 1024

    @property
    def segment_frames(self) -> int:
        """As long as `dim_t` spectra are, centred."""
        return self.hop * (self.dim_t - 1)

    @property
    def stems(self) -> tuple[str, str]:
        """What the network gives, and the rest."""
        (stem,), rest = pair_of(self.primary_stem)
        return stem, rest


class Mdx(SegmentSeparator):
    """A network from an `.onnx` file and its JSON; 44.1 kHz, two stems.

    The JSON has the file's name, or is UVR's `model_data.json`. `overlap` and the other options are those of
    `SegmentSeparator`; the length of segments is the network's own. `warn` is told when CUDA was asked for
    and onnxruntime goes on without, or runs out of its memory.

    Raises ModelMissingError for a missing package or file and for files that do not fit each other,
    ArgumentValueError for options out of range and another rate.
    """

    name: str = "mdx"

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        weights: str | os.PathLike[str],
        device: str = "auto",
        overlap: float = 0.25,
        shifts: int = 0,
        seed: int = 0,
        parallel: int | None = None,
        warn: Warn | None = None,
    ) -> None:
        path = checked(given_path(weights, self.name))
        settings = read_settings(path)
        session = _Session(path, settings, device, warn or as_warning)

        def run(mix: Audio) -> StemArray:
            spectra = _spectra(mix, settings)
            estimate = _audio(session.run(spectra), settings) * np.float32(settings.compensate)
            return np.stack([estimate, mix - estimate])

        network = SegmentNetwork(run, settings.stems, settings.segment_frames, segment_bytes=1 << 30)
        super().__init__(
            path.stem,
            [network],
            sample_rate,
            channels,
            native_rate=SAMPLE_RATE,
            overlap=overlap,
            shifts=shifts,
            seed=seed,
            parallel=parallel,
        )


def read_settings(path: Path) -> MdxSettings:
    """What stands beside an `.onnx` file about it. Raises ModelMissingError."""
    beside = path.with_suffix(".json")
    listed = path.with_name("model_data.json")
    try:
        if beside.is_file():
            content = json.loads(beside.read_text(encoding="utf-8"))
        elif listed.is_file():
            beside = listed
            content = json.loads(listed.read_text(encoding="utf-8"))[uvr_hash(path)]
        else:
            raise ModelMissingError(
                f"{path.name} needs the settings of its STFT: write n_fft, dim_f, dim_t, compensate and "
                f"primary_stem into {beside.name} beside it"
            )
        if "mdx_n_fft_scale_set" in content:
            content = {
                "n_fft": content["mdx_n_fft_scale_set"],
                "dim_f": content["mdx_dim_f_set"],
                "dim_t": 2 ** int(content["mdx_dim_t_set"]),
                "primary_stem": content["primary_stem"],
                "compensate": content.get("compensate", 1.0),
            }
        settings = MdxSettings(
            int(content["n_fft"]),
            int(content["dim_f"]),
            int(content["dim_t"]),
            str(content["primary_stem"]),
            float(content.get("compensate", 1.0)),
            int(content.get("hop", 1024)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelMissingError(
            f"{beside} should say n_fft, dim_f, dim_t, compensate and primary_stem of {path.name}; "
            f"{error!r} is missing or wrong"
        ) from error
    half = settings.n_fft // 2
    if not (0 < settings.hop <= half < settings.segment_frames and 0 < settings.dim_f <= half + 1):
        raise ModelMissingError(f"{beside}: these sizes do not fit each other: {settings}")
    return settings


def uvr_hash(path: Path) -> str:
    """The name of a file in UVR's `model_data.json`: the MD5 of its last 10 000 KiB."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _UVR_HASHED_BYTES))
        return hashlib.md5(file.read(), usedforsecurity=False).hexdigest()


class _Session:
    """The network in onnxruntime, one thread a run; may be run from several threads."""

    def __init__(self, path: Path, settings: MdxSettings, device: str, warn: Warn) -> None:
        self._runtime = package("onnxruntime", path.stem, "onnx")
        self._path = path
        self._warn = warn
        there = self._runtime.get_available_providers()
        self._cuda = device in ("auto", "cuda") and "CUDAExecutionProvider" in there
        if device == "cuda" and not self._cuda:
            warn(f"{path.stem}: this onnxruntime has no CUDA (pip install onnxruntime-gpu): the CPU does it")
        self._session = self._open()
        (taken,) = self._session.get_inputs()
        self._input = taken.name
        expected = (4, settings.dim_f, settings.dim_t)
        if len(taken.shape) != 4 or any(
            isinstance(size, int) and size != wanted
            for size, wanted in zip(taken.shape[1:], expected, strict=True)
        ):
            raise ModelMissingError(
                f"{path.name} takes {taken.shape}, and its settings say (1, {', '.join(map(str, expected))})"
            )

    def _open(self) -> Any:
        options = self._runtime.SessionOptions()
        # Sums would depend on the number of threads; segments side by side do not.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        names = ["CUDAExecutionProvider"] if self._cuda else []
        try:
            return self._runtime.InferenceSession(
                str(self._path), options, providers=[*names, "CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no common class
            problem = " ".join(str(error).split())[:200]
            raise ModelMissingError(
                f"{self._path} is not a network onnxruntime can run: {problem}"
            ) from error

    def run(self, spectra: NDArray[np.float32]) -> NDArray[np.float32]:
        """Shape: `(1, 4, dim_f, dim_t)` in and out."""
        while True:
            session = self._session
            try:
                answer: NDArray[np.float32] = session.run(None, {self._input: spectra})[0]
                return answer
            except Exception as error:
                if not any(text in str(error).lower() for text in ("out of memory", "failed to allocate")):
                    raise
                if not self._cuda:
                    raise MemoryError(f"{self._path.stem} ran out of memory: close other programs") from error
                self._cuda = False
                self._warn(f"{self._path.stem}: CUDA is out of memory, going on on the CPU, which is slower")
                self._session = self._open()


def _spectra(mix: Audio, settings: MdxSettings) -> NDArray[np.float32]:
    """Left and right, each real and imaginary. Shape: `(2, n)` -> `(1, 4, dim_f, dim_t)`."""
    import torch

    window = torch.hann_window(settings.n_fft)
    spectra = torch.stft(
        torch.from_numpy(mix), settings.n_fft, settings.hop, window=window, center=True, return_complex=True
    )
    # (c, f, t) -> (c, 2, f, t) -> (4, f, t)
    parts = torch.view_as_real(spectra).permute(0, 3, 1, 2).reshape(4, spectra.shape[1], spectra.shape[2])
    parts = parts[:, : settings.dim_f].contiguous()
    parts[:, :_LOWEST_BINS] = 0
    answer: NDArray[np.float32] = parts[None].numpy()
    return answer


def _audio(parts: NDArray[np.float32], settings: MdxSettings) -> Audio:
    """The inverse of `_spectra`; the bins from `dim_f` up are silent."""
    import torch

    missing = settings.n_fft // 2 + 1 - settings.dim_f
    tensor = torch.nn.functional.pad(torch.from_numpy(parts[0]), (0, 0, 0, missing))
    # (4, f, t) -> (c, 2, f, t) -> (c, f, t)
    spectra = torch.complex(*tensor.reshape(2, 2, *tensor.shape[1:]).unbind(1))
    window = torch.hann_window(settings.n_fft)
    audio: Audio = torch.istft(spectra, settings.n_fft, settings.hop, window=window, center=True).numpy()
    return audio
