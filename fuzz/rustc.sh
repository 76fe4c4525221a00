#!/bin/sh
# In place of rustc for the crates of this repository while `cargo xtask fuzz` builds: the coverage that libFuzzer
# follows, by flags of stable Rust. Foreign crates are taken as the other builds left them.
case " $* " in
*" --crate-name build_script_"* | *" -vV "* | *" --print"*) exec "$@" ;;
esac
exec "$@" --cfg fuzzing -Cdebug-assertions -Ccodegen-units=1 -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
