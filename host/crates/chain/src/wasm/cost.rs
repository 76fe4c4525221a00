//! What an instance takes of the host's own memory, counted before there is one.
//!
//! The limits of a store count linear memory and tables as they grow. Globals, function references and imports
//! are different: they are part of the host's data about an instance, allocated at once and asked of nobody. A
//! component of 6 MB with a million globals and 60 instances of them took 1,020 MiB under a limit of 64 MiB.

use wasmparser::{Instance, Parser, Payload};

use crate::error::Error;

/// Bytes that wasmtime has for a global of an instance.
const GLOBAL_BYTES: u64 = 16;
/// For a function: a reference to it, if it is exported or in a table.
const FUNCTION_BYTES: u64 = 32;
/// For an import of any kind.
const IMPORT_BYTES: u64 = 32;
/// For a memory, a table, a tag or a segment.
const OTHER_BYTES: u64 = 64;
/// For an instance that has nothing.
const INSTANCE_BYTES: u64 = 1024;

/// Refuses a component whose instance would take more than that of the host. It was validated before, so that its
/// counts are true.
pub(crate) fn check(
    plugin: &str,
    component: &[u8],
    host_bytes: usize,
    instances: usize,
) -> Result<(), Error> {
    let Some(cost) = count(component, instances as u64) else {
        // The compiler has read it, so this cannot be.
        let problem = "its sections cannot be counted".to_owned();
        return Err(Error::Unbounded { plugin: plugin.to_owned(), problem });
    };
    if cost.bytes <= host_bytes as u64 {
        return Ok(());
    }
    let problem = format!(
        "the globals, functions and imports of its {} core instances take {} bytes of the host, more than \
         {host_bytes} (memory-bytes-max)",
        cost.n_instances, cost.bytes
    );
    Err(Error::Unbounded { plugin: plugin.to_owned(), problem })
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cost {
    n_instances: u64,
    bytes: u64,
}

/// Adds up all core instances. Those of components inside the component are made as often as these are, which is not
/// followed: they count as the largest module in every instance that the limits allow.
fn count(component: &[u8], instances_max: u64) -> Option<Cost> {
    // Bytes of an instance of each module at the top level, by index.
    let mut modules: Vec<u64> = Vec::new();
    let mut largest = 0;
    let mut made: Vec<u32> = Vec::new();
    let mut n_made: u64 = 0;
    let mut has_inner = false;
    // What is being read: components, and at most one module, inside of one another.
    let mut open: Vec<Option<u64>> = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.ok()?;
        match &payload {
            Payload::ModuleSection { .. } => open.push(Some(INSTANCE_BYTES)),
            Payload::ComponentSection { .. } => open.push(None),
            Payload::End(_) => {
                // The outermost component was not pushed.
                if let Some(Some(bytes)) = open.pop() {
                    largest = bytes.max(largest);
                    if open.is_empty() {
                        modules.push(bytes);
                    }
                }
            }
            Payload::InstanceSection(reader) => {
                for instance in reader.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance.ok()? {
                        n_made += 1;
                        has_inner |= !open.is_empty();
                        if n_made <= instances_max {
                            made.push(module_index);
                        }
                    }
                }
            }
            of_module => {
                let bytes = section_bytes(of_module)?;
                if let Some(Some(so_far)) = open.last_mut() {
                    *so_far = so_far.saturating_add(bytes);
                }
            }
        }
    }
    if has_inner || n_made > instances_max {
        let bytes = instances_max.saturating_mul(largest);
        return Some(Cost { n_instances: instances_max, bytes });
    }
    // A module that is not one of these came by an alias: it counts as the largest.
    let of = |index: &u32| modules.get(*index as usize).copied().unwrap_or(largest);
    Some(Cost { n_instances: n_made, bytes: made.iter().map(of).sum() })
}

/// What an instance has for a section of its module.
fn section_bytes(section: &Payload<'_>) -> Option<u64> {
    let (each, n) = match section {
        Payload::ImportSection(reader) => {
            let mut imports = reader.clone().into_imports();
            let n_imports = imports.try_fold(0_u32, |n, one| one.ok().map(|_| n.saturating_add(1)));
            (IMPORT_BYTES, n_imports?)
        }
        Payload::FunctionSection(reader) => (FUNCTION_BYTES, reader.count()),
        Payload::GlobalSection(reader) => (GLOBAL_BYTES, reader.count()),
        Payload::MemorySection(reader) => (OTHER_BYTES, reader.count()),
        Payload::TableSection(reader) => (OTHER_BYTES, reader.count()),
        Payload::TagSection(reader) => (OTHER_BYTES, reader.count()),
        Payload::ElementSection(reader) => (OTHER_BYTES, reader.count()),
        Payload::DataSection(reader) => (OTHER_BYTES, reader.count()),
        _ => (0, 0),
    };
    Some(each * u64::from(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leb(mut number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    fn section(id: u8, payload: &[u8]) -> Vec<u8> {
        [&[id][..], &leb(payload.len()), payload].concat()
    }

    /// A module with so many globals, all 0.
    fn module(n_globals: usize) -> Vec<u8> {
        let globals = [0x7f, 0, 0x41, 0, 0x0b].repeat(n_globals);
        [b"\0asm\x01\0\0\0".to_vec(), section(6, &[leb(n_globals), globals].concat())].concat()
    }

    fn instances(of: u8, n: usize) -> Vec<u8> {
        section(2, &[leb(n), [0, of, 0].repeat(n)].concat())
    }

    fn component(parts: &[Vec<u8>]) -> Vec<u8> {
        [b"\0asm\x0d\0\x01\0".to_vec(), parts.concat()].concat()
    }

    #[test]
    fn every_core_instance_counts() {
        let parts = [section(1, &module(10)), section(1, &module(1000)), instances(1, 3)];
        let of_one = INSTANCE_BYTES + 1000 * GLOBAL_BYTES;
        let found = count(&component(&parts), 64);
        assert_eq!(found, Some(Cost { n_instances: 3, bytes: 3 * of_one }));
        let found = count(&component(&[instances(0, 2), section(1, &module(10))]), 64);
        assert_eq!(found.map(|cost| cost.n_instances), Some(2), "an order that is not valid");

        // Within an inner component the number of instances is not known.
        let inner = component(&[section(1, &module(1000)), instances(0, 1)]);
        let found = count(&component(&[section(4, &inner)]), 64);
        assert_eq!(found, Some(Cost { n_instances: 64, bytes: 64 * of_one }));
        assert_eq!(count(&component(&[]), 64), Some(Cost::default()));
        assert_eq!(count(b"\0asm\x0d\0\x01\0\x01\xff", 64), None);
    }

    #[test]
    fn a_million_globals_in_sixty_instances_are_refused() {
        let bomb = component(&[section(1, &module(1_000_000)), instances(0, 60)]);
        let refused = check("bomb.wasm", &bomb, 64 << 20, 64).unwrap_err().to_string();
        assert!(refused.contains("60 core instances take 960061440 bytes"), "{refused}");
        let small = component(&[section(1, &module(1_000)), instances(0, 60)]);
        assert!(check("small.wasm", &small, 64 << 20, 64).is_ok());
    }
}
