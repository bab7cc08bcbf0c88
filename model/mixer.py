"""Stems and gains in, one mix out: the remix law, with ramps.

For stems s, what a chain made of them t (t = s without a chain), the residual r = mix - sum(s), and
per-channel gains g (fader, mute, solo and balance in one number)::

    out = M(mix + sum(g_i t_i - s_i) + (g_r - 1) r)

Terms that are zero are left out, not added, so with every gain at unity and no chain the mix comes
back as its own bits. A channel whose residual is silent needs no mix at all, since the law is then
`sum(g_i t_i)`: a soloed stem is its own export, and everything muted is exact silence. Sums are made
in float64 and rounded once.

>>> mixer = Mixer(("accompaniment", "vocals"), channels=1, sample_rate=44100)
>>> mixer.set_mute("vocals")
>>> stems = np.array([[[0.5, 0.25]], [[0.125, 0.0]]], dtype=np.float32)
>>> mixer.mix(stems.sum(axis=0), stems, np.zeros((1, 2), np.float32)).tolist()
[[0.5, 0.25]]
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .audio import Audio, StemArray
from .dsp.ramp import RampBank
from .errors import ArgumentValueError
from .remix import Faders, Treated, check_shape, holds_at, scaled, stem_index
from .residual import RESIDUAL, RESIDUAL_POLICIES, ResidualPolicy
from .units import MAX_GAIN_DB, SILENCE_DB, db_to_gain


@dataclass(frozen=True)
class MixerState:
    """Where every control of a mixer stands; what is not named is neutral.

    A stem in `mutes` is silent whatever else holds; while `solos` has members, only they sound.
    `pans` run from -1 (left) to 1 (right).
    """

    gains_db: Mapping[str, float] = field(default_factory=dict)
    mutes: frozenset[str] = frozenset()
    solos: frozenset[str] = frozenset()
    pans: Mapping[str, float] = field(default_factory=dict)
    master_gain_db: float = 0.0
    master_mute: bool = False


class Mixer:
    """Remixes one stream of stems; its controls may be set from any thread at any time.

    A control that changes takes effect at the next block as a linear ramp of `ramp_ms` in gain; what
    is set before the first block (or before the first one after `reset`) holds from its first frame.
    For a change made at a given frame, the cut into blocks does not change a bit of the output.

    `residual_policy` says what the residual is. `none`: sound that is in no stem; it plays at gain 1
    and any solo mutes it. `file`: the last stem is `residual`, with its own fader. In all but `none`,
    r is rounding dust that plays along until a stem is soloed or every stem is silent.

    Balance: a pan of p leaves the near side alone and turns the far side down to 1 - |p|, so the
    centre is the identity; wider layouts are taken as stereo pairs; a channel without a partner (mono)
    is left alone.
    """

    def __init__(
        self,
        stems: Iterable[str],
        channels: int,
        sample_rate: int,
        *,
        residual_policy: ResidualPolicy = "other",
        ramp_ms: float = 20.0,
        state: MixerState | None = None,
    ) -> None:
        self.stems = tuple(stems)
        self.channels = channels
        if residual_policy not in RESIDUAL_POLICIES:
            raise ArgumentValueError(
                f"a residual policy is one of {', '.join(RESIDUAL_POLICIES)}; got {residual_policy!r}"
            )
        if not self.stems or len(set(self.stems)) != len(self.stems):
            raise ArgumentValueError(
                f"a mixer needs one or more stems with different names; got {self.stems}"
            )
        if residual_policy == "file" and RESIDUAL not in self.stems:
            raise ArgumentValueError(f"under the policy file one stem is {RESIDUAL!r}; got {self.stems}")
        if channels < 1 or sample_rate < 1:
            raise ArgumentValueError(
                f"a mixer needs 1 or more channels and a rate above 0 Hz; got {channels} and {sample_rate}"
            )
        if not 0 <= ramp_ms < math.inf:
            raise ArgumentValueError(f"ramp_ms must be 0 or more; got {ramp_ms}")
        self.residual_policy = residual_policy
        self._sample_rate = sample_rate
        self._ramp_frames = ramp_frames = round(ramp_ms * sample_rate / 1000)
        self._lock = threading.Lock()
        self._state = self._checked(state or MixerState())
        self._faders = RampBank((len(self.stems) + 1) * channels, ramp_frames)
        self._master = RampBank(1, ramp_frames)
        self._fader_state: MixerState | None = None
        self._master_state: MixerState | None = None

    # Controls: writers replace the frozen state under a lock; the audio side reads it once per block.

    @property
    def state(self) -> MixerState:
        """Where the controls stand now (the targets, not the ramps); complete for every stem."""
        return self._state

    @state.setter
    def state(self, state: MixerState) -> None:
        """Move every control at once. Raises ArgumentValueError and changes nothing if one is bad."""
        checked = self._checked(state)
        with self._lock:
            self._state = checked

    def set_gain_db(self, stem: str, gain_db: float) -> None:
        """Move one fader, -144..+12 dB; -144 and below (also -infinity) is silence."""
        self._change(lambda now: replace(now, gains_db={**now.gains_db, stem: gain_db}))

    def set_mute(self, stem: str, muted: bool = True) -> None:
        """Mute one stem or open it again."""
        self._change(lambda now: replace(now, mutes=_toggled(now.mutes, stem, muted)))

    def set_solo(self, stem: str, soloed: bool = True) -> None:
        """Add one stem to what sounds alone, or take it out."""
        self._change(lambda now: replace(now, solos=_toggled(now.solos, stem, soloed)))

    def set_pan(self, stem: str, pan: float) -> None:
        """Set the balance of one stem, -1 (left) to 1 (right)."""
        self._change(lambda now: replace(now, pans={**now.pans, stem: pan}))

    def set_master_gain_db(self, gain_db: float) -> None:
        """Move the master fader, -144..+12 dB."""
        self._change(lambda now: replace(now, master_gain_db=gain_db))

    def set_master_mute(self, muted: bool = True) -> None:
        """Mute the whole mix or open it again."""
        self._change(lambda now: replace(now, master_mute=muted))

    def audible(self, stem: str) -> NDArray[np.float64]:
        """The gain per channel `(channels,)` that a stem is heading for: fader, balance, mute, solo.

        `residual` may always be asked for, as a stem under the policy `file` and as r otherwise.
        """
        rows = self._targets(self._state)
        joined = stem == RESIDUAL and RESIDUAL not in self.stems
        row: NDArray[np.float64] = rows[-1 if joined else stem_index(self.stems, stem)]
        return row

    @property
    def in_effect(self) -> MixerState:
        """The state that the last `faders` headed for."""
        return self._fader_state or self._state

    @property
    def ramp_ms(self) -> float:
        """How long the ramps of changes take."""
        return self._ramp_frames * 1000 / self._sample_rate

    def set_ramp_ms(self, ramp_ms: float) -> None:
        """How long the ramps of changes from now on take. Raises ArgumentValueError below 0."""
        if not 0 <= ramp_ms < math.inf:
            raise ArgumentValueError(f"ramp_ms must be 0 or more; got {ramp_ms}")
        self._ramp_frames = round(ramp_ms * self._sample_rate / 1000)

    @property
    def unity(self) -> bool:
        """Whether the controls (not the ramps) leave the mix as it is."""
        state = self._state
        return bool(np.all(self._targets(state) == 1.0)) and _master_gain(state) == 1.0

    # Sound.

    def reset(self) -> None:
        """Make the targets current without a ramp: the next block is the first of a render."""
        self._fader_state = None
        self._master_state = None

    def faders(self, frames: int) -> Faders:
        """Step the ramps over the next `frames` frames and return their gains.

        `mix` calls this itself; call it where several outputs share one block (mix and post-fader
        stems), or where the mix chain comes between the sum and `master`.
        """
        return self._next_faders(self._state, frames)

    def master(self, audio: Audio) -> Audio:
        """Apply the master fader to the next block; the same bits at unity.

        Its ramps are its own, so it follows the mix chain whatever that chain's latency.
        """
        return self._next_master(self._state, audio)

    def skip_master(self, frames: int) -> None:
        """Step the master's ramp over the next frames without any sound."""
        self._next_master(self._state, np.zeros((1, frames), np.float32))

    def mix(self, mix: Audio, stems: StemArray, residual: Audio, treated: Treated | None = None) -> Audio:
        """Remix the next block: the whole law, master included, without a mix chain.

        Shape: mix and residual `(channels, frames)`, stems and treated `(stems, channels, frames)`;
        returns a new `(channels, frames)`. Raises ArgumentValueError for other shapes.
        """
        if mix.ndim != 2:
            raise ArgumentValueError(f"mix must be (channels, frames); got {mix.shape}")
        state = self._state  # read once, so that a change on the way is heard whole or not at all
        summed = self._next_faders(state, mix.shape[1]).mix(mix, stems, residual, treated)
        return self._next_master(state, summed)

    def post_fader(self, stem: str, audio: Audio) -> Audio:
        """One stem as it sounds in the mix with the controls where they stand, without any ramp.

        Where controls move while sound runs, use `faders(frames).post_fader`.
        """
        check_shape(stem, audio, (self.channels, audio.shape[-1]))
        gains = self.audible(stem)
        rows = [scaled(row, float(gain)) for row, gain in zip(audio, gains, strict=True)]
        return np.asarray(np.stack(rows), dtype=np.float32)

    def _next_faders(self, state: MixerState, frames: int) -> Faders:
        if state is not self._fader_state and frames > 0:
            targets, jump = self._targets(state).ravel(), self._fader_state is None
            self._faders.aim(targets, jump=jump, ramp_frames=self._ramp_frames)
            self._fader_state = state
        return Faders(self.stems, self.channels, self._faders.take(frames))

    def _next_master(self, state: MixerState, audio: Audio) -> Audio:
        if state is not self._master_state and audio.shape[-1] > 0:
            target, jump = np.array([_master_gain(state)]), self._master_state is None
            self._master.aim(target, jump=jump, ramp_frames=self._ramp_frames)
            self._master_state = state
        out = audio.copy()
        for span in self._master.take(audio.shape[-1]):
            (gain,) = span.gains
            if not holds_at(gain, 1.0):
                out[:, span.start : span.stop] = scaled(audio[:, span.start : span.stop], gain)
        return out

    def _change(self, edit: _Edit) -> None:
        with self._lock:
            self._state = self._checked(edit(self._state))

    def _checked(self, state: MixerState) -> MixerState:
        for name in (*state.gains_db, *sorted(state.mutes), *sorted(state.solos), *state.pans):
            stem_index(self.stems, name)
        return MixerState(
            gains_db={stem: _checked_db(stem, state.gains_db.get(stem, 0.0)) for stem in self.stems},
            mutes=frozenset(state.mutes),
            solos=frozenset(state.solos),
            pans={stem: _checked_pan(stem, state.pans.get(stem, 0.0)) for stem in self.stems},
            master_gain_db=_checked_db("master", state.master_gain_db),
            master_mute=bool(state.master_mute),
        )

    def _targets(self, state: MixerState) -> NDArray[np.float64]:
        """Gains `(stems + 1, channels)`; the last row is the residual's."""
        gains = np.zeros((len(self.stems) + 1, self.channels))
        for row, stem in enumerate(self.stems):
            if stem not in state.mutes and (not state.solos or stem in state.solos):
                gains[row] = db_to_gain(state.gains_db[stem]) * _balance(state.pans[stem], self.channels)
        dust = self.residual_policy != "none"
        silent = dust and not gains.any()
        gains[-1] = 0.0 if state.solos or silent else 1.0
        return gains


_Edit = Callable[[MixerState], MixerState]


def _balance(pan: float, channels: int) -> NDArray[np.float64]:
    gains = np.ones(channels)
    paired = channels - channels % 2
    gains[0:paired:2] = min(1.0, 1.0 - pan)
    gains[1:paired:2] = min(1.0, 1.0 + pan)
    return gains


def _master_gain(state: MixerState) -> float:
    return 0.0 if state.master_mute else db_to_gain(state.master_gain_db)


def _toggled(names: frozenset[str], name: str, on: bool) -> frozenset[str]:
    return names | {name} if on else names - {name}


def _checked_db(name: str, gain_db: float) -> float:
    gain_db = float(gain_db)
    if math.isnan(gain_db) or gain_db > MAX_GAIN_DB:
        raise ArgumentValueError(
            f"the gain of {name} must be {SILENCE_DB:g} to {MAX_GAIN_DB:+g} dB; got {gain_db:g}"
        )
    return max(gain_db, SILENCE_DB)


def _checked_pan(name: str, pan: float) -> float:
    pan = float(pan)
    if not -1.0 <= pan <= 1.0:
        raise ArgumentValueError(f"the pan of {name} must be -1 (left) to 1 (right); got {pan:g}")
    return pan
