"""Plug-in chains as data: which plug-ins, in which order, how each stands."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import PluginError, PluginParameterError
from .parameters import Value, native_parameters
from .plugin_files import changed_ns, find_plugin


@dataclass(frozen=True)
class PluginSpec:
    """One entry of a chain: which plug-in, and how it stands.

    Raises PluginParameterError for an entry that could not mean anything.
    """

    plugin: str | None = None
    """One of pedalboard's own effects by class name (`Compressor`), or:"""
    file: str | None = None
    """a VST3 or Audio Unit by file name, looked for in the plug-in folders, or by whole path."""
    plugin_name: str | None = None
    """Which of several plug-ins in the file."""
    parameters: Mapping[str, Value] = field(default_factory=dict)
    """Values by pedalboard's names, set after the state."""
    state: Path | None = None
    """A file with the plug-in's own state: `.vstpreset`, or what `plugins edit` saved."""
    mix: float = 1.0
    """Dry 0 to wet 1, the dry path delayed by the plug-in's latency."""
    dual_mono: bool = False
    """One instance per channel, for plug-ins that only take one."""

    def __post_init__(self) -> None:
        if (self.plugin is None) == (self.file is None):
            raise PluginParameterError(
                "a chain entry names either plugin (one of pedalboard's own) or file (a VST3 or Audio Unit)"
            )
        if self.plugin is not None and (self.state is not None or self.plugin_name is not None):
            raise PluginParameterError(
                f"{self.plugin}: state and plugin_name are for plug-in files; "
                "pedalboard's own effects are set by their parameters alone"
            )
        if isinstance(self.mix, bool) or not (isinstance(self.mix, int | float) and 0.0 <= self.mix <= 1.0):
            raise PluginParameterError(f"{self.title}: mix must be 0 (dry) to 1 (wet); got {self.mix!r}")
        for key, value in self.parameters.items():
            if not isinstance(value, float | int | str):
                raise PluginParameterError(
                    f"{self.title}: {key} must be a number, a text or true/false; got {value!r}"
                )

    @property
    def title(self) -> str:
        """The plug-in's name for people."""
        name = self.plugin or Path(self.file or "").name
        return f"{name} ({self.plugin_name})" if self.plugin_name else name

    @property
    def native(self) -> bool:
        """Whether it is one of pedalboard's own effects, which need no child process."""
        return self.plugin is not None

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` makes an equal spec of."""
        return {
            "plugin": self.plugin,
            "file": self.file,
            "plugin_name": self.plugin_name,
            "parameters": dict(self.parameters),
            "state": None if self.state is None else str(self.state),
            "mix": self.mix,
            "dual_mono": self.dual_mono,
        }

    def facts(self) -> dict[str, Any]:
        """Plain data that differs wherever the sound may: with what files hold in place of their paths."""
        facts = {**self.to_json(), "state": None if self.state is None else _digest(self.state)}
        if self.plugin is not None:
            files = [
                key for key, parameter in native_parameters(self.plugin).items() if parameter.kind == "file"
            ]
            facts["files"] = [
                _digest(Path(str(self.parameters[key]))) for key in files if key in self.parameters
            ]
        else:
            facts["file"] = Path(self.file or "").name
            facts["changed_ns"] = changed_ns(find_plugin(self.file or ""))
        return facts

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> PluginSpec:
        """The spec that `to_json` wrote."""
        state = data.get("state")
        return PluginSpec(**{**data, "state": None if state is None else Path(state)})


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise PluginError(f"{file} cannot be read: {error.strerror}") from error


@dataclass(frozen=True)
class ChainSpec:
    """Plug-ins in the order the sound goes through them."""

    plugins: tuple[PluginSpec, ...] = ()
    origin: str = "chain"
    """Where it was written down, for error messages: `karaoke.toml, chain.vocals`."""

    @property
    def native(self) -> bool:
        """Whether nothing in it needs a child process."""
        return all(plugin.native for plugin in self.plugins)

    def located(self, folders: Sequence[Path] = ()) -> ChainSpec:
        """The same chain with every plug-in file found, in `folders` first.

        Raises PluginError for one that is not installed, or a state file that is not there.
        """
        found = []
        for number, spec in enumerate(self.plugins, 1):
            try:
                if spec.file is not None:
                    spec = replace(spec, file=str(find_plugin(spec.file, folders)))
                if spec.state is not None and not spec.state.is_file():
                    raise PluginError(f"{spec.title}: its state file is not there: {spec.state}")
            except PluginError as error:
                raise self.wrong(number, error) from error
            found.append(spec)
        return replace(self, plugins=tuple(found))

    def where(self, number: int) -> str:
        """The start of a message about entry `number` (from 1)."""
        return f"{self.origin}, plug-in {number}: "

    def wrong(self, number: int, error: PluginError) -> PluginError:
        """The same error, saying which chain and which entry (from 1) it is about."""
        return type(error)(f"{self.where(number)}{error}")

    def facts(self) -> list[dict[str, Any]]:
        """Plain data that differs wherever the sound may; raises PluginError for files that are not there."""
        return [plugin.facts() for plugin in self.plugins]

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` makes an equal chain of."""
        return {"plugins": [plugin.to_json() for plugin in self.plugins], "origin": self.origin}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> ChainSpec:
        """The chain that `to_json` wrote."""
        return ChainSpec(tuple(PluginSpec.from_json(entry) for entry in data["plugins"]), data["origin"])
