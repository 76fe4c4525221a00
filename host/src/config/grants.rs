//! What the operator grants a plugin: `[plugins.grants.NAME]` of the configuration file, or the same keys in a
//! `[[plugin]]`. A file in a plugin folder configures, and grants nothing.

use std::collections::BTreeMap;
use std::path::Path;

use clap::ArgMatches;

use super::error::Error;
use super::layer::Layer;
use super::plugin_settings::{Plugin, PluginLimits};
use super::setting::{DefaultValue, Setting, settings};

/// Hex digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

settings! {
    /// `[plugins.grants.NAME]`, for the plugin in the file `NAME.wasm`, or `builtin:NAME`.
    table Grant at "" {
        // Defaults and ranges are those of `[[plugin]]`, where the same may be said.
        /// The columns that the plugin may read.
        reads: Option<Vec<String>> = Plugin::reads();

        /// The columns that the plugin may replace or add.
        writes: Option<Vec<String>> = Plugin::writes();

        /// The keys that the plugin may use.
        keys: Vec<String> = Plugin::keys();

        /// The tables and calendars that the plugin may query.
        lookups: Vec<String> = Plugin::lookups();

        /// SHA-256 of the component. Any other is refused before it is compiled.
        sha256: Option<String> = Plugin::sha256();

        /// What the plugin may consume, as in `[[plugin]]`.
        limits: PluginLimits = Setting::file().default(DefaultValue::Computed("as in `[[plugin]]`"));
    }
}

/// `[plugins.grants]`, by name.
pub(crate) type Grants = BTreeMap<String, Grant>;

/// Only the file has grants.
impl Layer for Grants {
    fn given(_: &str, _: &mut ArgMatches) -> Self {
        Self::new()
    }

    fn over(self, file: Self) -> Self {
        file
    }
}

/// The name under which a plugin is granted something: that of its file without the ending, or of a built-in plugin.
pub(crate) fn name_of(path: &str) -> &str {
    let name = path.strip_prefix("builtin:").unwrap_or(path);
    Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or(name)
}

/// The name without the digits that put the files of a folder in order: `20-redact_pii`.
pub(crate) fn without_order(name: &str) -> &str {
    let rest = name.trim_start_matches(|c: char| c.is_ascii_digit());
    match rest.strip_prefix(['-', '_']) {
        Some(bare) if rest.len() < name.len() && !bare.is_empty() => bare,
        _ => name,
    }
}

/// The grant for the plugin of a file, and its name. Two of them are refused: whichever counted, the other one, which
/// may pin the component, would be ignored without a word.
pub(super) fn find<'a>(
    grants: &'a Grants,
    path: &str,
) -> Result<Option<(&'a str, &'a Grant)>, Error> {
    let name = name_of(path);
    let bare = without_order(name);
    let of = |name: &str| grants.get_key_value(name).map(|(name, grant)| (name.as_str(), grant));
    if name != bare && of(name).is_some() && of(bare).is_some() {
        return Err(Error::Value {
            key: format!("plugins.grants.{name}"),
            value: path.to_owned(),
            problem: format!("is granted something by {} as well: keep one of them", heading(bare)),
        });
    }
    Ok(of(name).or_else(|| of(bare)))
}

/// What a `[[plugin]]` does not say itself is as the grant says.
pub(super) fn complete(plugin: Plugin, grant: &Grant) -> Plugin {
    let or = |own: Vec<String>, granted: &Vec<String>| {
        if own.is_empty() { granted.clone() } else { own }
    };
    Plugin {
        reads: plugin.reads.or_else(|| grant.reads.clone()),
        writes: plugin.writes.or_else(|| grant.writes.clone()),
        keys: or(plugin.keys, &grant.keys),
        lookups: or(plugin.lookups, &grant.lookups),
        sha256: plugin.sha256.or_else(|| grant.sha256.clone()),
        limits: plugin.limits.over(&grant.limits),
        ..plugin
    }
}

/// Refuses what grants in the text of a `NAME.toml`, with the lines for the configuration file.
pub(super) fn refuse_in_folder(path: &Path, text: &str) -> Result<(), Error> {
    let Ok(table) = text.parse::<toml::Table>() else { return Ok(()) };
    let keys = Grant::ALL.iter().map(Setting::key);
    let granting: Vec<_> =
        keys.filter_map(|key| table.get(&key).map(|value| (key, value))).collect();
    if granting.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = granting.iter().map(|(key, _)| key.as_str()).collect();
    let lines: Vec<_> = granting.iter().map(|(key, value)| format!("`{key} = {value}`")).collect();
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Err(Error::GrantInFolder {
        path: path.to_owned(),
        keys: keys.join(", "),
        lines: format!("under {}: {}", heading(&name), lines.join(" and ")),
    })
}

