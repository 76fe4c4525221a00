//! The section of a core module that names the source line of each instruction.
//!
//! Our tool chain writes it, and the host reads it when a plugin traps. It replaces DWARF, which is a
//! language: a hostile component of 136 KB makes a reader of DWARF take gigabytes. Here every size is
//! bounded, what is read is at most a few times as large as the section, and nothing in it can fail: a
//! table that lies names a wrong line.
//!
//! The content is `ahl1`, then numbers in unsigned LEB128: the number of files, each as a length and its
//! name, and stretches of instructions until the end, each as the bytes left out before it, its own bytes,
//! the file's index and the line. Addresses count from the content of the code section, as in DWARF.

use crate::section::{CODE, Reader, append_custom, push_length, sections};

/// The name of the section.
pub const LINES: &str = "audit-host-lines";
/// The id of the section of a component that holds a core module.
const MODULE: u8 = 1;
const MAGIC: &[u8] = b"ahl1";
/// Bytes of a section that is read: ten times that of the largest built-in plugin.
const SECTION_BYTES_MAX: usize = 1 << 20;
/// Files in a table, and bytes of the name of one.
const FILES_MAX: usize = 4096;
const FILE_BYTES_MAX: usize = 256;
/// Modules of one component whose lines are read: a plugin has one.
const MODULES_MAX: usize = 4;

/// Instructions that come from one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch<'a> {
    pub begin: u32,
    pub end: u32,
    pub file: &'a str,
    pub line: u32,
}

/// Appends the section to a module. The stretches come in the order of their addresses and do not overlap.
/// Those that a reader would not accept are left out.
pub fn append_lines<'a>(module: &mut Vec<u8>, stretches: impl Iterator<Item = Stretch<'a>>) {
    let (mut files, mut rows, mut before) = (Vec::new(), Vec::new(), 0);
    for Stretch { begin, end, file, line } in stretches {
        let known = files.iter().position(|name| *name == file);
        let idx = known.unwrap_or(files.len());
        let is_good = begin >= before && end > begin && file.len() <= FILE_BYTES_MAX;
        if !is_good || idx >= FILES_MAX || rows.len() > SECTION_BYTES_MAX / 2 {
            continue;
        }
        if known.is_none() {
            files.push(file);
        }
        for number in [begin - before, end - begin, idx as u32, line] {
            push_length(&mut rows, number as usize);
        }
        before = end;
    }
    let mut payload = MAGIC.to_vec();
    push_length(&mut payload, files.len());
    for file in files {
        push_length(&mut payload, file.len());
        payload.extend_from_slice(file.as_bytes());
    }
    payload.extend(rows);
    append_custom(module, LINES, &payload);
}

/// The lines of a component's modules, by the place of an instruction in the component's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    modules: Vec<Table>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    /// Where the content of the code section begins and ends in the file.
    code: std::ops::Range<usize>,
    files: Vec<Box<str>>,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    begin: u32,
    end: u32,
    file: u32,
    line: u32,
}

impl Lines {
    /// The lines that a component carries; none where it carries none or they are damaged.
    pub fn of_component(component: &[u8]) -> Self {
        let modules = sections(component).map_while(Result::ok).filter(|one| one.id == MODULE);
        let tables = modules.filter_map(|module| Table::of_module(module.payload, module.at.end));
        Self { modules: tables.take(MODULES_MAX).collect() }
    }

    /// File and line of the instruction at this byte of the component's file.
    pub fn at(&self, byte: usize) -> Option<(&str, u32)> {
        let table = self.modules.iter().find(|table| table.code.contains(&byte))?;
        let address = u32::try_from(byte - table.code.start).ok()?;
        let after = table.rows.partition_point(|row| row.begin <= address);
        let row = table.rows.get(after.checked_sub(1)?)?;
        let file = table.files.get(row.file as usize)?;
        (address < row.end).then_some((file, row.line))
    }
}

