#!/bin/sh
# Compiles a cell without cargo, which takes as long as rustc for it.
#
# evcxr runs `mold -run CARGO … build …` for every cell when its linker is called mold; this script has that name in
# the kernel's PATH. The first time, and whenever Cargo.toml or a crate has changed, it lets cargo build, with
# itself as RUSTC_WRAPPER, and so learns how rustc is called. Else it calls rustc in the same way.

learnt=$PWD/target/cell-command

# Asked by cargo: `$0 RUSTC ARGUMENT…`.
if [ "$1" != -run ]; then
    case " $* " in *" --crate-name ctx "*)
        learnt=$CARGO_MANIFEST_DIR/target/cell-command
        {
            export -p
            printf 'set --'
            for argument; do
                case $previous in --out-dir) argument=$CARGO_MANIFEST_DIR/target/cell ;; esac
                case $argument in incremental=*) argument=incremental=$CARGO_MANIFEST_DIR/target/cell-incremental ;; esac
                previous=$argument
                printf " '%s'" "$(printf %s "$argument" | sed "s/'/'\\\\''/g")"
            done
            echo
        } > "$learnt"
    esac
    exec "$@"
fi

# Asked by evcxr: `$0 -run CARGO … build …`.
shift
case " $* " in *" build "*) ;; *) exec "$@" ;; esac
if [ -n "$EVCXR_EXECUTION_SO_PATH" ] && [ -s "$learnt" ] && cmp -s Cargo.toml target/cell-manifest; then
    (mkdir -p target/cell && . "$learnt" && "$@") 2> target/cell-errors
    status=$?
    # E0460 to E0464: a crate was compiled anew or is gone, so cargo is needed.
    if [ $status = 0 ] || ! grep -q '"code":"E046[0-4]"' target/cell-errors; then
        set -- target/cell/libctx.* # .so, or .dylib on macOS
        printf %s "$PWD/$1" > "$EVCXR_EXECUTION_SO_PATH"
        cat target/cell-errors >&2
        exit $status
    fi
fi
RUSTC_WRAPPER=$0 "$@"
status=$?
cp Cargo.toml target/cell-manifest
exit $status