/// The heading of a grant, in which a name that TOML does not take as it is stands in quotes.
pub(crate) fn heading(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(is_bare) {
        format!("[plugins.grants.{name}]")
    } else {
        let of = |key: &str, inner: toml::Table| {
            toml::Table::from_iter([(key.to_owned(), inner.into())])
        };
        let table = of("plugins", of("grants", of(name, toml::Table::new())));
        table.to_string().trim_end().to_owned()
    }
}

/// Columns that a plugin may replace, by name.
pub(super) fn columns(setting: &Setting, names: Vec<String>) -> Result<Vec<String>, Error> {
    let known: Vec<_> = audit_chain::replaceable().collect();
    if let Some(other) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let problem =
            format!("is not a column that can be replaced; available: {}", known.join(", "));
        return Err(setting.refuse(other, &problem));
    }
    Ok(names)
}

/// A digest as it is compared.
pub(super) fn digest(plugin: &str, given: Option<&String>) -> Result<Option<String>, Error> {
    let Some(given) = given else { return Ok(None) };
    let is_hex = given.bytes().all(|byte| byte.is_ascii_hexdigit());
    if given.len() != SHA256_DIGITS || !is_hex {
        let problem = "must be 64 hex digits, as sha256sum prints them".to_owned();
        let (key, value) = (format!("plugin {plugin}: sha256"), given.clone());
        return Err(Error::Value { key, value, problem });
    }
    Ok(Some(given.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_granted_something_by_the_name_of_its_file() {
        let grants: Grants =
            ["redact_pii", "10-a", "20-b"].map(|name| (name.to_owned(), Grant::default())).into();
        let twice: Grants = ["a", "20-a"].map(|name| (name.to_owned(), Grant::default())).into();
        for (path, expected) in [
            ("/x/redact_pii.wasm", true),
            ("20-redact_pii.wasm", true),
            ("builtin:redact_pii", true),
            ("10-a.wasm", true),
            ("b.wasm", false),
            ("redact.wasm", false),
            ("20-.wasm", false),
        ] {
            assert_eq!(find(&grants, path).unwrap().is_some(), expected, "{path}");
        }
        let error = find(&twice, "20-a.wasm").unwrap_err().to_string();
        assert!(
            error.contains("plugins.grants.20-a") && error.contains("[plugins.grants.a]"),
            "{error}"
        );
        assert!(find(&twice, "a.wasm").unwrap().is_some(), "only one of them is for this file");
        assert_eq!(heading("20-b"), "[plugins.grants.20-b]");
        for name in ["a b", "\n\u{1b}[31mx", "\"quoted\"", "it's", ""] {
            let parsed: toml::Table = heading(name).parse().unwrap();
            assert!(parsed["plugins"]["grants"].get(name).is_some(), "{}", heading(name));
            assert!(!heading(name).contains(char::is_control), "{:?}", heading(name));
        }
    }

    #[test]
    fn a_file_of_the_folder_that_grants_is_refused_with_the_lines_to_write() {
        let path = Path::new("/plugins/20-b.toml");
        assert!(refuse_in_folder(path, "config = { keys = 1 }\non-error = \"halt\"\n").is_ok());
        let text = "keys = [\"pii\"]\nlimits = { memory-bytes-max = 4294967296 }\n";
        let error = refuse_in_folder(path, text).unwrap_err().to_string();
        let lines = "under [plugins.grants.20-b]: `keys = [\"pii\"]` and `limits = { memory-bytes-max = \
                     4294967296 }`";
        assert!(error.contains(lines) && error.contains("/plugins/20-b.toml"), "{error}");
    }

    #[test]
    fn a_digest_is_64_hex_digits() {
        let upper = "AB".repeat(32);
        assert_eq!(digest("p", Some(&upper)).unwrap(), Some("ab".repeat(32)));
        for bad in ["", "ab", &"zz".repeat(32)] {
            assert!(digest("p", Some(&bad.to_owned())).is_err(), "{bad}");
        }
    }
}