impl Table {
    /// Of a module whose last byte is before `end`.
    fn of_module(module: &[u8], end: usize) -> Option<Self> {
        let start = end.checked_sub(module.len())?;
        let (mut code, mut lines) = (None, None);
        for section in sections(module).map_while(Result::ok) {
            if section.id == CODE {
                let end = start + section.at.end;
                code = Some(end - section.payload.len()..end);
            } else if section.name == LINES {
                lines = Some(section.payload);
            }
        }
        let (files, rows) = parse(lines.filter(|bytes| bytes.len() <= SECTION_BYTES_MAX)?)?;
        Some(Self { code: code?, files, rows })
    }
}

fn parse(bytes: &[u8]) -> Option<(Vec<Box<str>>, Vec<Row>)> {
    let mut reader = Reader { bytes: bytes.strip_prefix(MAGIC)?, at: 0 };
    let n_files = reader.length().ok().filter(|n_files| *n_files <= FILES_MAX)?;
    let mut files = Vec::new();
    for _ in 0..n_files {
        let name = reader.sized().ok().filter(|name| name.len() <= FILE_BYTES_MAX)?;
        files.push(std::str::from_utf8(name).ok()?.into());
    }
    let mut rows = Vec::new();
    let mut before = 0_u32;
    while reader.at < reader.bytes.len() {
        let mut number = || u32::try_from(reader.length().ok()?).ok();
        let begin = before.checked_add(number()?)?;
        let end = begin.checked_add(number()?)?;
        let (file, line) = (number()?, number()?);
        rows.push(Row { begin, end, file, line });
        before = end;
    }
    Some((files, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with one module, whose code section has 100 bytes.
    fn component(add: impl FnOnce(&mut Vec<u8>)) -> (Vec<u8>, usize) {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend([CODE, 100]);
        let code_at = module.len();
        module.extend([0; 100]);
        add(&mut module);
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        component.push(MODULE);
        push_length(&mut component, module.len());
        let module_at = component.len();
        component.extend(module);
        (component, module_at + code_at)
    }

    #[test]
    fn what_is_written_is_found_by_its_place_in_the_file() {
        let stretch = |begin, end, file, line| Stretch { begin, end, file, line };
        let lines = [
            stretch(10, 20, "src/lib.rs", 5),
            stretch(20, 30, "src/state.rs", 700),
            stretch(50, 60, "src/lib.rs", 6),
        ];
        let (component, code) = component(|module| append_lines(module, lines.into_iter()));
        let found = Lines::of_component(&component);
        for (address, expected) in [
            (9, None),
            (10, Some(("src/lib.rs", 5))),
            (19, Some(("src/lib.rs", 5))),
            (20, Some(("src/state.rs", 700))),
            (30, None),
            (59, Some(("src/lib.rs", 6))),
            (60, None),
            (99, None),
            (1000, None),
        ] {
            assert_eq!(found.at(code + address), expected, "{address}");
        }
        assert_eq!(found.at(0), None);
        assert_eq!(Lines::of_component(b"text"), Lines::default());
    }

    #[test]
    fn a_table_that_lies_is_no_table() {
        for payload in [
            b"".to_vec(),
            b"ahl2\0".to_vec(),
            // More files than there are bytes, and than are allowed.
            b"ahl1\x05\x01a".to_vec(),
            b"ahl1\xff\xff\xff\xff\x0f".to_vec(),
            b"ahl1\x01\x02\xff\xfe".to_vec(),
            // A row that is cut off, and one whose end is beyond all addresses.
            b"ahl1\0\x01".to_vec(),
            b"ahl1\0\x01\xff\xff\xff\xff\x0f\0\0".to_vec(),
            [b"ahl1\x01\x81\x02".to_vec(), [b'x'; 257].to_vec()].concat(),
            [b"ahl1\0".to_vec(), vec![1; SECTION_BYTES_MAX]].concat(),
        ] {
            let (component, _) = component(|module| append_custom(module, LINES, &payload));
            assert_eq!(Lines::of_component(&component), Lines::default());
        }
        // The file of a row need not exist.
        let payload = b"ahl1\0\x01\x01\x07\x07";
        let (component, code) = component(|module| append_custom(module, LINES, payload));
        assert_eq!(Lines::of_component(&component).at(code + 1), None);
    }
}
