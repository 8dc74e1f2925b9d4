#!/usr/bin/env bash
# Speaks demo.txt and call.txt into demo.wav and call.wav (16 kHz, 16 bit). Needs flite and sox:
#   apt-get install flite sox
# The texts are lines that pocketsphinx, the embedded server's recognizer, recognises word for word.
set -euo pipefail
cd "$(dirname "$0")"
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT

# say VOICE TEXT SECONDS FILE: one line of speech with SECONDS of silence added on either side
say() {
    flite -voice "$1" -t "$2" -o "$parts/spoken.wav"
    sox -D "$parts/spoken.wav" "$4" pad "$3" "$3"
}

# demo.wav: one channel, two voices in turn
voices=(slt rms)
lines=()
while IFS= read -r text; do
    file=$parts/demo${#lines[@]}.wav
    say "${voices[${#lines[@]} % 2]}" "$text" 0.3 "$file"
    lines+=("$file")
done < demo.txt
sox -D "${lines[@]}" demo.wav

# call.wav: the agent (slt) left, the customer (rms) right; one is silent while the other speaks
lines=()
while IFS=: read -r speaker text; do
    file=$parts/call${#lines[@]}.wav
    case $speaker in
        agent) voice=slt sides=(1 0) ;;
        customer) voice=rms sides=(0 1) ;;
        *) echo "call.txt: neither agent nor customer: $speaker" >&2; exit 1 ;;
    esac
    say "$voice" "${text# }" 0.1 "$parts/mono.wav"
    sox -D "$parts/mono.wav" "$file" remix "${sides[@]}"
    lines+=("$file")
done < call.txt
sox -D "${lines[@]}" call.wav

# call-*.ulaw: the same as a telephone company hands it on, mu-law at 8 kHz without a header; the
# customer has called
sox -D call.wav -t raw -e mu-law -r 8000 call-inbound.ulaw remix 2
sox -D call.wav -t raw -e mu-law -r 8000 call-outbound.ulaw remix 1
