#!/bin/sh
# Compiles a cell without cargo, which takes as long as rustc for it, and links it against one library.
#
# evcxr runs `mold -run CARGO … build …` for every cell when its linker is called mold; this script has that name in
# the kernel's PATH. The first time, and whenever Cargo.toml or a crate has changed, it lets cargo build, with
# itself as RUSTC_WRAPPER, and so learns how rustc is called. Else it calls rustc in the same way, with itself as linker.

learnt=$PWD/target/cell-command

# Asked by rustc: `$0 -LINKER-ARGUMENT…`. rustc names the archive of every crate, and reading them takes the linker
# longer than rustc took to compile. They are linked into one library, once, and the cell against that.
link_cell() {
    [ "$(uname)" = Linux ] || return 1
    list=$PWD/target/cell-archives deps=
    for argument; do
        shift
        case $argument in
            */debug/deps/*.rlib) printf '"%s"\n' "$argument" >&3; deps=${argument%/*} ;;
            -ltorch*) ;; # the library links torch
            -Wl,--no-undefined-version) set -- "$@" -Wl,--undefined-version ;; # it holds what a cell would export for torch
            *) set -- "$@" "$argument" ;;
        esac
    done 3> "$list"
    [ -n "$deps" ] || return 1
    crates=$deps/cell-crates-$(xargs stat -c '%n %y' < "$list" | cksum | tr -d ' ').so
    [ -e "$crates" ] || link_crates "$@" || return 1
    cc "$@" "$crates"
}

link_crates() {
    previous=
    for argument; do
        shift
        case $previous$argument in
            *.o | -o* | -Wl,--version-script* | -Wl,--gc-sections | -Wl,--strip*) ;;
            *) set -- "$@" "$argument" ;;
        esac
        case $argument in -o) previous=-o ;; *) previous= ;; esac
    done
    rm -f "$deps"/cell-crates-*.so
    cc -shared -o "$crates.$$" -Wl,--whole-archive "@$list" -Wl,--no-whole-archive "$@" -Wl,--as-needed -ltorch_cuda \
        -ltorch_cpu -ltorch &&
        mv "$crates.$$" "$crates"
}

# evcxr hands every variable of the notebook to every cell, at a millisecond each. Those that this one does not name
# stay where they are kept. Each line of the source keeps its number, for messages speak of it.
trim_cell() {
    LC_ALL=C awk '
        /^let evcxr_variable_store = / { ours = NR == FNR }
        /evcxr_variable_store\.(check|take|put)_variable::</ {
            name = $0
            sub(/.*stringify!\((r#)?/, "", name)
            sub(/\).*/, "", name)
            if (NR > FNR) print((name in named) ? $0 : "")
            next
        }
        NR > FNR { print; next }
        ours { gsub(/[^A-Za-z0-9_\200-\377]+/, " "); for (i = split($0, words, " "); i; i--) named[words[i]] }
    ' src/lib.rs src/lib.rs > target/cell-source && cp target/cell-source src/lib.rs
}

case $1 in
    -run) ;;
    -*) (link_cell "$@" 2> target/cell-link-errors) || exec cc "$@"; exit ;;
    *)
        # Asked by cargo: `$0 RUSTC ARGUMENT…`.
        case " $* " in *" --crate-name ctx "*)
            learnt=$CARGO_MANIFEST_DIR/target/cell-command
            {
                export -p
                printf 'set --'
                for argument; do
                    case $previous in --out-dir) argument=$CARGO_MANIFEST_DIR/target/cell ;; esac
                    previous=$argument
                    printf " '%s'" "$(printf %s "$argument" | sed "s/'/'\\\\''/g")"
                done
                # as many units as the kernel's configuration asks for would take a tenth longer
                echo " -C codegen-units=4 -C linker-flavor=gcc -C 'linker=$0'"
            } > "$learnt"
        esac
        exec "$@"
        ;;
esac

# Asked by evcxr: `$0 -run CARGO … build …`.
shift
case " $* " in *" build "*) ;; *) exec "$@" ;; esac
if [ -n "$EVCXR_EXECUTION_SO_PATH" ] && [ -s "$learnt" ] && cmp -s Cargo.toml target/cell-manifest; then
    trim_cell
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
