"""Every error this package raises on purpose.

One base, precise children; each child also inherits the builtin a caller would expect, and carries a
`code`: one of the words a render job can fail with (`bad_file not_found disk_full plugin_crashed
plugin_timeout no_progress out_of_memory model_missing cancelled internal`).

A message says what was expected, what came, and what to do.
"""

from __future__ import annotations


class StembridgeError(Exception):
    """Base of all errors raised on purpose by this package."""

    code: str = "internal"


class ArgumentTypeError(StembridgeError, TypeError):
    """An argument of the wrong kind."""


class ArgumentValueError(StembridgeError, ValueError):
    """An argument of the right kind whose value cannot be used."""


class StateError(StembridgeError, RuntimeError):
    """A call that does not fit what came before it (a dirty effect, a layout that cannot be told)."""


class AudioFileError(StembridgeError, ValueError):
    """An audio file that cannot be read, is damaged, or holds NaN or infinity."""

    code = "bad_file"


class AudioFileNotFoundError(StembridgeError, FileNotFoundError):
    """A file that is not there."""

    code = "not_found"


class OutputError(StembridgeError, OSError):
    """An output that cannot be written: a read-only folder, a foreign file in the way."""


class DiskFullError(OutputError):
    """No room left on the device that should take the output."""

    code = "disk_full"


class VerificationError(OutputError):
    """A file that was written and did not read back as what was meant."""


class DamagedEntryError(VerificationError):
    """Cached stems that are no longer what was stored: dropped, to be separated again."""


class PluginError(StembridgeError, RuntimeError):
    """A plug-in that cannot be loaded, configured or used as asked."""


class PluginParameterError(PluginError, ValueError):
    """A parameter the plug-in does not have, or a value outside its range."""


class PluginCrashedError(PluginError):
    """A plug-in that took its process down."""

    code = "plugin_crashed"


class PluginTimeoutError(PluginError):
    """A plug-in that did not answer in time while loading or processing."""

    code = "plugin_timeout"


class ModelMissingError(StembridgeError, LookupError):
    """A separator, its package or its weights that are not installed."""

    code = "model_missing"


class CancelledError(StembridgeError):
    """Work that was stopped on request."""

    code = "cancelled"
