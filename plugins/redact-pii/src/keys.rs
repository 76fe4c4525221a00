//! The keys that actions need. They are names only: the keys themselves stay in the host.

use audit_plugin_sdk::{ConfigError, Fault, crypto};

use crate::action::Action;

const NAME_BYTES_MAX: usize = 64;

/// The names of keys by action.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    hash: Option<String>,
    token: Option<String>,
    encryption: Option<String>,
}

impl Keys {
    /// Adds the key of an action from the configuration, if it is needed, and checks that the host has it. `user`
    /// is the first configuration key that needs it.
    pub(crate) fn add(
        &mut self,
        action: Action,
        name: Option<String>,
        user: Option<String>,
    ) -> Result<(), ConfigError> {
        let (config_key, verb) = match action {
            Action::Token => ("token-key", "replaced by a token"),
            Action::Encrypt => ("encryption-key", "encrypted"),
            _ => ("hash-key", "hashed"),
        };
        let Some(user) = user else {
            return Ok(());
        };
        let refused = |message: String| Err(ConfigError::new(config_key, message));
        let Some(name) = name else {
            return refused(format!("{user} is to be {verb}, which needs the name of a key"));
        };
        // It is shown in messages.
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
            return refused(format!(
                "a name has 1 to {NAME_BYTES_MAX} letters, digits, dashes, dots or underlines"
            ));
        }
        if !crypto::has_key(&name) {
            return refused(format!("the key {name} is not granted to this plugin"));
        }
        if crypto::key_id(&name).is_err() {
            return refused(format!("the host cannot name the id of the key {name}"));
        }
        *self.place(action) = Some(name);
        Ok(())
    }

    /// The name of the key for an action.
    pub(crate) fn of(&self, action: Action) -> Result<&str, Fault> {
        let name = match action {
            Action::Token => &self.token,
            Action::Encrypt => &self.encryption,
            _ => &self.hash,
        };
        name.as_deref().ok_or_else(|| Fault::Other("there is no key for an action".to_owned()))
    }

    fn place(&mut self, action: Action) -> &mut Option<String> {
        match action {
            Action::Token => &mut self.token,
            Action::Encrypt => &mut self.encryption,
            _ => &mut self.hash,
        }
    }
}
