#!/usr/bin/env bash
# A whole training run from a checkout alone: songs are made while the network learns, and the run goes on
# where the last one stopped. Sized for short turns on a rented GPU, one after another:
#
#   MINUTES=8 bash examples/04_train_on_a_gpu.sh          # in turn, as often as you like
#   NETWORK=live MINUTES=25 bash examples/04_train_on_a_gpu.sh
#
# What survives a turn is the folder RUN (checkpoints of about 70 MB and the curves) and SONGS. Without
# network, packages must be there already (torch, numpy, scipy, soundfile, soxr, pedalboard, safetensors,
# platformdirs, mutagen; pyworld and pyfluidsynth for all voices and instruments).
set -euo pipefail
cd "$(dirname "$0")/.."
NETWORK=${NETWORK:-band-mixer}
RUN=${RUN:-runs/gpu-$NETWORK}
SONGS=${SONGS:-runs/songs}
MINUTES=${MINUTES:-8}
STEPS=${STEPS:-40000}          # raise it to go on with a run that is complete
JOBS=${JOBS:-$(nproc)}
PYTHON=${PYTHON:-python3}
CONFIG=${CONFIG:-'{}'}         # such as '{"width": 128, "mixing": 256}'

# The package as it would be installed, where it is not.
if ! "$PYTHON" -c 'import stembridge.model' 2>/dev/null; then
  mkdir -p build/run/stembridge
  for part in model bridge presets; do ln -sfn "$PWD/$part" "build/run/stembridge/$part"; done
  export PYTHONPATH="$PWD/build/run${PYTHONPATH:+:$PYTHONPATH}"
fi
# Without the package's metadata there is no `stembridge` command; this is the same.
stembridge() { "$PYTHON" -m stembridge.bridge "$@"; }

device=$("$PYTHON" -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")')
echo "training $NETWORK on $device for $MINUTES minutes, with $JOBS processes making songs" >&2

stembridge synth "$SONGS/validation" --songs 32 --split validation -j "$JOBS"
stembridge synth "$SONGS/train" --songs "${FIRST:-200}" -j "$JOBS"
until=$((SECONDS + MINUTES * 60))

# One song after another beside the training, until time is up.
(timeout "$((MINUTES * 60))" "$PYTHON" -m stembridge.bridge synth "$SONGS/train" --songs 100000 -j "$((JOBS > 4 ? JOBS - 3 : 1))" \
  >/dev/null 2>&1 || true) &
maker=$!
trap 'kill "$maker" 2>/dev/null || true' EXIT

# Songs are listed when a run starts, so it starts anew every few minutes and finds the new ones.
while [ "$SECONDS" -lt "$until" ]; do
  left=$((until - SECONDS))
  turn=$((left < 240 ? left : 180))
  code=0
  timeout --signal=INT "$turn" "$PYTHON" -m stembridge.bridge train -n "$NETWORK" -o "$RUN" -d "$device" \
    --synth "$SONGS/train" --validation "$SONGS/validation" --config "$CONFIG" \
    --steps "$STEPS" --batch "${BATCH:-16}" --crop-s "${CROP_S:-6}" --learning-rate "${RATE:-0.002}" \
    --workers "$((JOBS > 4 ? 3 : 1))" --validate-every 500 --save-every 250 \
    $([ "$device" = cuda ] && [ "${COMPILE:-0}" = 1 ] && echo --compile) || code=$?
  case $code in
    0) break ;;            # all steps done
    124 | 130) ;;          # time for new songs
    *) exit "$code" ;;
  esac
done
echo "weights: $RUN/best.safetensors, curves: $RUN/curves.png"
