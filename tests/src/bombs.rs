//! Components that nobody's tool chain makes: small files that cost whoever loads them a lot. Each is made here, byte
//! by byte or from the text format, as a stranger would make it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::hostile::leb128;

const COMPONENT_HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE_HEADER: &[u8] = b"\0asm\x01\0\0\0";
/// Sections of a component: a module, instances of modules, types, imports.
const MODULES: u8 = 1;
const INSTANCES: u8 = 2;
const TYPES: u8 = 7;
const IMPORTS: u8 = 10;
/// A section of a module.
const GLOBALS: u8 = 6;
/// Where the answers of a plugin lie in its memory, and the text that they point to.
const DESCRIPTION_AT: usize = 1024;
const BOUND_AT: usize = 2048;
const TEXTS_AT: usize = 4096;

/// What a plugin does, in the text format. Each is the body of a function.
pub struct Plugin<'a> {
    /// The name that it describes itself by.
    pub name: &'a str,
    /// Runs when it is instantiated.
    pub start: &'a str,
    pub describe: &'a str,
    pub configure: &'a str,
    pub process: &'a str,
    /// Bytes of the name of its only key column; with it, it is a detector.
    pub key_bytes: usize,
    /// Sections of the module behind all others.
    pub sections: Vec<u8>,
}

impl Default for Plugin<'_> {
    /// A transform that reads and writes nothing.
    fn default() -> Self {
        Self {
            name: "bomb",
            start: "",
            describe: "(i32.const 1024)",
            configure: "(i32.const 2048)",
            process: "(i32.const 2048)",
            key_bytes: 0,
            sections: Vec::new(),
        }
    }
}

/// Never ends by itself.
pub const SPIN: &str = "(loop (br 0)) (unreachable)";

/// Counts that far, and returns what follows.
pub fn slow(n_rounds: u64, then: &str) -> String {
    format!(
        "(local $n i64) (local.set $n (i64.const {n_rounds})) \
         (loop (br_if 0 (i64.ne (i64.const 0) (local.tee $n (i64.sub (local.get $n) (i64.const 1)))))) {then}"
    )
}

/// A component with an instance, within one that instantiates it so many times, and so on: a few bytes that say
/// `times` to the power of `depth` instances.
pub fn of_nested(depth: usize, times: usize) -> Result<Vec<u8>> {
    let core = "(core module $m) (core instance (instantiate $m))";
    let mut text = format!("(component $c {core})");
    for _ in 0..depth {
        text = format!("(component $c {text} {})", "(instance (instantiate $c))".repeat(times));
    }
    wat::parse_str(text.replacen("(component $c", "(component", 1))
        .context("components in one another")
}

impl Plugin<'_> {
    /// The component.
    pub fn component(&self) -> Result<Vec<u8>> {
        let mut module = wat::parse_str(self.module()).context("a module in the text format")?;
        module.extend_from_slice(&self.sections);
        let mut resolve = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        let (package, _) = resolve.push_dir(&wit)?;
        let world = resolve.select_world(&[package], Some("plugin"))?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
        ComponentEncoder::default().validate(true).module(&module)?.encode()
    }

    fn module(&self) -> String {
        let Self { name, start, describe, configure, process, key_bytes, .. } = self;
        // `binding`, `judgement` and their `ok` are zeros: nothing is read, written, taken out or found.
        let mut description = Vec::new();
        let (name_at, version_at, key_at) = (TEXTS_AT, TEXTS_AT + 256, TEXTS_AT + 512);
        let has_key = usize::from(*key_bytes > 0);
        for number in [name_at, name.len(), version_at, 5, has_key, 0, 0, key_at, has_key, 0] {
            description.extend((number as u32).to_le_bytes());
        }
        let key_bytes_at = 1 << 16;
        let key = [key_bytes_at as u32, *key_bytes as u32].map(u32::to_le_bytes).concat();
        let pages = 2 + key_bytes.div_ceil(1 << 16);
        let start = if start.is_empty() {
            String::new()
        } else {
            format!("(func $start {start}) (start $start)")
        };
        format!(
            r#"(module
                (memory (export "memory") {pages})
                (data (i32.const {DESCRIPTION_AT}) "{}")
                (data (i32.const {BOUND_AT}) "{}")
                (data (i32.const {name_at}) "{name}")
                (data (i32.const {version_at}) "0.1.0")
                (data (i32.const {key_at}) "{}")
                (global $next (mut i32) (i32.const 8192))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                    (global.set $next (i32.and (i32.const -16) (i32.add (i32.const 15) (global.get $next))))
                    (global.get $next)
                    (global.set $next (i32.add (global.get $next) (local.get 3))))
                (func (export "audit-host:plugin/lifecycle@0.1.1#describe") (result i32) {describe})
                (func (export "audit-host:plugin/lifecycle@0.1.1#configure") (param i32 i32) (result i32) {configure})
                (func (export "audit-host:plugin/judge@0.1.1#process")
                    (param i32 i32 i64 i32 i32 i32) (result i32) {process})
                (func (export "audit-host:plugin/state@0.1.1#snapshot") (result i32) (unreachable))
                (func (export "audit-host:plugin/state@0.1.1#restore")
                    (param i32 i32 i32) (result i32) (unreachable))
                {start})"#,
            escaped(&description),
            escaped(&[0; 64]),
            escaped(&key),
        )
    }
}

