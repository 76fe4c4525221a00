//! Plugins that are embedded in this program.

use crate::config::Error;

const BUILTINS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/builtins.rs"));

/// The component of a built-in plugin.
pub(crate) fn component(name: &str) -> Result<&'static [u8], Error> {
    let found = BUILTINS.iter().find(|(known, _)| *known == name);
    found.map(|(_, component)| *component).ok_or_else(|| {
        if BUILTINS.is_empty() {
            return Error::NoBuiltins { name: name.to_owned() };
        }
        let known: Vec<_> = BUILTINS.iter().map(|(known, _)| *known).collect();
        Error::UnknownBuiltin { name: name.to_owned(), known: known.join(", ") }
    })
}
