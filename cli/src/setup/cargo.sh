#!/bin/sh
# The cargo that rust-analyzer finds in the kernel, because CARGO_HOME names the folder above this one. evcxr asks
# rust-analyzer for the types of a cell's variables, and rust-analyzer asks cargo for the list of crates whose sources
# it reads. That list is cut by crates.py; everything else is the learner's own cargo.

bin=${0%/*} path=
IFS=:
for folder in $PATH; do
    [ "$folder" = "$bin" ] || path=$path:$folder
done
unset IFS
export CARGO_HOME="$LLM_COURSE_CARGO_HOME"
export PATH="$CARGO_HOME/bin$path"
case " $* " in
    *" --no-deps "*) ;;
    *" metadata "*" --filter-platform "*)
        cargo "$@" | "$bin/../../venv/bin/python" -I "$bin/crates.py"
        exit
        ;;
esac
exec cargo "$@"
