//! Tables, calendars and keys, as a plugin asks for them.

use audit_plugin_sdk::lookup::{self, Calendar, Interval, Table};
use audit_plugin_sdk::testing::{self, give_calendar, give_table, grant_key, utf8};
use audit_plugin_sdk::{ConfigError, Fault, Utf8Column, crypto};

const DAY: i64 = 86_400_000_000;
/// 2025-01-16T00:00:00Z.
const START: i64 = 1_736_985_600_000_000;

fn texts(column: &Utf8Column) -> Vec<Option<&str>> {
    (0..column.rows()).map(|row| column.get_str(row)).collect()
}

fn roles() -> testing::Table {
    testing::Table::from_csv(
        "user_id",
        "user_id,role,valid_from,valid_to
         ada,clerk,2025-01-01T00:00:00Z,2025-01-16T00:00:00Z
         ada,admin,2025-01-16T00:00:00Z,
         bob,clerk,2025-01-01,2025-01-10",
    )
}

#[test]
fn tables_answer_as_of_a_time() {
    give_table("roles", roles().temporal("valid_from", "valid_to"));
    let table = Table::open("roles").unwrap();
    assert!(table.is_temporal() && table.has_column("role") && !table.has_column("rank"));
    let error = table.require_column("rank").unwrap_err().of_key("role-column");
    assert_eq!(error.key, "role-column");
    assert!(error.message.contains("it has: user_id, role, valid_from, valid_to"), "{error:?}");

    let users = utf8(&[Some("ada"), Some("ada"), None, Some("bob"), Some("eve")]);
    let times = [START - 1, START, START, START, START];
    let found = table.find("role", &users, Some(&times)).unwrap();
    assert_eq!(texts(&found), [Some("clerk"), Some("admin"), None, None, None]);
    assert!(table.find("role", &users, None).is_err(), "a temporal table needs times");
    assert!(table.find("role", &users, Some(&times[1..])).is_err());
}

#[test]
fn an_empty_key_in_a_table_is_not_what_a_null_key_finds() {
    give_table("t", testing::Table::from_csv("k", "k,v\n,nobody\na,somebody"));
    let table = Table::open("t").unwrap();
    let found = table.find("v", &utf8(&[Some(""), None, Some("a")]), None).unwrap();
    assert_eq!(texts(&found), [Some("nobody"), None, Some("somebody")]);
}

#[test]
fn the_longest_prefix_counts() {
    let text = "cidr,name\n10.0.0.0/8,inside\n10.1.0.0/16,office\n2001:db8::/32,v6\n0.0.0.0/0,any";
    give_table("networks", testing::Table::from_csv("cidr", text).of_networks());
    let addresses =
        utf8(&[Some("10.1.2.3"), Some("10.2.0.0"), Some("::ffff:10.1.0.1"), Some("2001:db8::1")]);
    let found = Table::open("networks").unwrap().find("name", &addresses, None).unwrap();
    assert_eq!(texts(&found), [Some("office"), Some("inside"), Some("office"), Some("v6")]);
    let others = utf8(&[Some("9.9.9.9"), Some("2001:db9::1"), Some("office"), None]);
    let found = Table::open("networks").unwrap().find("name", &others, None).unwrap();
    assert_eq!(texts(&found), [Some("any"), None, None, None]);
}

#[test]
fn calendars_are_cached_until_the_generation_changes() {
    let open = |start, end| Interval { start, end, is_open: true, reason: String::new() };
    give_calendar(
        "office",
        vec![open(START, START + DAY), open(START + 100 * DAY, START + 101 * DAY)],
    );
    let mut office = Calendar::open("office").unwrap();
    let (before, is) =
        (lookup::generation(), |time, calendar: &mut Calendar| calendar.at(time).unwrap().is_open);
    assert!(is(START, &mut office) && !is(START + DAY, &mut office) && !is(START - 1, &mut office));
    let closed = office.at(START + 50 * DAY).unwrap();
    assert_eq!((closed.start, closed.end), (START + DAY, START + 100 * DAY), "whole intervals");
    assert!(!is(i64::MIN, &mut office) && !is(i64::MAX, &mut office));
    for day in -2000..2000 {
        assert_eq!(is(START + day * DAY, &mut office), day == 0 || day == 100, "{day}");
    }
    give_calendar("office", vec![open(START + DAY, START + 2 * DAY)]);
    assert_ne!(lookup::generation(), before);
    assert!(!is(START, &mut office) && is(START + DAY, &mut office));
}

#[test]
fn what_is_not_granted_is_refused_with_what_to_write() {
    let error = Table::open("rolls").unwrap_err();
    assert!(error.to_string().contains("lookups = [\"rolls\"]"), "{error}");
    let error: ConfigError = Calendar::open("office").unwrap_err().into();
    assert!(error.message.contains("[calendars.office]"), "{error:?}");
}

/// The same values are in the tests of the host: what either of them changed would break stored data.
#[test]
fn tokens_and_ciphertexts_have_the_host_s_format() {
    grant_key("pii", b"0123456789abcdef0123456789abcdef");
    assert_eq!(crypto::key_id("pii").unwrap(), "3e3774c4");
    let values = utf8(&[Some("ada@example.com"), None, Some("ada@example.com"), Some("")]);
    let tokens = crypto::token("pii", &values).unwrap();
    let token = Some("tok_3e3774c4_zlpqruiw2fgvwog6lfwos7lmuq");
    let of_nothing = Some("tok_3e3774c4_nuyybhu5z2krbokbgsb7ccov5u");
    assert_eq!(texts(&tokens), [token, None, token, of_nothing]);

    let subjects = utf8(&[Some("ada"), None, Some("bob"), None]);
    let sealed = crypto::encrypt("pii", "user_email", &subjects, &values).unwrap();
    let expect = [
        Some("enc_v1.3e3774c4.OsILixSfKs9y8Et4ag7YL_XIj5Y8lgWD-q6JNw4bGQ"),
        None,
        Some("enc_v1.3e3774c4.h5rpeJkZoFOUJj8yHbTo0jI9HSEG6azcKgnBNV_IUQ"),
        Some("enc_v1.3e3774c4.HYf0YI0RYbiTHO6XCuBZ-w"),
    ];
    assert_eq!(texts(&sealed), expect);
    assert!(crypto::encrypt("pii", "c", &utf8(&[None]), &values).is_err(), "too few subjects");
    let Err(Fault::Other(text)) = crypto::token("pij", &values) else { panic!("an unknown key") };
    assert_eq!(text, "cannot make tokens under the key pij: it is not granted to this plugin");
}
