"""Networks in files: safetensors, with everything else about them in a JSON header.

The metadata of the file holds, under the key `stembridge`, one JSON object: `schema`, `network` and `config`
(what to build), `segment_times`, `context_times`, `late_times` and `behind_times` (how to run it), `sha256`
(of the bytes of all tensors, in the order of their names), and the facts that whoever trained it gave. Of
those the registry shows `description`, `licence`, `sdr_db` (per stem and `average`), `sdr_songs` (what that
was measured on: songs it never heard) and `speed` (seconds of audio per second of one core).

Tensors of the network are called `network.` and their name in its state; any others (an optimiser's) may lie
beside them. Reading the header costs a few kilobytes and no torch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .errors import ArgumentTypeError, ArgumentValueError, ModelMissingError
from .platform import sync_folder

if TYPE_CHECKING:
    from torch import Tensor

    from .networks.spectral_network import SpectralNetwork

SCHEMA = 1
SUFFIX = ".safetensors"
KEY = "stembridge"
PREFIX = "network."

_RUNNING = ("segment_times", "context_times", "late_times", "behind_times")
_OWN = ("schema", "network", "config", "sha256", *_RUNNING)
_LONGEST_HEADER = 100_000_000  # as safetensors has it
_NEEDED = ("network", "config", "sha256", "segment_times", "context_times")


class CheckpointError(ModelMissingError, ValueError):
    """A file that is no checkpoint of ours, is damaged, or needs a newer version."""


@dataclass(frozen=True)
class CheckpointHeader:
    """What a checkpoint says about itself."""

    path: Path
    network: str
    """The name of the architecture."""
    config: Mapping[str, Any]
    sha256: str
    """Of the bytes of all tensors, in the order of their names."""
    segment_times: int
    context_times: int
    late_times: int | None
    """How many spectra later its estimates come when it is run as a stream; None: it is run on segments."""
    behind_times: int | None
    """How many spectra before its own an estimate depends on, in a stream; None: all there were."""
    facts: Mapping[str, Any]
    parameters: int
    """Numbers in the network's tensors."""
    bytes: int
    """Size of the file."""

    @property
    def name(self) -> str:
        """What the model is called: the file's name without its ending."""
        return self.path.name.removesuffix(SUFFIX)

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems it gives, in order."""
        return tuple(self.config["stems"])

    @property
    def residual_stem(self) -> str:
        """The stem that the rest of the mix joins."""
        return str(self.config["residual_stem"])

    @property
    def sample_rate(self) -> int:
        """The only rate it runs at, in Hz."""
        return int(self.config["sample_rate"])

    @property
    def channels(self) -> int:
        """The channels it sees at once."""
        return int(self.config["channels"])

    @property
    def window_frames(self) -> int:
        """Of its STFT."""
        return int(self.config["window_frames"])

    @property
    def hop_frames(self) -> int:
        """Of its STFT."""
        return int(self.config["hop_frames"])

    @property
    def causal(self) -> bool:
        """Whether it looks backwards only."""
        return self.late_times == 0

    @property
    def identity(self) -> str:
        """A hash over all that its estimates depend on: the tensors, and what they are built into and how."""
        run = [self.segment_times, self.context_times, self.late_times]
        built = [self.network, self.config, run, self.sha256]
        return hashlib.sha256(json.dumps(built, sort_keys=True).encode()).hexdigest()


def save_checkpoint(
    path: Path | str,
    network: SpectralNetwork,
    facts: Mapping[str, object],
    tensors: Mapping[str, Tensor] | None = None,
    *,
    half: bool = False,
) -> CheckpointHeader:
    """Write a network, whole or not at all: whoever reads finds the file as it was before or as it is after.

    `facts` are JSON-able; `tensors` lie beside the network's under their own names. With `half` the
    network's matrices are stored as float16 (vectors, and what float16 cannot hold, stay as they are).

    Raises ArgumentValueError for names that are taken, ArgumentTypeError for facts that are no JSON, and
    OutputError or DiskFullError when the file cannot be written.
    """
    import torch
    from safetensors.torch import save

    from .networks.streaming import behind_times, late_times

    taken = [name for name in facts if name in _OWN] + [n for n in tensors or () if n.startswith(PREFIX)]
    if taken:
        raise ArgumentValueError(f"a checkpoint has its own {', '.join(taken)}: give these other names")
    stored: dict[str, Tensor] = dict(tensors or {})
    for name, tensor in network.state_dict().items():
        stored[PREFIX + name] = tensor
        if half and tensor.dtype == torch.float32 and tensor.dim() > 1:
            smaller = tensor.half()
            if bool(torch.isfinite(smaller).all()):
                stored[PREFIX + name] = smaller
    # Copies of their own: safetensors refuses tensors that share memory.
    stored = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in stored.items()}
    config = dataclasses.asdict(network.config)
    table, body = _parted(save(stored), Path(path))
    header = {
        "schema": SCHEMA,
        "network": network.name,
        "config": config,
        "segment_times": network.segment_times,
        "context_times": network.context_times,
        "late_times": late_times(network),
        "behind_times": behind_times(network),
        "sha256": _hash(table, body),
        **facts,
    }
    _write(Path(path), table, body, header)
    return read_header(path)


def add_facts(path: Path | str, facts: Mapping[str, object]) -> CheckpointHeader:
    """Say more about a checkpoint, or something else, and leave its tensors alone; atomic, without torch.

    Raises what `read_header` and `save_checkpoint` raise.
    """
    path = Path(path)
    read_header(path)
    if taken := [name for name in facts if name in _OWN]:
        raise ArgumentValueError(f"a checkpoint has its own {', '.join(taken)}: give these other names")
    table, body = _parted(path.read_bytes(), path)
    header = json.loads(table["__metadata__"][KEY])
    _write(path, table, body, {**header, **facts})
    return read_header(path)


def read_header(path: Path | str) -> CheckpointHeader:
    """Read what a checkpoint says about itself, and check that the file is as long as it says.

    Raises ModelMissingError when there is no such file, CheckpointError when it cannot be used.
    """
    path = Path(path)
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        table = _table(file.read(8), file.read, size, path)
    return _header(table, size, path)


def load_network(path: Path | str, device: str = "cpu", *, identity: str | None = None) -> SpectralNetwork:
    """Build the network of a checkpoint, in eval mode, its numbers as float32.

    With `identity` (that of the header as read before) it must still be that checkpoint. Raises
    ModelMissingError when there is no such file; CheckpointError when it is damaged, changed meanwhile, of
    another schema, or of a network there is not.
    """
    import torch
    from safetensors.torch import load

    from .networks.catalogue import NETWORKS, make_network

    path = Path(path)
    data, header = _verified(path)
    if identity is not None and header.identity != identity:
        raise CheckpointError(f"{path} was replaced while it was in use: start again")
    if header.network not in NETWORKS:
        raise CheckpointError(
            f"{path} holds a network called {header.network!r}, and there are {', '.join(NETWORKS)}: "
            "it needs another version of stembridge"
        )
    try:
        network = make_network(header.network, **header.config)
        state = {
            name.removeprefix(PREFIX): tensor.float() if tensor.dtype == torch.float16 else tensor
            for name, tensor in load(data).items()
            if name.startswith(PREFIX)
        }
        network.load_state_dict(state)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not fit this version's {header.network}: {error}") from error
    return network.requires_grad_(False).eval().to(device)


def load_tensors(path: Path | str) -> dict[str, Tensor]:
    """All tensors of a checkpoint as they are stored, the network's under `network.` and its name for them.

    Raises what `load_network` raises for the file.
    """
    from safetensors.torch import load

    return load(_verified(Path(path))[0])


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise ModelMissingError(f"there is no checkpoint {path}: name a {SUFFIX} file") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error


def _verified(path: Path) -> tuple[bytes, CheckpointHeader]:
    """A whole checkpoint, its tensors checked against their hash."""
    with _opened(path) as file:
        data = file.read()
    table, body = _parted(data, path)
    header = _header(table, len(data), path)
    if _hash(table, body) != header.sha256:
        raise CheckpointError(f"{path} is damaged: its tensors have not the hash in its header. Get it again")
    return data, header


def _parted(data: bytes, path: Path) -> tuple[dict[str, Any], memoryview]:
    """The table of a safetensors file and the bytes of its tensors."""
    length = int.from_bytes(data[:8], "little")
    table = _table(data[:8], lambda count: data[8 : 8 + count], len(data), path)
    return table, memoryview(data)[8 + length :]


def _table(start: bytes, read: Any, size: int, path: Path) -> dict[str, Any]:
    """The JSON at the head of a safetensors file: 8 bytes of length, then the table, then the tensors."""
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= length <= min(size - 8, _LONGEST_HEADER):
        raise CheckpointError(f"{path} is no {SUFFIX} file, or cut short: get it again")
    try:
        table = json.loads(read(length))
        ends = [entry["data_offsets"][1] for name, entry in table.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise CheckpointError(f"{path} is no {SUFFIX} file, or damaged: get it again") from error
    if max(ends, default=0) != size - 8 - length:
        raise CheckpointError(
            f"{path} is damaged: its tensors take {max(ends, default=0)} bytes, and it holds "
            f"{size - 8 - length}. Get it again"
        )
    return dict(table)


def _header(table: Mapping[str, Any], size: int, path: Path) -> CheckpointHeader:
    """What the table says, checked."""
    said = table.get("__metadata__", {}).get(KEY)
    if said is None:
        raise CheckpointError(f"{path} is not one of our checkpoints: its header says nothing about {KEY}")
    try:
        data = json.loads(said)
        schema = data["schema"]
        if schema != SCHEMA:
            raise CheckpointError(
                f"{path} has the schema {schema!r}, this version knows {SCHEMA}: update stembridge"
            )
        counts = [_count(entry["shape"]) for name, entry in table.items() if name.startswith(PREFIX)]
        network, config, sha256, segment_times, context_times = (data[name] for name in _NEEDED)
        header = CheckpointHeader(
            path,
            str(network),
            dict(config),
            str(sha256),
            int(segment_times),
            int(context_times),
            _whole(data.get("late_times")),
            _whole(data.get("behind_times")),
            {key: value for key, value in data.items() if key not in _OWN},
            sum(counts),
            size,
        )
        # All that the registry shows, once, so that what is wrong with it shows here.
        _ = header.stems, header.residual_stem, header.sample_rate, header.channels, header.hop_frames
    except CheckpointError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} has a header that cannot be used: {error!r}") from error
    return header


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _count(shape: list[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _hash(table: Mapping[str, Any], body: memoryview) -> str:
    """SHA-256 of the bytes of all tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(table.keys() - {"__metadata__"}):
        start, end = table[name]["data_offsets"]
        digest.update(body[start:end])
    return digest.hexdigest()


def _write(path: Path, table: Mapping[str, Any], body: memoryview, header: Mapping[str, object]) -> None:
    """Write the file beside its place, make sure of it, and give it its name."""
    from .files.sink import write_error

    try:
        text = json.dumps(header, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArgumentTypeError(f"the facts of a checkpoint must be what JSON can hold: {error}") from error
    head = json.dumps({**table, "__metadata__": {KEY: text}}, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)  # tensors start at a multiple of 8
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(len(head).to_bytes(8, "little") + head)
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise write_error(error, path, None, 0) from error
