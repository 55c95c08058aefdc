#!/bin/sh
# A question to the lab, carried out by several machines that share nothing but a ring of Hexad: the question goes out and the parts come back by
# `hexad publish` and `hexad fetch`, which each machine's own node does (`hexad up`, with Chord joined).
#
#   sweep-by-hexad.sh ask NAME QUESTION.toml    publishes the question
#   sweep-by-hexad.sh work NAME I/N             finds the question, carries out part I of N and publishes it; prints its link
#   sweep-by-hexad.sh collect NAME N            finds all parts and joins them: NAME/report.html
#
# NAME is one word that nothing else in the ring is called. All is done in the current folder, and what is there already is not fetched or run again.
# HEXAD is the program (hexad when not set), HEXAD_DAEMON where the node is (http://127.0.0.1:4080/).
set -eu
hexad=${HEXAD:-hexad}
node=--daemon=${HEXAD_DAEMON:-http://127.0.0.1:4080/}

usage() {
    echo "usage: $0 ask NAME QUESTION.toml | work NAME I/N | collect NAME N" >&2
    exit 2
}

# Brings what is called "$1 $2" to the file or folder $3. It may have been published a moment ago: nobody finds it before it is on the ring.
bring() {
    [ ! -e "$3" ] || return 0
    tries=0
    until link=$("$hexad" search "$node" --json "$1" "$2" 2>/dev/null | sed -n 's/.*"link":"\([^"]*\)".*/\1/p' | head -n 1) && [ -n "$link" ]; do
        tries=$((tries + 1))
        if [ "$tries" -ge 60 ]; then
            echo "$0: nobody has published '$1 $2'" >&2
            exit 1
        fi
        sleep 1
    done
    "$hexad" fetch "$node" "$link" --into "$PWD" >&2
}

[ $# -eq 3 ] || usage
name=$2
question=$name-question.toml
case $1 in
ask)
    cp "$3" "$question"
    "$hexad" publish "$node" "$question"
    ;;
work)
    part=$name-part${3%/*}of${3#*/}
    bring "$name" question "$question"
    "$hexad" lab run "$question" --shard "$3" --out "$part" >&2
    "$hexad" publish "$node" "$part"
    ;;
collect)
    bring "$name" question "$question"
    number=1
    set -- "$3"
    total=$1
    shift
    while [ "$number" -le "$total" ]; do
        part=$name-part${number}of$total
        bring "$name" "part${number}of$total" "$part"
        set -- "$@" "$part"
        number=$((number + 1))
    done
    "$hexad" lab merge "$@" --into "$name" >&2
    "$hexad" lab run "$question" --out "$name"
    ;;
*) usage ;;
esac