/// Bytes as the text format has them.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "\\{byte:02x}");
    }
    text
}

/// A component that is nothing but one module with a function that is expensive to compile: at its end it uses
/// each of its variables, and every loop before that may have changed each of them.
pub fn to_compile(n_locals: usize, n_loops: usize) -> Result<Vec<u8>> {
    let mut text = String::from("(module (func (export \"f\") (param i32) (result i32)");
    text.push_str(" (local");
    text.push_str(&" i32".repeat(n_locals));
    text.push(')');
    for n in 0..n_loops {
        let _ = write!(
            text,
            "(loop (local.set {} (local.get 0)) (br_if 0 (local.get 0)))",
            1 + n % n_locals
        );
    }
    text.push_str("(i32.const 0)");
    for n in 1..=n_locals {
        let _ = write!(text, "(i32.add (local.get {n}))");
    }
    text.push_str("))");
    let module = wat::parse_str(text).context("a module in the text format")?;
    Ok([COMPONENT_HEADER, &section(MODULES, &module)].concat())
}

/// A plugin that has a module with so many globals, so many times.
pub fn of_globals(n_globals: usize, n_instances: usize) -> Result<Vec<u8>> {
    let globals = [0x7f, 0, 0x41, 0, 0x0b].repeat(n_globals);
    let globals = section(GLOBALS, &[leb(n_globals), globals].concat());
    let mut component = Plugin::default().component()?;
    let index = n_modules(&component).context("the plugin is not a component")?;
    component.extend(section(MODULES, &[MODULE_HEADER, &globals].concat()));
    let instance = [&[0][..], &leb(index), &[0]].concat();
    component
        .extend(section(INSTANCES, &[leb(n_instances), instance.repeat(n_instances)].concat()));
    Ok(component)
}

/// Modules at the top level of a component.
fn n_modules(component: &[u8]) -> Option<usize> {
    let (mut at, mut n) = (COMPONENT_HEADER.len(), 0);
    while let Some(id) = component.get(at) {
        n += usize::from(*id == MODULES);
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            at += 1;
            let byte = *component.get(at)?;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        at += 1 + length;
    }
    Some(n)
}

/// A component that imports so many functions, each under a name of so many bytes.
pub fn of_imports(n_imports: usize, name_bytes: usize) -> Vec<u8> {
    let mut imports = leb(n_imports);
    for n in 0..n_imports {
        let number = format!("{n:07}");
        let name = format!("{}{number}", "x".repeat(name_bytes - number.len()));
        imports.push(0);
        imports.extend(leb(name.len()));
        imports.extend(name.bytes());
        // A function of the only type.
        imports.extend([1, 0]);
    }
    // No parameters and no result.
    let types = section(TYPES, &[1, 0x40, 0, 1, 0]);
    [COMPONENT_HEADER, &types, &section(IMPORTS, &imports)].concat()
}

/// A plugin whose `describe` traps, with debug information: so many units, which all have the same lines, so many of
/// them.
pub fn of_dwarf(n_units: usize, n_lines: usize) -> Result<Vec<u8>> {
    // One kind of unit: its line program, and where its code begins and how long it is.
    let abbreviations = [1, 0x11, 0, 0x10, 0x17, 0x11, 0x01, 0x12, 0x06, 0, 0, 0];
    let unit = [
        &[20, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, 1][..],
        &[0, 0, 0, 0],
        &[1, 0, 0, 0],
        &[0xff, 0xff, 0xff, 0],
    ]
    .concat();
    // Minimum length, operations, is-statement, line base -5, line range 14, opcodes and their operands, no folder,
    // one file.
    let header =
        [&[1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0][..], b"a.rs\0\0\0\0\0"]
            .concat();
    // From address 1 on a line for each byte.
    let program = [&[0, 5, 2, 1, 0, 0, 0][..], &vec![33; n_lines], &[0, 1, 1]].concat();
    let n_bytes = 2 + 4 + header.len() + program.len();
    let lines = [
        &(n_bytes as u32).to_le_bytes()[..],
        &[4, 0],
        &(header.len() as u32).to_le_bytes(),
        &header,
        &program,
    ]
    .concat();
    let sections = [
        custom(".debug_abbrev", &abbreviations),
        custom(".debug_info", &unit.repeat(n_units)),
        custom(".debug_line", &lines),
    ];
    Plugin { describe: "(unreachable)", sections: sections.concat(), ..Plugin::default() }
        .component()
}

fn section(id: u8, payload: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(payload.len()), payload].concat()
}

fn custom(name: &str, payload: &[u8]) -> Vec<u8> {
    section(0, &[&leb(name.len()), name.as_bytes(), payload].concat())
}

fn leb(number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    leb128(&mut bytes, number);
    bytes
}
