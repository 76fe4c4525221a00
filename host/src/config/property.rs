//! `[kafka.properties]`: values, and secrets by the file or the variable that has them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use audit_source::TOKEN;
use clap::ArgMatches;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::error::Error;
use super::layer::Layer;
use super::read;

/// The bit of a mode that lets every user read.
const OTHERS_READ: u32 = 0o004;

/// By name.
pub(crate) type Properties = BTreeMap<String, Property>;

/// Only the file has properties.
impl Layer for Properties {
    fn given(_: &str, _: &mut ArgMatches) -> Self {
        Self::new()
    }

    fn over(self, file: Self) -> Self {
        file
    }
}

/// One value. It may be a secret: no `Display`, and its `Debug` shows only where a secret is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Property {
    Text(String),
    /// `{ file = "/run/secrets/kafka" }`.
    File(PathBuf),
    /// `{ env = "KAFKA_PASSWORD" }`.
    Variable(String),
}

impl Property {
    /// As `--print-config` has it.
    pub(super) fn shown(&self, name: &str) -> Value {
        match self {
            Self::Text(text) => audit_source::Properties::shown(name, text).into(),
            Self::File(path) => json!({ "file": path }),
            Self::Variable(variable) => json!({ "env": variable }),
        }
    }

    fn read(&self, name: &str) -> Result<String, Error> {
        let refuse = |place: String, problem: String| {
            Err(Error::Secret { name: name.to_owned(), place, problem })
        };
        let (place, value) = match self {
            Self::Text(text) => return Ok(text.clone()),
            Self::File(path) => (path.display().to_string(), from_file(path)),
            Self::Variable(variable) => {
                (format!("the variable {variable}"), from_variable(variable))
            }
        };
        match value {
            Ok(value) if value.is_empty() => refuse(place, "it is empty".to_owned()),
            Ok(value) if value.contains('\0') => refuse(place, "it holds a zero byte".to_owned()),
            Ok(value) => Ok(value),
            Err(problem) => refuse(place, problem),
        }
    }
}

/// Without the line end that editors and `echo` add.
fn from_file(path: &Path) -> Result<String, String> {
    let text = read::text(path).map_err(|error| error.to_string())?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn from_variable(variable: &str) -> Result<String, String> {
    match std::env::var(variable) {
        Ok(value) => Ok(value),
        Err(std::env::VarError::NotPresent) => Err("it is not set".to_owned()),
        Err(std::env::VarError::NotUnicode(_)) => Err("it is not UTF-8".to_owned()),
    }
}

/// Reads the secrets from their places.
pub(crate) fn read_all(properties: &Properties) -> Result<audit_source::Properties, Error> {
    let mut values = BTreeMap::new();
    let mut token_file = None;
    for (name, property) in properties {
        match property {
            Property::File(path) if name == TOKEN => token_file = Some(path.clone()),
            _ if name == TOKEN => {
                let key = format!("kafka.properties.{TOKEN:?}");
                let problem = "must be { file = PATH }: a token expires, and is read again";
                return Err(Error::Value {
                    key,
                    value: "***".to_owned(),
                    problem: problem.to_owned(),
                });
            }
            _ => {
                values.insert(name.clone(), property.read(name)?);
            }
        }
    }
    Ok(audit_source::Properties::new(values, token_file))
}

/// Warns of a secret that stands in a file that every user can read.
pub(crate) fn warn_of_open_secrets(properties: &Properties, file: Option<&Path>) {
    let Some(file) = file else { return };
    let mode = fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode());
    if mode & OTHERS_READ == 0 {
        return;
    }
    for (property, value) in properties {
        if let Property::Text(text) = value
            && audit_source::Properties::is_secret(property, text)
        {
            tracing::warn!(
                property,
                file = %file.display(),
                "a secret stands in a file that every user can read; write {{ file = PATH }} or {{ env = NAME }} in its \
                 place, or chmod o-r the file"
            );
        }
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("***"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Variable(variable) => write!(f, "variable {variable}"),
        }
    }
}

impl<'de> Deserialize<'de> for Property {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PropertyVisitor)
    }
}

/// By hand: what derives would make says of a wrong value only that nothing fits.
struct PropertyVisitor;

impl<'de> Visitor<'de> for PropertyVisitor {
    type Value = Property;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, { file = PATH } or { env = NAME }")
    }

    fn visit_str<E>(self, text: &str) -> Result<Property, E> {
        Ok(Property::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Property, A::Error> {
        const PLACES: &[&str] = &["file", "env"];
        let place = match map.next_key::<String>()?.as_deref() {
            Some("file") => Property::File(map.next_value()?),
            Some("env") => Property::Variable(map.next_value()?),
            Some(other) => return Err(A::Error::unknown_field(other, PLACES)),
            None => return Err(A::Error::custom("an empty table, expected file or env")),
        };
        match map.next_key::<String>()? {
            None => Ok(place),
            Some(_) => Err(A::Error::custom("more than one place of a secret: give file or env")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Result<Property, String> {
        let text = format!("p = {value}");
        let table: Result<Properties, _> = toml::from_str(&text);
        table.map(|mut table| table.remove("p").unwrap()).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn a_value_is_a_text_or_the_place_of_a_secret() {
        assert_eq!(parse("\"a\""), Ok(Property::Text("a".to_owned())));
        assert_eq!(parse("{ file = \"/f\" }"), Ok(Property::File("/f".into())));
        assert_eq!(parse("{ env = \"E\" }"), Ok(Property::Variable("E".to_owned())));
        for (wrong, words) in [
            ("1", "a string, { file = PATH } or { env = NAME }"),
            ("{ fiel = \"/f\" }", "unknown field `fiel`"),
            ("{ file = \"/f\", env = \"E\" }", "more than one place"),
            ("{}", "an empty table"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(words), "{wrong}: {error}");
        }
    }

    #[test]
    fn secrets_are_read_from_their_places_and_have_no_debug() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let read = |property: &Property| property.read("sasl.password").map_err(|e| e.to_string());
        let file = Property::File(path.clone());
        assert!(read(&file).unwrap_err().contains("password"));
        for (content, secret) in [("hunter2\n", "hunter2"), (" a b \r\n", " a b "), ("x", "x")] {
            fs::write(&path, content).unwrap();
            assert_eq!(read(&file).unwrap(), secret);
        }
        fs::write(&path, "\n").unwrap();
        assert!(read(&file).unwrap_err().contains("it is empty"));
        let unset = Property::Variable("AUDIT_HOST_NO_SUCH_VARIABLE".to_owned());
        assert!(read(&unset).unwrap_err().contains("it is not set"));
        let text = Property::Text("hunter2".to_owned());
        assert_eq!(format!("{text:?}"), "***");
        assert_eq!(text.shown("sasl.password"), json!("***"));
        assert_eq!(file.shown("sasl.password"), json!({ "file": path }));
    }

    #[test]
    fn a_token_is_always_in_a_file() {
        let of = |property| read_all(&Properties::from([(TOKEN.to_owned(), property)]));
        assert!(of(Property::File("/run/token".into())).is_ok());
        let error = of(Property::Text("hunter2".to_owned())).unwrap_err().to_string();
        assert!(error.contains("file = PATH") && !error.contains("hunter2"), "{error}");
    }
}
