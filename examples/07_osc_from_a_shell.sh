#!/usr/bin/env bash
# Drive a running bridge from a shell: with `stembridge send`, which prints what is answered, and with liblo's
# `oscsend`, which any program that speaks OSC resembles.
#
#     stembridge serve --root ~/Music            # in another terminal
#     examples/07_osc_from_a_shell.sh ~/Music/song.flac
set -euo pipefail
song=$(realpath "${1:?a song, below one of the bridge\'s roots}")
port=${PORT:-9331}
send() { stembridge send --port "$port" "$@"; }

send /version
send /mix/reset

# Gains: set, ask, fade, many at once, and a scene to come back to.
send /stem/vocals/gain -6
send /stem/vocals/gain
send '/stem/{drums,bass}/mute' 1
send /mix/store practice
send /mix/reset
send /mix/recall practice 0.5
send /stem/list

# The same without stembridge on the other machine; nothing is printed, for nobody listens here.
if command -v oscsend >/dev/null; then
    oscsend 127.0.0.1 "$port" /stem/other/gain f -3
    oscsend 127.0.0.1 "$port" /mix/reset
fi

# A render: a tag of your own, the song, and as many of `render`'s flags as you like. The command ends with the job;
# asked again with the same tag and song it ends at once, for the files are there.
send /render from-the-shell "$song" "" format flac start 0 end 10 --wait /job/done
send /render from-the-shell "$song" "" format flac start 0 end 10 --wait /job/done --json
