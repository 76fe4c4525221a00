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
/// The column that is always replaced, unless the user says otherwise.
const EMAIL: &str = "user_email";
/// The path that is always replaced, unless the user says otherwise.
const GRANTED_TO: &str = "granted_to";
/// Columns that say who or which session it was. A part of such a value would identify nobody.
const IDENTITIES: [&str; 2] = ["user_id", "session_id"];
/// The column that holds an address of the network.
const ADDRESS: &str = "ip_address";
/// Columns that are searched by default: every one with text that a producer takes from its own input.
const SEARCHED: [&str; 9] = [
    DETAILS,
    "resource_name",
    "resource_id",
    "user_agent",
    "user_id",
    "session_id",
    ADDRESS,
    "resource_type",
    "action_result",
];

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
        Self {
            // `with_defaults` adds to these.
            fields: BTreeMap::new(),
            details_paths: BTreeMap::new(),
            free_text: SEARCHED.map(str::to_owned).to_vec(),
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
    /// The same action on every value in which personal data is found.
    Identity(Action),
    /// A search, but not in addresses of the network.
    Address,
    /// Paths, and a search if `details` is searched.
    Details,
}

impl Job {
    pub(crate) fn keeps_equality(self) -> bool {
        use Action::{Hash, Token};
        matches!(self, Self::Whole(Hash | Token) | Self::Identity(Hash | Token) | Self::Address)
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
        let mut file = config.parse::<File>()?.with_defaults();
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
        let jobs = file.jobs()?;
        let keys = file.take_keys(&jobs)?;
        file.check_subject(&jobs)?;
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
    /// With the defaults for what the user did not name. They are merged and never replaced: a configuration that
    /// was cut off, or that names one column, must not hide less than none. `keep` takes one away.
    fn with_defaults(mut self) -> Self {
        let rule = Rule { action: self.identifying_action() };
        self.fields.entry(EMAIL.to_owned()).or_insert(rule);
        if !self.details_paths.contains_key("$.granted_to") {
            self.details_paths.entry(GRANTED_TO.to_owned()).or_insert(rule);
        }
        self
    }

    /// What becomes of a value that identifies a person, if the user does not say. Under a key equal values stay
    /// equal and others do not become equal, so that reports can still tell persons apart.
    fn identifying_action(&self) -> Action {
        if self.token_key.is_some() {
            Action::Token
        } else if self.hash_key.is_some() {
            Action::Hash
        } else {
            Action::Mask
        }
    }

    /// The job of a column that is searched.
    fn search(&self, column: &str) -> Job {
        match column {
            DETAILS => Job::Details,
            ADDRESS => Job::Address,
            _ if IDENTITIES.contains(&column) => Job::Identity(self.identifying_action()),
            _ => Job::Text,
        }
    }

    /// A column in `fields` is not searched. `details` has a job if it is searched or a path may apply.
    fn jobs(&self) -> Result<Vec<(String, Job)>, ConfigError> {
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
        if self.details_paths.values().any(|rule| rule.action != Action::Keep) {
            add(DETAILS, Job::Details);
        }
        for column in self.free_text.iter().filter(|_| !self.detectors.is_empty()) {
            add(column, self.search(column));
        }
        if jobs.is_empty() {
            let message = "the configuration changes no column".to_owned();
            return Err(ConfigError::new("fields", message));
        }
        Ok(jobs)
    }

    /// Every action of the host needs a key that is granted.
    fn take_keys(&mut self, jobs: &[(String, Job)]) -> Result<Keys, ConfigError> {
        let names = [
            (Action::Hash, self.hash_key.take()),
            (Action::Token, self.token_key.take()),
            (Action::Encrypt, self.encryption_key.take()),
        ];
        let mut keys = Keys::default();
        for (action, name) in names {
            keys.add(action, name, self.first_user(action, jobs))?;
        }
        Ok(keys)
    }

    /// Values are encrypted for a subject, from a column.
    fn check_subject(&self, jobs: &[(String, Job)]) -> Result<(), ConfigError> {
        let refused = |message: &str| Err(ConfigError::new("subject", message.to_owned()));
        match (&self.subject, self.first_user(Action::Encrypt, jobs)) {
            (None, Some(user)) => {
                refused(&format!("{user} is to be encrypted, which needs a column such as user_id"))
            }
            (Some(_), None) => refused("nothing is to be encrypted"),
            (Some(subject), Some(_)) if subject.is_empty() => refused("a column has a name"),
            _ => Ok(()),
        }
    }

    /// The first configuration key that has an action.
    fn first_user(&self, action: Action, jobs: &[(String, Job)]) -> Option<String> {
        let named = |table: &str, rules: &BTreeMap<String, Rule>| {
            let mut users = rules.iter().filter(|(_, rule)| rule.action == action);
            users.next().map(|(name, _)| format!("{table}.{name}"))
        };
        named("fields", &self.fields)
            .or_else(|| named("details-paths", &self.details_paths))
            .or_else(|| (self.free_text_action == action).then(|| "free-text".to_owned()))
            .or_else(|| {
                let job = Job::Identity(action);
                let (column, _) = jobs.iter().find(|(_, known)| *known == job)?;
                Some(format!("{column}, which identifies,"))
            })
    }
}
