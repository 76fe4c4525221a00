//! A core module becomes a component.

use wit_component::ComponentEncoder;

use crate::Error;
use crate::section::sections;

/// How the name of the section begins in which wit-bindgen describes the world.
const WORLD_SECTION: &str = "component-type:";

/// The component of a module; `what` names it in errors. The world is the one that the module itself
/// brings along from wit-bindgen.
pub fn componentize(module: &[u8], what: &str) -> Result<Vec<u8>, Error> {
    let what = what.to_owned();
    let sections = match sections(module) {
        Ok(sections) => sections,
        Err(at) => return Err(Error::NotWasm { what, at }),
    };
    // Without a world the encoder makes an empty component, silently.
    if !sections.iter().any(|section| section.name.starts_with(WORLD_SECTION)) {
        return Err(Error::NoWorld { what });
    }
    let mut encoder = ComponentEncoder::default();
    let component = encoder.validate(true).module(module).and_then(ComponentEncoder::encode);
    component.map_err(|error| Error::Component { what, cause: error.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_a_world_is_refused() {
        let said = componentize(b"\0asm\x01\0\0\0", "mask_column").expect_err("no world");
        assert!(said.to_string().contains("mask_column exports no plugin"), "{said}");
        let said = componentize(b"text", "mask_column").expect_err("no module");
        assert!(said.to_string().contains("no WebAssembly module"), "{said}");
    }
}
