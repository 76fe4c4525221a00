//! What is added without any table: the class of the address and the family of the program.

use audit_plugin_sdk::testing::{Transformer, texts};
use enrich_context::EnrichContext;

use crate::common::{ROW, Row, batch, enrich, from, transform};

#[test]
fn columns_are_those_that_are_configured() {
    let plugin = transform("{}");
    let written: Vec<&str> = plugin.writes().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(written, ["ip_class", "user_agent_family", "business_hours"]);
    assert!(!plugin.reads().iter().any(|column| column == "user_id"));
}

#[test]
fn each_row_gets_its_own() {
    let rows = [
        from(Some("192.168.1.10")),
        from(None),
        from(Some("203.0.113.45")),
        from(Some("192.168.1.10")),
        from(Some("")),
        Row { agent: None, ..from(Some("8.8.8.8")) },
        Row { agent: Some("curl/8.5.0"), ..from(Some("100.64.0.1")) },
        Row { agent: Some(""), ..from(Some("not an address")) },
    ];
    let judgement = enrich("{}", &rows);
    assert_eq!(
        texts(&judgement, "ip_class"),
        [
            Some("private"),
            None,
            Some("documentation"),
            Some("private"),
            Some("invalid"),
            Some("public"),
            Some("cgnat"),
            Some("invalid"),
        ]
    );
    let api = Some("API client");
    assert_eq!(
        texts(&judgement, "user_agent_family"),
        [api, api, api, api, api, None, Some("curl"), Some("other"),]
    );
}

/// Any split of the rows gives the same columns.
#[test]
fn a_row_does_not_depend_on_its_neighbours() {
    let texts_of: Vec<&'static str> =
        (0..300).map(|n| &*String::leak(format!("10.{}.0.{}", n * 7 % 13, n * 31 % 256))).collect();
    let rows: Vec<Row> = (0..5_000).map(|n| from(Some(texts_of[n * n % 300]))).collect();
    let whole = enrich("{}", &rows);
    let classes = texts(&whole, "ip_class");
    for size in [1, 7, 4096] {
        let parts: Vec<_> = rows.chunks(size).map(|part| enrich("{}", part)).collect();
        let apart: Vec<_> = parts.iter().flat_map(|part| texts(part, "ip_class")).collect();
        assert_eq!(apart, classes, "{size}");
    }
}

#[test]
fn values_of_a_mebibyte_pass() {
    let long = &*String::leak("9".repeat(1 << 20));
    let row = Row { address: Some(long), agent: Some(long), user: Some(long), ..ROW };
    let judgement = enrich("{}", &[row, ROW, row]);
    assert_eq!(texts(&judgement, "ip_class"), [Some("invalid"), Some("private"), Some("invalid")]);
    let families = [Some("other"), Some("API client"), Some("other")];
    assert_eq!(texts(&judgement, "user_agent_family"), families);
}

#[test]
fn a_wrong_configuration_names_its_key() {
    let cases = [
        (r#"{"calender": "office"}"#, "calender", "unknown field"),
        (r#"{"calendar": 7}"#, "calendar", "invalid type"),
        (r#"{"calendar": "office"}"#, "calendar", "[calendars.office]"),
        (r#"{"calendar": "office", "utc-offset": "+01:00"}"#, "utc-offset", "keep one of the two"),
        (r#"{"calendar": "office", "hours": []}"#, "hours", "keep one of the two"),
        (r#"{"utc-offset": "1"}"#, "utc-offset", "not a UTC offset"),
        (r#"{"hours": []}"#, "hours", "covers nothing"),
        (r#"{"hours": ["mon-fri 09:00-17:00", "fri 16:00-18:00"]}"#, "hours[1]", "overlaps"),
        (r#"{"hours": ["mon-sun 00:00-24:00"]}"#, "hours", "the whole week"),
        (r#"{"networks": "networks"}"#, "networks", "[lookups.networks]"),
        (r#"{"network-name": "name"}"#, "network-name", "means nothing without networks"),
        (r#"{"network-class": "class"}"#, "network-class", "means nothing without networks"),
        (r#"{"roles": "roles"}"#, "roles", "[lookups.roles]"),
        (r#"{"role-column": "role"}"#, "role-column", "means nothing without roles"),
        (r#"{"max-future": "2d"}"#, "max-future", "2d is not in the range 0s to 1d"),
    ];
    for (config, key, message) in cases {
        let error = Transformer::<EnrichContext>::new(config).expect_err(config);
        assert_eq!(error.key, key, "{config}: {}", error.message);
        assert!(error.message.contains(message), "{config}: {}", error.message);
    }
}

#[test]
fn a_missing_column_is_a_fault() {
    use audit_plugin_sdk::{Config, Context, Fault, Judgement, Transform, testing::BatchBuilder};
    let (plugin, _) = EnrichContext::configure(&Config::new("{}".to_owned())).unwrap();
    let ctx = Context { topic: "t".to_owned(), clock: 0 };
    let rows = BatchBuilder::new(1).utf8("ip_address", &[Some("10.0.0.1")]).build();
    let fault = plugin.process(&ctx, &rows, &mut Judgement::default());
    assert!(matches!(fault, Err(Fault::BadInput(_))));
    assert!(plugin.process(&ctx, &batch(&[ROW]), &mut Judgement::default()).is_ok());
}
