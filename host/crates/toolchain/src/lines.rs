//! Reduces a module's debug information to what a backtrace needs: the author's line of each instruction.
//!
//! The debug information of std and of all dependencies is ten times the size of a plugin, and an
//! author asks one thing of it: which line of mine was it? So it is read once, with inlined calls
//! resolved, and replaced by a table from addresses to lines of the project, a twentieth of the size: the
//! section `audit-host-lines`. The host reads that and never DWARF, which a stranger may have written. An
//! instruction of a foreign function that was inlined gets the author's line that called it; a foreign
//! function that was not inlined gets none, and appears in a backtrace by its name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use addr2line::{Context, Location};
use audit_golden::{CODE, Section, append_lines};
use gimli::{EndianSlice, LittleEndian};

use crate::component::walk;
use crate::error::Error;

/// The name of cargo's folder in the debug information: sources of dependencies.
pub(crate) const CARGO: &str = "cargo";
/// The SDK belongs to the project, but its lines are the last that an author looks for.
const SDK: &[&str] = &["audit-plugin-sdk/src/", "plugins/sdk/src/"];
/// Custom sections whose name begins like this hold the debug information.
const DEBUG: &str = ".debug_";

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A stretch of instructions that come from one line. Addresses count from the start of the code.
#[derive(Debug, PartialEq, Eq)]
struct Stretch {
    begin: u64,
    end: u64,
    file: String,
    line: u32,
    column: u32,
}

impl Stretch {
    fn shown(&self) -> Option<audit_golden::Stretch<'_>> {
        let (begin, end) = (u32::try_from(self.begin).ok()?, u32::try_from(self.end).ok()?);
        Some(audit_golden::Stretch { begin, end, file: &self.file, line: self.line })
    }
}

/// The module with only the project's lines. Without debug information it is unchanged.
pub(crate) fn keep_own(module: &[u8], what: &str) -> Result<Vec<u8>, Error> {
    let sections = walk(module, what)?;
    if !sections.iter().any(|section| section.name == ".debug_line") {
        return Ok(module.to_vec());
    }
    let rewritten = stretches(&sections).map(|stretches| {
        let mut kept = module.get(..8).unwrap_or_default().to_vec();
        for section in sections.iter().filter(|section| !section.name.starts_with(DEBUG)) {
            kept.extend_from_slice(module.get(section.at.clone()).unwrap_or_default());
        }
        append_lines(&mut kept, stretches.iter().filter_map(Stretch::shown));
        kept
    });
    rewritten.map_err(|cause| Error::Lines { what: what.to_owned(), cause })
}

