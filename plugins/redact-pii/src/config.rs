//! The configuration: as written, then resolved into one job per column.

use std::collections::BTreeMap;
use std::fmt;

use audit_plugin_sdk::serde::de::{
    self, Deserialize, Deserializer, IntoDeserializer, MapAccess, Visitor,
};
use audit_plugin_sdk::{Config, ConfigError, serde};

use crate::action::Action;
use crate::detect::{Kind, Kinds};
use crate::keys::Keys;
use crate::path::Paths;
use crate::prefilter::Prefilter;

/// JSON Schema of the configuration.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

/// The column whose text is JSON.
const DETAILS: &str = "details";

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
    token_key: Option<String>,
    encryption_key: Option<String>,
    subject: Option<String>,
    log_counts: bool,
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
            token_key: None,
            encryption_key: None,
            subject: None,
            log_counts: false,
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

/// The keys of a rule. An enum, so that the error of an unknown key has its position.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", rename_all = "lowercase")]
enum Key {
    Action,
}

/// The job of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// The same action on every value.
    Whole(Action),
    /// A search for personal data.
    Text,
    /// Paths, and a search if `details` is searched.
    Details,
}

impl Job {
    pub(crate) fn keeps_equality(self) -> bool {
        matches!(self, Self::Whole(Action::Hash | Action::Token))
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
    pub(crate) keys: Keys,
    /// The column with the subject of encrypted values. Set if any value is encrypted.
    pub(crate) subject: Option<String>,
    /// Whether the number of matches is logged.
    pub(crate) logs_counts: bool,
    pub(crate) prefilter: Prefilter,
}

impl Settings {
    pub(crate) fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let mut file: File = config.parse()?;
        if matches!(file.free_text_action, Action::Drop | Action::Keep | Action::SqlLiterals) {
            let message =
                "free text can be masked, redacted or hashed, replaced by tokens, encrypted or \
                           generalised"
                    .to_owned();
            return Err(ConfigError::new("free-text-action", message));
        }
        let mut paths = Paths::default();
        for (path, rule) in &file.details_paths {
            let added = paths.add(path, rule.action);
            added.map_err(|message| ConfigError::new(&format!("details-paths.{path}"), message))?;
        }
        let keys = file.take_keys()?;
        file.check_subject()?;
        let jobs = file.jobs(&paths)?;
        let kinds = Kinds::of(&file.detectors);
        Ok(Self {
            prefilter: Prefilter::new(kinds, paths.last_keys()),
            jobs,
            paths,
            kinds,
            text_action: file.free_text_action,
            searches_details: file.free_text.iter().any(|column| column == DETAILS),
            keys,
            subject: file.subject,
            logs_counts: file.log_counts,
        })
    }
}

impl File {
    /// A column in `fields` is not searched. `details` has a job if it is searched or a path may apply.
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

    /// Every action of the host needs a key that is granted.
    fn take_keys(&mut self) -> Result<Keys, ConfigError> {
        let names = [
            (Action::Hash, self.hash_key.take()),
            (Action::Token, self.token_key.take()),
            (Action::Encrypt, self.encryption_key.take()),
        ];
        let mut keys = Keys::default();
        for (action, name) in names {
            keys.add(action, name, self.first_user(action))?;
        }
        Ok(keys)
    }

    /// Values are encrypted for a subject, from a column.
    fn check_subject(&self) -> Result<(), ConfigError> {
        let refused = |message: &str| Err(ConfigError::new("subject", message.to_owned()));
        match (&self.subject, self.first_user(Action::Encrypt)) {
            (None, Some(user)) => {
                refused(&format!("{user} is to be encrypted, which needs a column such as user_id"))
            }
            (Some(_), None) => refused("nothing is to be encrypted"),
            (Some(subject), Some(_)) if subject.is_empty() => refused("a column has a name"),
            _ => Ok(()),
        }
    }

    /// The first configuration key that has an action.
    fn first_user(&self, action: Action) -> Option<String> {
        let named = |table: &str, rules: &BTreeMap<String, Rule>| {
            let mut users = rules.iter().filter(|(_, rule)| rule.action == action);
            users.next().map(|(name, _)| format!("{table}.{name}"))
        };
        named("fields", &self.fields)
            .or_else(|| named("details-paths", &self.details_paths))
            .or_else(|| (self.free_text_action == action).then(|| "free-text".to_owned()))
    }
}
