//! The imports and exports of a component, compared with what the host provides.

use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use crate::text;

/// The package of the contract that the host implements, and its version.
const PACKAGE: &str = "audit-host:plugin";
pub const ABI_VERSION: &str = "0.1.1";
/// Interfaces of the package that a plugin may import, and those that it must export.
const IMPORTS: [&str; 4] = ["types", "log", "crypto", "lookup"];
const EXPORTS: [&str; 3] = ["lifecycle", "judge", "state"];
/// Packages of WASI 0.2 that are linked and grant no authority: see `host/wasi.rs`.
const WASI: [&str; 6] = ["io", "cli", "clocks", "random", "filesystem", "sockets"];

/// Imports that a component may have; each is linked. One made by Python's tool chain has 30.
const IMPORTS_MAX: usize = 256;
/// Imports and exports that are listed.
const LISTED_MAX: usize = 100;
/// Imports that an error names.
const NAMED_MAX: usize = 5;

/// How the host treats an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportPolicy {
    /// Implemented by the host.
    Host,
    /// WASI, answered from the batch and without any authority.
    Virtual,
    /// WASI that would reach the machine (files, sockets): linked, but every call traps.
    Denied,
    /// Not provided: the component is refused.
    Refused,
}

impl ImportPolicy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "the host's",
            Self::Virtual => "answered from the batch",
            Self::Denied => "linked, but a call traps",
            Self::Refused => "refused",
        }
    }
}

/// The interfaces of a component. Names are cut, and lists are: a stranger wrote them.
#[derive(Debug, Clone)]
pub struct Interfaces {
    /// The first 100.
    pub imports: Vec<(String, ImportPolicy)>,
    /// The first 100.
    pub exports: Vec<String>,
    /// Why the host would refuse it; empty for a plugin.
    pub problems: Vec<String>,
}

impl Interfaces {
    pub(crate) fn of(component: &Component) -> Self {
        let component_type = component.component_type();
        let engine = component.engine();
        let mut found = Imports::default();
        for (name, item) in component_type.imports(engine) {
            // Types cost nothing and do not exist at run time.
            let is_type = matches!(item.ty, ComponentItem::Type(_));
            found.add(name, if is_type { ImportPolicy::Host } else { policy(name) });
        }
        let exports = || component_type.exports(engine).map(|(name, _)| name);
        let mut problems = found.problems();
        problems.extend(EXPORTS.iter().filter_map(|wanted| missing(wanted, exports())));
        let exports = exports().take(LISTED_MAX).map(text::name).collect();
        Self { imports: found.listed, exports, problems }
    }
}

/// The imports of a component as they are counted.
#[derive(Default)]
struct Imports {
    n: usize,
    n_refused: usize,
    listed: Vec<(String, ImportPolicy)>,
    /// Why the first that are refused are.
    refusals: Vec<String>,
}

impl Imports {
    fn add(&mut self, name: &str, policy: ImportPolicy) {
        self.n += 1;
        if self.listed.len() < LISTED_MAX {
            self.listed.push((text::name(name), policy));
        }
        if policy == ImportPolicy::Refused {
            self.n_refused += 1;
            if self.refusals.len() < NAMED_MAX {
                self.refusals.push(refusal(name));
            }
        }
    }