/// The author's line of every instruction that has one, in the order of addresses.
fn stretches(sections: &[Section<'_>]) -> Result<Vec<Stretch>, Cause> {
    let by_name: BTreeMap<&str, &[u8]> =
        sections.iter().map(|section| (section.name, section.payload)).collect();
    let code = sections.iter().find(|section| section.id == CODE);
    let code_bytes = code.map_or(0, |section| section.payload.len() as u64);
    let dwarf = gimli::Dwarf::load(|id| {
        let bytes = by_name.get(id.name()).copied().unwrap_or_default();
        Ok::<_, gimli::Error>(Slice::new(bytes, LittleEndian))
    })?;
    let context = Context::from_dwarf(dwarf)?;
    let mut found: Vec<Stretch> = Vec::new();
    // Address 0 is not an instruction: linkers put discarded functions there.
    for (address, n_bytes, _) in context.find_location_range(1, code_bytes)? {
        let Some((file, line, column)) = own_line(&context, address)? else { continue };
        let end = address + n_bytes;
        match found.last_mut() {
            // Functions that were thrown away may claim addresses of others.
            Some(last) if address < last.end => {}
            Some(last)
                if last.end == address
                    && (last.line, last.column) == (line, column)
                    && last.file == file =>
            {
                last.end = end;
            }
            _ => found.push(Stretch { begin: address, end, file, line, column }),
        }
    }
    Ok(found)
}

/// The innermost frame at an address that the author wrote, or else one of the SDK.
fn own_line(
    context: &Context<Slice<'_>>,
    address: u64,
) -> Result<Option<(String, u32, u32)>, Cause> {
    let mut frames = context.find_frames(address).skip_all_loads()?;
    let mut of_sdk = None;
    while let Some(frame) = frames.next()? {
        let Some(Location { file: Some(file), line: Some(line @ 1..), column }) = frame.location
        else {
            continue;
        };
        let Some(file) = relative(file) else { continue };
        let place = (file.clone().into_owned(), line, column.unwrap_or(0));
        if !SDK.iter().any(|sdk| file.contains(sdk)) {
            return Ok(Some(place));
        }
        of_sdk.get_or_insert(place);
    }
    Ok(of_sdk)
}

/// A file of the project, as seen from its root. `None` for sources of std and of dependencies.
fn relative(file: &str) -> Option<Cow<'_, str>> {
    let mut parts: Vec<&str> = Vec::new();
    for part in file.split('/') {
        match part {
            "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let is_foreign = matches!(parts.first(), None | Some(&("" | CARGO)));
    (!is_foreign).then(|| parts.join("/").into())
}

#[cfg(test)]
mod tests {
    use audit_golden::{LINES, Lines, append_custom};
    use gimli::write::{
        Address, AttributeValue, Dwarf, EndianVec, LineProgram, LineRow, LineString, Sections, Unit,
    };
    use gimli::{Encoding, Format, LineEncoding, constants};

    use super::*;

    #[test]
    fn files_of_the_project_are_recognized() {
        let cases = [
            ("./src/lib.rs", Some("src/lib.rs")),
            ("././plugins/redact-pii/src/lib.rs", Some("plugins/redact-pii/src/lib.rs")),
            ("./tests/guests/a/../../../plugins/sdk/src/b.rs", Some("plugins/sdk/src/b.rs")),
            ("cargo/registry/src/serde/src/lib.rs", None),
            ("./cargo/registry/src/serde/src/lib.rs", None),
            ("/rustc/0123/library/core/src/str/mod.rs", None),
            ("", None),
        ];
        for (file, expected) in cases {
            assert_eq!(relative(file).as_deref(), expected, "{file}");
        }
    }

    /// DWARF of one unit: a stretch of instructions for each line.
    fn append_dwarf(module: &mut Vec<u8>, lines: &[(u64, u64, &str, u64)]) {
        let encoding = Encoding { format: Format::Dwarf32, version: 4, address_size: 4 };
        let text = |text: &str| LineString::String(text.as_bytes().to_vec());
        let mut program =
            LineProgram::new(encoding, LineEncoding::default(), text("."), None, text("."), None);
        let root_dir = program.default_directory();
        for &(begin, end, file, line) in lines {
            program.begin_sequence(Some(Address::Constant(begin)));
            let file = program.add_file(text(file), root_dir, None);
            *program.row() = LineRow { file, line, ..*program.row() };
            program.generate_row();
            program.end_sequence(end - begin);
        }
        let mut dwarf = Dwarf::new();
        let id = dwarf.units.add(Unit::new(encoding, program));
        let unit = dwarf.units.get_mut(id);
        let root = unit.root();
        let root = unit.get_mut(root);
        let text = |text: &str| AttributeValue::String(text.as_bytes().to_vec());
        root.set(constants::DW_AT_name, text("plugin"));
        root.set(constants::DW_AT_comp_dir, text("."));
        root.set(constants::DW_AT_low_pc, AttributeValue::Address(Address::Constant(1)));
        root.set(constants::DW_AT_high_pc, AttributeValue::Udata(99));
        root.set(constants::DW_AT_stmt_list, AttributeValue::LineProgramRef);
        let mut written = Sections::new(EndianVec::new(LittleEndian));
        dwarf.write(&mut written).expect("DWARF is written");
        let added = written.for_each(|id, bytes| {
            if !bytes.slice().is_empty() {
                append_custom(module, id.name(), bytes.slice());
            }
            Ok::<(), gimli::write::Error>(())
        });
        added.expect("sections are added");
    }

    #[test]
    fn dwarf_becomes_the_section_of_ours() {
        // A row of the code section claims as many bytes as the addresses reach.
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend([CODE, 100]);
        let code_at = module.len();
        module.extend([0; 100]);
        let lines = [
            (10, 20, "src/lib.rs", 5),
            (20, 30, "src/state.rs", 7),
            (40, 50, "/rustc/0123/library/core/src/str/mod.rs", 8),
            (50, 60, "src/lib.rs", 6),
        ];
        append_dwarf(&mut module, &lines);
        let kept = keep_own(&module, "a test").expect("lines are kept");
        let names: Vec<_> =
            walk(&kept, "a test").expect("a module").iter().map(|s| s.name).collect();
        assert_eq!(names, ["", LINES]);
        let mut component = b"\0asm\x0d\0\x01\0\x01".to_vec();
        component.extend([kept.len() as u8 | 0x80, (kept.len() >> 7) as u8]);
        let code_at = component.len() + code_at;
        component.extend(kept);
        let found = Lines::of_component(&component);
        for (address, expected) in [
            (10, Some(("src/lib.rs", 5))),
            (29, Some(("src/state.rs", 7))),
            (45, None),
            (59, Some(("src/lib.rs", 6))),
            (60, None),
        ] {
            assert_eq!(found.at(code_at + address), expected, "{address}");
        }
    }

    #[test]
    fn a_module_without_debug_information_stays() {
        let module = b"\0asm\x01\0\0\0".to_vec();
        assert_eq!(keep_own(&module, "a test").expect("a module"), module);
    }
}
