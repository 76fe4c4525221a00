//! The rule by itself, natively: `cargo test`.

use audit_plugin_sdk::testing::{BatchBuilder, Transformer, texts};
use {{name}}::Plugin;

fn masked(config: &str, values: &[Option<&str>]) -> Vec<Option<String>> {
    let mut plugin = Transformer::<Plugin>::new(config).expect("a good configuration");
    let batch = BatchBuilder::new(values.len()).utf8("user_email", values).build();
    let judged = plugin.process(&batch).expect("a judgement");
    texts(&judged, "user_email").into_iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn the_first_characters_stay() {
    let values = [Some("alice@example.com"), None, Some(""), Some("éa@example.com")];
    let expected = [Some("a***"), None, Some("***"), Some("é***")];
    assert_eq!(masked("{}", &values), expected.map(|text| text.map(str::to_owned)));
    assert_eq!(masked(r#"{"keep": 0}"#, &[Some("alice")]), [Some("***".to_owned())]);
}

#[test]
fn a_wrong_configuration_is_refused_by_its_key() {
    for (config, key) in [(r#"{"kepe": 1}"#, "kepe"), (r#"{"keep": 17}"#, "keep")] {
        let refused = Transformer::<Plugin>::new(config).expect_err(config);
        assert_eq!(refused.key, key);
    }
}
