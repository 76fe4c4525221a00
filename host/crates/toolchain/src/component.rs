//! Turns a core module into a component.

use audit_golden::{Section, sections};
use wit_component::ComponentEncoder;

use crate::error::Error;

/// How the name of the section begins in which wit-bindgen describes the world.
const WORLD_SECTION: &str = "component-type:";

/// The component of a module; `what` names it in errors. The world is the one that wit-bindgen left in the
/// module itself.
pub fn componentize(module: &[u8], what: &str) -> Result<Vec<u8>, Error> {
    // Without a world the encoder makes an empty component, silently.
    if !walk(module, what)?.iter().any(|section| section.name.starts_with(WORLD_SECTION)) {
        return Err(Error::NoWorld { what: what.to_owned() });
    }
    let mut encoder = ComponentEncoder::default();
    let component = encoder.validate(true).module(module).and_then(ComponentEncoder::encode);
    component.map_err(|error| Error::Component { what: what.to_owned(), cause: error.into() })
}

/// All sections of a module that a compiler has just written.
pub(crate) fn walk<'a>(module: &'a [u8], what: &str) -> Result<Vec<Section<'a>>, Error> {
    let found = sections(module).collect::<Result<_, _>>();
    found.map_err(|damaged| Error::NotWasm { what: what.to_owned(), at: damaged.at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_a_world_is_refused() {
        let said = componentize(b"\0asm\x01\0\0\0", "mask_column").expect_err("no world");
        assert!(said.to_string().contains("mask_column exports no plugin"), "{said}");
        let said = componentize(b"text", "mask_column").expect_err("no module");
        assert!(said.to_string().contains("not a WebAssembly module"), "{said}");
    }
}
