//! What the tests share.

use audit_plugin_sdk::testing::{self, BatchBuilder, Transformer};
use redact_pii::RedactPii;

/// Searches free text only, in a column of its own.
pub(crate) const TEXT_ONLY: &str = r#"{"fields": {"user_email": "keep"},
    "details-paths": {"granted_to": "keep"}, "free-text": ["text"]}"#;

/// Runs one value of one column through the plugin.
pub(crate) fn redact(config: &str, column: &str, value: &str) -> String {
    let mut plugin = Transformer::<RedactPii>::new(config).expect("a good configuration");
    let batch = BatchBuilder::new(1).utf8(column, &[Some(value)]).build();
    let judgement = plugin.process(&batch).expect("a judgement");
    testing::texts(&judgement, column)[0].expect("a value").to_owned()
}