    fn problems(&mut self) -> Vec<String> {
        let mut problems = std::mem::take(&mut self.refusals);
        if self.n_refused > NAMED_MAX {
            let n_more = self.n_refused - NAMED_MAX;
            problems.push(format!("and so it is with {n_more} more imports"));
        }
        if self.n > IMPORTS_MAX {
            problems.push(format!("it has {} imports, more than {IMPORTS_MAX}", self.n));
        }
        problems
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

    /// Whether the host's version is compatible with this one: the same `0.x`.
    fn is_ours(&self) -> bool {
        self.package == PACKAGE && minor(self.version) == minor(ABI_VERSION)
    }
}

fn minor(version: &str) -> Option<(&str, &str)> {
    let mut parts = version.split('.');
    Some((parts.next()?, parts.next()?))
}

fn policy(name: &str) -> ImportPolicy {
    let Some(parsed) = Name::parse(name) else { return ImportPolicy::Refused };
    if parsed.is_ours() {
        return if IMPORTS.contains(&parsed.interface) {
            ImportPolicy::Host
        } else {
            ImportPolicy::Refused
        };
    }
    let Some(wasi) = parsed.package.strip_prefix("wasi:") else { return ImportPolicy::Refused };
    if !WASI.contains(&wasi) || minor(parsed.version) != Some(("0", "2")) {
        return ImportPolicy::Refused;
    }
    match wasi {
        "sockets" => ImportPolicy::Denied,
        "filesystem" if parsed.interface != "preopens" => ImportPolicy::Denied,
        _ => ImportPolicy::Virtual,
    }
}

fn refusal(name: &str) -> String {
    match Name::parse(name) {
        Some(parsed) if parsed.package == PACKAGE && !parsed.is_ours() => other_version(&parsed),
        _ => format!(
            "it imports {}, which the host does not provide to plugins: build it without what needs that",
            text::name(name)
        ),
    }
}

fn other_version(name: &Name<'_>) -> String {
    format!(
        "it was built for {PACKAGE}@{}, this host implements {ABI_VERSION}: build it with the SDK of this \
         version, or use a host of that version",
        text::name(name.version)
    )
}

/// The problem with the export of that interface, if there is one.
fn missing<'a>(wanted: &str, exports: impl Iterator<Item = &'a str>) -> Option<String> {
    let of_interface = exports
        .filter_map(Name::parse)
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
    fn the_policy_of_an_import_follows_from_its_name_and_version() {
        for (name, expect) in [
            ("audit-host:plugin/log@0.1.0", ImportPolicy::Host),
            ("audit-host:plugin/log@0.1.7", ImportPolicy::Host),
            ("audit-host:plugin/log@0.2.0", ImportPolicy::Refused),
            ("audit-host:plugin/files@0.1.0", ImportPolicy::Refused),
            ("wasi:cli/environment@0.2.6", ImportPolicy::Virtual),
            ("wasi:filesystem/preopens@0.2.0", ImportPolicy::Virtual),
            ("wasi:filesystem/types@0.2.0", ImportPolicy::Denied),
            ("wasi:sockets/tcp@0.2.0", ImportPolicy::Denied),
            ("wasi:sockets/tcp@0.3.0", ImportPolicy::Refused),
            ("wasi:http/outgoing-handler@0.2.0", ImportPolicy::Refused),
            ("plain", ImportPolicy::Refused),
        ] {
            assert_eq!(policy(name), expect, "{name}");
        }
    }

    #[test]
    fn another_version_is_distinguished_from_an_absent_interface() {
        let missing = |wanted| missing(wanted, ["audit-host:plugin/judge@0.9.0"].into_iter());
        assert!(missing("judge").unwrap().contains("@0.9.0, this host implements 0.1.1"));
        assert!(missing("state").unwrap().contains("does not export"));
    }

    #[test]
    fn of_any_number_of_imports_five_are_named_and_each_is_cut() {
        let mut imports = Imports::default();
        for n in 0..100_000 {
            imports.add(&format!("{}{n}", "x".repeat(1000)), ImportPolicy::Refused);
        }
        let problems = imports.problems();
        assert_eq!((problems.len(), imports.listed.len()), (7, LISTED_MAX));
        assert!(problems.join("; ").len() < 1024, "{problems:?}");
        assert!(problems[5].contains("99995 more") && problems[6].contains("more than 256"));
        imports = Imports::default();
        imports.add("wasi:http/types@0.2.0", ImportPolicy::Refused);
        assert_eq!(imports.problems().len(), 1);
    }
}
