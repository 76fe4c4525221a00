//! What a component asks for and offers, compared with what the host has.

use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

/// The package that the host speaks, and its version.
const PACKAGE: &str = "audit-host:plugin";
pub const ABI_VERSION: &str = "0.1.1";
/// Interfaces of the package that a plugin may import, and those that it must export.
const IMPORTS: [&str; 4] = ["types", "log", "crypto", "lookup"];
const EXPORTS: [&str; 3] = ["lifecycle", "judge", "state"];
/// Packages of WASI 0.2 that are linked and grant nothing: see `wasi.rs`.
const WASI: [&str; 6] = ["io", "cli", "clocks", "random", "filesystem", "sockets"];

/// What the host does with an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The host's own: works.
    Host,
    /// WASI, answered from the batch and without any authority.
    Virtual,
    /// WASI that would reach out (files, sockets): linked, and a trap when it is called.
    Denied,
    /// Not there: the component is refused.
    Refused,
}

impl Answer {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "the host's",
            Self::Virtual => "answered from the batch",
            Self::Denied => "nothing behind it: a call traps",
            Self::Refused => "refused",
        }
    }
}

/// The interfaces of a component.
#[derive(Debug, Clone)]
pub struct Interfaces {
    pub imports: Vec<(String, Answer)>,
    pub exports: Vec<String>,
    /// Why the host would refuse it; empty for a plugin.
    pub problems: Vec<String>,
}

impl Interfaces {
    pub(crate) fn of(component: &Component) -> Self {
        let component_type = component.component_type();
        let engine = component.engine();
        let imports: Vec<_> = component_type
            .imports(engine)
            .map(|(name, item)| {
                // Types cost nothing and are not there at run time.
                let is_type = matches!(item.ty, ComponentItem::Type(_));
                (name.to_owned(), if is_type { Answer::Host } else { answer(name) })
            })
            .collect();
        let exports: Vec<_> =
            component_type.exports(engine).map(|(name, _)| name.to_owned()).collect();
        let mut problems: Vec<_> = imports
            .iter()
            .filter(|(_, answer)| *answer == Answer::Refused)
            .map(|(name, _)| refusal(name))
            .collect();
        problems.extend(EXPORTS.iter().filter_map(|wanted| missing(wanted, &exports)));
        Self { imports, exports, problems }
    }
}

/// `package/interface@version`.
struct Name<'a> {
    package: &'a str,
    interface: &'a str,
    version: &'a str,
}

impl<'a> Name<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (package, rest) = name.split_once('/')?;
        let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
        Some(Self { package, interface, version })
    }

    /// Whether the host's version can stand in for this one: the same `0.x`.
    fn is_ours(&self) -> bool {
        self.package == PACKAGE && minor(self.version) == minor(ABI_VERSION)
    }
}

fn minor(version: &str) -> Option<(&str, &str)> {
    let mut parts = version.split('.');
    Some((parts.next()?, parts.next()?))
}

fn answer(name: &str) -> Answer {
    let Some(parsed) = Name::parse(name) else { return Answer::Refused };
    if parsed.is_ours() {
        return if IMPORTS.contains(&parsed.interface) { Answer::Host } else { Answer::Refused };
    }
    let Some(wasi) = parsed.package.strip_prefix("wasi:") else { return Answer::Refused };
    if !WASI.contains(&wasi) || minor(parsed.version) != Some(("0", "2")) {
        return Answer::Refused;
    }
    match wasi {
        "sockets" => Answer::Denied,
        "filesystem" if parsed.interface != "preopens" => Answer::Denied,
        _ => Answer::Virtual,
    }
}

fn refusal(name: &str) -> String {
    match Name::parse(name) {
        Some(parsed) if parsed.package == PACKAGE && !parsed.is_ours() => other_version(&parsed),
        _ => format!(
            "it imports {name}, which the host does not give to plugins: build it without what needs \
             that"
        ),
    }
}

fn other_version(name: &Name<'_>) -> String {
    format!(
        "it was built for {PACKAGE}@{}, this host speaks {ABI_VERSION}: build it with the SDK of this \
         version, or use a host of that version",
        name.version
    )
}

/// What is wrong with the export of that interface, if anything.
fn missing(wanted: &str, exports: &[String]) -> Option<String> {
    let of_interface = exports
        .iter()
        .filter_map(|name| Name::parse(name))
        .find(|name| name.package == PACKAGE && name.interface == wanted);
    match of_interface {
        Some(name) if name.is_ours() => None,
        Some(name) => Some(other_version(&name)),
        None => Some(format!("it does not export {PACKAGE}/{wanted}@{ABI_VERSION}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_answered_by_name_and_version() {
        for (name, expect) in [
            ("audit-host:plugin/log@0.1.0", Answer::Host),
            ("audit-host:plugin/log@0.1.7", Answer::Host),
            ("audit-host:plugin/log@0.2.0", Answer::Refused),
            ("audit-host:plugin/files@0.1.0", Answer::Refused),
            ("wasi:cli/environment@0.2.6", Answer::Virtual),
            ("wasi:filesystem/preopens@0.2.0", Answer::Virtual),
            ("wasi:filesystem/types@0.2.0", Answer::Denied),
            ("wasi:sockets/tcp@0.2.0", Answer::Denied),
            ("wasi:sockets/tcp@0.3.0", Answer::Refused),
            ("wasi:http/outgoing-handler@0.2.0", Answer::Refused),
            ("plain", Answer::Refused),
        ] {
            assert_eq!(answer(name), expect, "{name}");
        }
    }

    #[test]
    fn another_version_is_told_from_an_absent_interface() {
        let exports = ["audit-host:plugin/judge@0.9.0".to_owned()];
        assert!(missing("judge", &exports).unwrap().contains("@0.9.0, this host speaks 0.1.1"));
        assert!(missing("state", &exports).unwrap().contains("does not export"));
    }
}
