//! The configuration: as written, then resolved into one job a column.

use std::collections::BTreeMap;
use std::fmt;

use audit_plugin_sdk::serde::de::{
    self, Deserialize, Deserializer, IntoDeserializer, MapAccess, Visitor,
};
use audit_plugin_sdk::{Config, ConfigError, crypto, serde};

use crate::action::Action;
use crate::detect::{Kind, Kinds};
use crate::path::Paths;
use crate::prefilter::Prefilter;

/// JSON Schema of the configuration.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

/// The column whose text is JSON.
const DETAILS: &str = "details";

const HASH_KEY_BYTES_MAX: usize = 64;

/// The keys as the user writes them.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", deny_unknown_fields, default, rename_all = "kebab-case")]
struct File {
    fields: BTreeMap<String, Rule>,
    details_paths: BTreeMap<String, Rule>,
    free_text: Vec<String>,
    detectors: Vec<Kind>,
    free_text_action: Action,
    hash_key: Option<String>,
}

impl Default for File {
    fn default() -> Self {
        let mask = Rule { action: Action::Mask };
        Self {
            fields: BTreeMap::from([("user_email".to_owned(), mask)]),
            details_paths: BTreeMap::from([("granted_to".to_owned(), mask)]),
            free_text: [DETAILS, "resource_name", "resource_id"].map(str::to_owned).to_vec(),
            detectors: Kind::ALL.to_vec(),
            free_text_action: Action::Redact,
            hash_key: None,
        }
    }
}

/// An action, written `"mask"` or `{"action": "mask"}`.
#[derive(Debug, Clone, Copy)]
struct Rule {
    action: Action,
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RuleVisitor)
    }
}

struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = Rule;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an action, as \"mask\" or {\"action\": \"mask\"}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rule, E> {
        let action = Action::deserialize(text.into_deserializer())?;
        Ok(Rule { action })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rule, A::Error> {
        let mut action = None;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Action => action = Some(map.next_value()?),
            }
        }
        let action = action.ok_or_else(|| de::Error::missing_field("action"))?;
        Ok(Rule { action })
    }
}

/// The keys of a rule. An enum, so that any other key is refused where it stands.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", rename_all = "lowercase")]
enum Key {
    Action,
}

/// What is done to a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// The same to every value.
    Whole(Action),
    /// A search for personal data.
    Text,
    /// Paths, and a search if `details` is searched.
    Details,
}

impl Job {
    pub(crate) fn keeps_equality(self) -> bool {
        self == Self::Whole(Action::Hash)
    }
}

/// A checked configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Columns in the order in which they are written.
    pub(crate) jobs: Vec<(String, Job)>,
    pub(crate) paths: Paths,
    pub(crate) kinds: Kinds,
    pub(crate) text_action: Action,
    /// Whether `details` is searched, or only its paths are followed.
    pub(crate) searches_details: bool,
    /// Present if any action is `hash`.
    pub(crate) hash_key: Option<String>,
    pub(crate) prefilter: Prefilter,
}

impl Settings {
    pub(crate) fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let file: File = config.parse()?;
        if matches!(file.free_text_action, Action::Drop | Action::Keep) {
            let message = "free text can be masked, redacted or hashed".to_owned();
            return Err(ConfigError::new("free-text-action", message));
        }
        let mut paths = Paths::default();
        for (path, rule) in &file.details_paths {
            let added = paths.add(path, rule.action);
            added.map_err(|message| ConfigError::new(&format!("details-paths.{path}"), message))?;
        }
        file.check_hash_key()?;
        let jobs = file.jobs(&paths)?;
        let (first_keys, has_index) = paths.first_keys();
        let kinds = Kinds::of(&file.detectors);
        Ok(Self {
            prefilter: Prefilter::new(kinds, &first_keys, has_index),
            jobs,
            paths,
            kinds,
            text_action: file.free_text_action,
            searches_details: file.free_text.iter().any(|column| column == DETAILS),
            hash_key: file.hash_key,
        })
    }
}

impl File {
    /// A column that `fields` names is not searched. `details` has a job if it is searched or a path
    /// may apply.
    fn jobs(&self, paths: &Paths) -> Result<Vec<(String, Job)>, ConfigError> {
        let mut jobs = Vec::new();
        for (column, rule) in &self.fields {
            if rule.action != Action::Keep {
                jobs.push((column.clone(), Job::Whole(rule.action)));
            }
        }
        let mut add = |column: &str, job: Job| {
            let is_named =
                self.fields.contains_key(column) || jobs.iter().any(|(name, _)| name == column);
            if !is_named {
                jobs.push((column.to_owned(), job));
            }
        };
        if !paths.is_empty() {
            add(DETAILS, Job::Details);
        }
        for column in self.free_text.iter().filter(|_| !self.detectors.is_empty()) {
            add(column, if column == DETAILS { Job::Details } else { Job::Text });
        }
        if jobs.is_empty() {
            let message = "the configuration changes no column".to_owned();
            return Err(ConfigError::new("fields", message));
        }
        Ok(jobs)
    }

    /// Every hash needs a key, and the key must be there.
    fn check_hash_key(&self) -> Result<(), ConfigError> {
        let Some(user) = self.first_hash() else {
            return Ok(());
        };
        let Some(key) = &self.hash_key else {
            let message = format!("{user} is to be hashed, which needs the name of a key");
            return Err(ConfigError::new("hash-key", message));
        };
        // It is written into values, JSON among them.
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if key.is_empty() || key.len() > HASH_KEY_BYTES_MAX || !key.bytes().all(is_plain) {
            let message = format!(
                "a name has 1 to {HASH_KEY_BYTES_MAX} letters, digits, dashes, dots or underlines"
            );
            return Err(ConfigError::new("hash-key", message));
        }
        if !crypto::has_key(key) {
            let message = format!("the key {key} is not granted to this plugin");
            return Err(ConfigError::new("hash-key", message));
        }
        Ok(())
    }

    /// The first configuration key whose action is `hash`.
    fn first_hash(&self) -> Option<String> {
        let named = |table: &str, rules: &BTreeMap<String, Rule>| {
            let mut hashed = rules.iter().filter(|(_, rule)| rule.action == Action::Hash);
            hashed.next().map(|(name, _)| format!("{table}.{name}"))
        };
        named("fields", &self.fields)
            .or_else(|| named("details-paths", &self.details_paths))
            .or_else(|| (self.free_text_action == Action::Hash).then(|| "free-text".to_owned()))
    }
}
