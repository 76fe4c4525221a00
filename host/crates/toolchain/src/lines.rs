//! Reduces a module's debug information to what a backtrace needs: the author's line of each instruction.
//!
//! The debug information of std and of all dependencies is ten times the size of a plugin, and an
//! author asks one thing of it: which line of mine was it? So it is read once, with inlined calls
//! resolved, and rewritten as a single table from addresses to lines of the project, a twentieth of the
//! size. An instruction of a foreign function that was inlined gets the author's line that called it; a
//! foreign function that was not inlined gets none, and appears in a backtrace by its name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use addr2line::{Context, Location};
use audit_golden::{CODE, Section, append_custom};
use gimli::write::{
    Address, AttributeValue, Dwarf, EndianVec, LineProgram, LineRow, LineString, Sections, Unit,
};
use gimli::{Encoding, EndianSlice, Format, LineEncoding, LittleEndian, constants};

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

/// The module with only the project's lines. Without debug information it is unchanged.
pub(crate) fn keep_own(module: &[u8], what: &str) -> Result<Vec<u8>, Error> {
    let sections = walk(module, what)?;
    if !sections.iter().any(|section| section.name == ".debug_line") {
        return Ok(module.to_vec());
    }
    let rewritten = stretches(&sections).and_then(|stretches| {
        let mut kept = module.get(..8).unwrap_or_default().to_vec();
        for section in sections.iter().filter(|section| !section.name.starts_with(DEBUG)) {
            kept.extend_from_slice(module.get(section.at.clone()).unwrap_or_default());
        }
        write(&stretches, &mut kept)?;
        Ok(kept)
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

/// Appends the debug sections of one unit that holds nothing but the stretches.
fn write(stretches: &[Stretch], module: &mut Vec<u8>) -> Result<(), Cause> {
    let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else { return Ok(()) };
    let encoding = Encoding { format: Format::Dwarf32, version: 4, address_size: 4 };
    let text = |text: &str| LineString::String(text.as_bytes().to_vec());
    let mut program =
        LineProgram::new(encoding, LineEncoding::default(), text("."), None, text("."), None);
    let root_dir = program.default_directory();
    let mut begin = None;
    for (idx, stretch) in stretches.iter().enumerate() {
        let start = *begin.get_or_insert(stretch.begin);
        if start == stretch.begin {
            program.begin_sequence(Some(Address::Constant(start)));
        }
        let file = program.add_file(text(&stretch.file), root_dir, None);
        *program.row() = LineRow {
            address_offset: stretch.begin - start,
            file,
            line: u64::from(stretch.line),
            column: u64::from(stretch.column),
            ..*program.row()
        };
        program.generate_row();
        if stretches.get(idx + 1).is_none_or(|next| next.begin != stretch.end) {
            program.end_sequence(stretch.end - start);
            begin = None;
        }
    }
    let mut dwarf = Dwarf::new();
    let id = dwarf.units.add(Unit::new(encoding, program));
    let unit = dwarf.units.get_mut(id);
    let root = unit.root();
    let root = unit.get_mut(root);
    root.set(constants::DW_AT_name, AttributeValue::String(b"plugin".to_vec()));
    root.set(constants::DW_AT_comp_dir, AttributeValue::String(b".".to_vec()));
    root.set(constants::DW_AT_language, AttributeValue::Language(constants::DW_LANG_Rust));
    root.set(constants::DW_AT_low_pc, AttributeValue::Address(Address::Constant(first.begin)));
    root.set(constants::DW_AT_high_pc, AttributeValue::Udata(last.end - first.begin));
    root.set(constants::DW_AT_stmt_list, AttributeValue::LineProgramRef);
    let mut written = Sections::new(EndianVec::new(LittleEndian));
    dwarf.write(&mut written)?;
    written.for_each(|id, bytes| {
        if !bytes.slice().is_empty() {
            append_custom(module, id.name(), bytes.slice());
        }
        Ok::<(), gimli::write::Error>(())
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn what_is_written_is_read_again() {
        let stretch = |begin: u64, end: u64, file: &str, line: u32| Stretch {
            begin,
            end,
            file: file.to_owned(),
            line,
            column: 9,
        };
        // A row of the code section claims as many bytes as the addresses reach.
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend([CODE, 100]);
        module.extend([0; 100]);
        let lines = [
            stretch(10, 20, "src/lib.rs", 5),
            stretch(20, 30, "src/state.rs", 7),
            stretch(50, 60, "src/lib.rs", 6),
        ];
        write(&lines, &mut module).expect("lines are written");
        let again = stretches(&walk(&module, "a test").expect("a module")).expect("lines are read");
        assert_eq!(again, lines);
        // And what is kept of that is the same.
        let kept = keep_own(&module, "a test").expect("lines are kept");
        let again = stretches(&walk(&kept, "a test").expect("a module")).expect("lines are read");
        assert_eq!(again, lines);
    }

    #[test]
    fn a_module_without_debug_information_stays() {
        let module = b"\0asm\x01\0\0\0".to_vec();
        assert_eq!(keep_own(&module, "a test").expect("a module"), module);
    }
}
