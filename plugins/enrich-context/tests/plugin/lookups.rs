//! What is added out of the host's tables.

use audit_plugin_sdk::testing::{Table, Transformer, give_table, texts};
use enrich_context::EnrichContext;

use crate::common::{HOUR, MONDAY, ROW, Row, at, enrich, from, transform};

fn networks(text: &str) {
    give_table("networks", Table::from_csv("cidr", text).of_networks());
}

fn roles() {
    let text = "user_id,role,valid_from,valid_to
        user_001,data_analyst,2026-01-01T00:00:00Z,2026-11-23T12:00:00Z
        user_001,admin,2026-11-23T12:00:00Z,
        user_002,auditor,2026-01-01T00:00:00Z,2026-06-01T00:00:00Z";
    give_table("roles", Table::from_csv("user_id", text).temporal("valid_from", "valid_to"));
}

#[test]
fn a_known_network_names_itself_and_its_class() {
    networks(
        "cidr,name,class\n10.0.0.0/8,inside,\n10.1.0.0/16,Berlin,office\n198.51.100.0/24,VPN,vpn",
    );
    let addresses = ["10.1.2.3", "10.2.2.3", "198.51.100.9", "8.8.8.8", "-", "10.1.2.3"];
    let mut rows = addresses.map(|address| from(Some(address))).to_vec();
    rows.push(from(None));
    let judgement = enrich(r#"{"networks": "networks"}"#, &rows);
    assert_eq!(
        texts(&judgement, "ip_network"),
        [Some("Berlin"), Some("inside"), Some("VPN"), None, None, Some("Berlin"), None]
    );
    assert_eq!(
        texts(&judgement, "ip_class"),
        [
            Some("office"),
            Some("private"),
            Some("vpn"),
            Some("public"),
            Some("invalid"),
            Some("office"),
            None
        ]
    );
}

#[test]
fn networks_without_classes_are_the_office() {
    networks("cidr,site\n192.168.0.0/16,Berlin");
    let config = r#"{"networks": "networks", "network-name": "site"}"#;
    let judgement = enrich(config, &[ROW, from(Some("10.0.0.1"))]);
    assert_eq!(texts(&judgement, "ip_network"), [Some("Berlin"), None]);
    assert_eq!(texts(&judgement, "ip_class"), [Some("office"), Some("private")]);
}

#[test]
fn a_role_is_the_one_as_of_the_event() {
    roles();
    let noon = MONDAY + 12 * HOUR;
    let user = |user, row| Row { user, ..row };
    let rows = [
        at(noon - 1),
        at(noon),
        user(Some("user_002"), at(noon)),
        user(Some("nobody"), at(noon)),
        user(Some(""), at(noon)),
        user(None, at(noon)),
        Row { time: None, ..ROW },
        // Dated ahead, to when the actor had the role: what Kafka says counts.
        Row { time: Some(noon + HOUR), received: Some(noon - HOUR), ..ROW },
    ];
    let judgement = enrich(r#"{"roles": "roles"}"#, &rows);
    let (analyst, admin) = (Some("data_analyst"), Some("admin"));
    assert_eq!(
        texts(&judgement, "actor_role"),
        [analyst, admin, None, None, None, None, None, analyst]
    );
}

#[test]
fn a_table_without_times_gives_what_it_holds() {
    give_table("staff", Table::from_csv("id", "id,job\nuser_001,admin"));
    let config = r#"{"roles": "staff", "role-column": "job"}"#;
    let judgement = enrich(config, &[ROW, at(i64::MIN)]);
    assert_eq!(texts(&judgement, "actor_role"), [Some("admin"), Some("admin")]);
}

#[test]
fn columns_of_tables_are_declared_with_them() {
    roles();
    networks("cidr,name\n10.0.0.0/8,inside");
    let plugin = transform(r#"{"roles": "roles", "networks": "networks"}"#);
    let written: Vec<&str> = plugin.writes().iter().map(|column| column.name.as_str()).collect();
    let expected = ["ip_class", "user_agent_family", "business_hours", "ip_network", "actor_role"];
    assert_eq!(written, expected);
}

#[test]
fn a_column_that_a_table_lacks_names_its_key() {
    roles();
    networks("cidr,site\n10.0.0.0/8,inside");
    let cases = [
        (r#"{"networks": "networks"}"#, "network-name", "it has: cidr, site"),
        (
            r#"{"networks": "networks", "network-name": "site", "network-class": "kind"}"#,
            "network-class",
            "kind",
        ),
        (r#"{"roles": "roles", "role-column": "rank"}"#, "role-column", "it has: user_id, role"),
        (r#"{"networks": "roles"}"#, "networks", "leave valid-from out"),
    ];
    for (config, key, message) in cases {
        let error = Transformer::<EnrichContext>::new(config).expect_err(config);
        assert_eq!(error.key, key, "{config}: {}", error.message);
        assert!(error.message.contains(message), "{config}: {}", error.message);
    }
}
