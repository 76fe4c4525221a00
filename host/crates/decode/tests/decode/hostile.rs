//! Records that come from a broken or a hostile producer.

use audit_core::ReasonClass;

use crate::{GOOD, MAX_RECORD_BYTES, decode, value};

enum Expect<'a> {
    /// A row in which a field has this value.
    Row(&'a str, Option<&'a str>),
    Rejected(ReasonClass, &'a str),
}
use Expect::{Rejected, Row};
use ReasonClass::{
    BadAction, DuplicateField, EmptyPayload, InvalidJson, InvalidUtf8, MissingField, NestedTooDeep,
    NotAnObject, RecordTooLarge, TrailingData, WrongType,
};

/// Decodes the record between two good ones, which must stay good.
#[track_caller]
fn check(record: impl AsRef<[u8]>, expect: &Expect<'_>) {
    let record = record.as_ref();
    let batch = decode([GOOD.as_bytes(), record, GOOD.as_bytes()]);
    let shown = String::from_utf8_lossy(&record[..record.len().min(200)]).into_owned();
    let last = batch.columns.num_rows() - 1;
    assert_eq!(value(&batch, 0, "action_type").as_deref(), Some("good"), "{shown}");
    assert_eq!(value(&batch, last, "action_type").as_deref(), Some("good"), "{shown}");
    match (expect, batch.rejected.as_slice()) {
        (Row(field, expected), []) => {
            assert_eq!(value(&batch, 1, field).as_deref(), *expected, "{shown}");
        }
        (Rejected(class, reason), [rejected]) => {
            assert_eq!((rejected.class, rejected.reason.as_str()), (*class, *reason), "{shown}");
            assert_eq!((rejected.record_idx, last), (1, 1), "{shown}");
        }
        (Row(..), rejected) => panic!("{shown}: {rejected:?}"),
        (Rejected(class, _), _) => panic!("{shown}: a row, not {class}"),
    }
}

/// An event with both required fields, whose 59 bytes are followed by `rest`.
#[track_caller]
fn check_rest(rest: &str, expect: &Expect<'_>) {
    let head = r#"{"event_timestamp":"2025-01-16T10:20:30Z","action_type":"a""#;
    assert_eq!(head.len(), 59);
    check(format!("{head}{rest}"), expect);
}

/// The value of a field that is not ours; it starts at byte 64.
#[track_caller]
fn check_skipped(value: &str, expect: &Expect<'_>) {
    check_rest(&format!(",\"x\":{value}}}"), expect);
}

const KEPT: Expect<'static> = Row("action_type", Some("a"));

#[test]
fn payloads_that_are_no_object() {
    check("", &Rejected(EmptyPayload, "empty, or only white space"));
    check(" \t\r\n", &Rejected(EmptyPayload, "empty, or only white space"));
    for json in ["42", "-0.5e+3", "\"text\"", "[]", "[{\"a\":1}]", "true", "false", "null", "[] x"]
    {
        check(json, &Rejected(NotAnObject, "JSON, but not an object (byte 0)"));
    }
    check(" []", &Rejected(NotAnObject, "JSON, but not an object (byte 1)"));
    let no_value = "no JSON value where one is expected";
    check("hello", &Rejected(InvalidJson, &format!("{no_value} (byte 0)")));
    check("}", &Rejected(InvalidJson, &format!("{no_value} (byte 0)")));
    check("[1,]", &Rejected(InvalidJson, &format!("{no_value} (byte 3)")));
    check("NaN", &Rejected(InvalidJson, &format!("{no_value} (byte 0)")));
    check("nul", &Rejected(InvalidJson, "not true, false or null (byte 0)"));
    check("[1", &Rejected(InvalidJson, "the record ends inside a value (byte 2)"));
    let mark = "starts with a byte order mark, which JSON does not allow (byte 0)";
    check(format!("\u{feff}{GOOD}"), &Rejected(InvalidJson, mark));
    let header = "starts with a zero byte, as a schema registry's header does (byte 0)";
    check(format!("\0\0\0\0\u{1}{GOOD}"), &Rejected(InvalidJson, header));
    // A form feed, a non-breaking space and a vertical tab are no white space in JSON.
    check("\u{c}{}", &Rejected(InvalidJson, &format!("{no_value} (byte 0)")));
    check("\u{a0}{}", &Rejected(InvalidJson, &format!("{no_value} (byte 0)")));
    check("{}", &Rejected(MissingField, "event_timestamp: required, but absent"));
}

#[test]
fn what_follows_the_object() {
    let follows = "data after the object";
    check_rest("} \r\n\t", &KEPT);
    check_rest("}x", &Rejected(TrailingData, &format!("{follows} (byte 60)")));
    check_rest("} {}", &Rejected(TrailingData, &format!("{follows} (byte 61)")));
    check_rest("}}", &Rejected(TrailingData, &format!("{follows} (byte 60)")));
    check_rest("},", &Rejected(TrailingData, &format!("{follows} (byte 60)")));
    check_rest("}\0", &Rejected(TrailingData, &format!("{follows} (byte 60)")));
    check("{}{}", &Rejected(TrailingData, &format!("{follows} (byte 2)")));
}

#[test]
fn bytes_that_are_not_utf8() {
    check(b"\xff", &Rejected(InvalidUtf8, "not UTF-8 (byte 0)"));
    check(b"{\"x\":\"\xc3\"}", &Rejected(InvalidUtf8, "not UTF-8 (byte 6)"));
    // An overlong slash, half of a surrogate pair, and a code point past the last.
    check(b"{\"x\":\"\xc0\xaf\"}", &Rejected(InvalidUtf8, "not UTF-8 (byte 6)"));
    check(b"{\"x\":\"\xed\xa0\x80\"}", &Rejected(InvalidUtf8, "not UTF-8 (byte 6)"));
    check(b"{\"x\":\"\xf4\x90\x80\x80\"}", &Rejected(InvalidUtf8, "not UTF-8 (byte 6)"));
    // Compressed by the producer's code, not by Kafka.
    check(b"\x1f\x8b\x08\x00", &Rejected(InvalidUtf8, "not UTF-8 (byte 1)"));
}

#[test]
fn records_of_any_size() {
    let fill = |n_bytes: usize| {
        let mut record = GOOD.replace("good", "a").into_bytes();
        record.resize(n_bytes, b' ');
        record
    };
    check(fill(MAX_RECORD_BYTES), &KEPT);
    let large = Rejected(RecordTooLarge, "more bytes than max-record-bytes");
    check(fill(MAX_RECORD_BYTES + 1), &large);
    check(vec![0xff; MAX_RECORD_BYTES + 1], &large);
}

#[test]
fn nesting_has_a_limit_and_needs_no_stack() {
    let nested =
        |open: &str, close: &str, n: usize| format!("{}{}", open.repeat(n), close.repeat(n));
    // The event itself is the first of 512 levels.
    check_skipped(&nested("[", "]", 511), &KEPT);
    check_skipped(&nested("{\"a\":", "}", 510).replace(":}", ":{}}"), &KEPT);
    let too_deep = |at: usize| format!("nested deeper than 512 levels (byte {at})");
    check_skipped(&nested("[", "]", 512), &Rejected(NestedTooDeep, &too_deep(64 + 511)));
    check_skipped(&nested("[", "]", 100_000), &Rejected(NestedTooDeep, &too_deep(64 + 511)));
    check("[".repeat(100_000), &Rejected(NestedTooDeep, &too_deep(512)));
    check("{\"a\":".repeat(100_000), &Rejected(NestedTooDeep, &too_deep(512 * 5)));
    let details = format!(",\"details\":{}}}", nested("[", "]", 512));
    let reason = format!("details: {}", too_deep(59 + 11 + 511));
    check_rest(&details, &Rejected(NestedTooDeep, &reason));
    // Levels side by side are not nested.
    check_skipped(&format!("[{}[]]", "[],".repeat(10_000)), &KEPT);
}

#[test]
fn records_that_end_early() {
    for end in 1..GOOD.len() {
        let batch = decode([GOOD.as_bytes(), &GOOD.as_bytes()[..end], GOOD.as_bytes()]);
        assert_eq!(batch.record_of_row, [0, 2], "{end}");
        assert_eq!(batch.rejected[0].class, InvalidJson, "{end}");
    }
    check("{", &Rejected(InvalidJson, "the record ends inside a value (byte 1)"));
    check(
        "{\"user_id\"",
        &Rejected(InvalidJson, "user_id: the record ends inside a value (byte 10)"),
    );
    check(
        "{\"user_id\":\"",
        &Rejected(InvalidJson, "user_id: the record ends inside a string (byte 12)"),
    );
    check(
        "{\"user_id\":\"\\",
        &Rejected(InvalidJson, "user_id: the record ends inside a string (byte 13)"),
    );
    check("{\"x\":\"", &Rejected(InvalidJson, "the record ends inside a string (byte 6)"));
}

#[test]
fn commas_colons_and_keys() {
    let no_key = |at: usize| format!("no key in quotes where one is expected (byte {at})");
    check_rest(",}", &Rejected(InvalidJson, &no_key(60)));
    check_rest(",,\"x\":1}", &Rejected(InvalidJson, &no_key(60)));
    check_rest(",x:1}", &Rejected(InvalidJson, &no_key(60)));
    check_rest(",'x':1}", &Rejected(InvalidJson, &no_key(60)));
    check_rest(",1:1}", &Rejected(InvalidJson, &no_key(60)));
    check("{,}", &Rejected(InvalidJson, &no_key(1)));
    let no_comma = "no comma and no closing brace after a value (byte 59)";
    check_rest("\"x\":1}", &Rejected(InvalidJson, no_comma));
    check_rest(";\"x\":1}", &Rejected(InvalidJson, no_comma));
    check_rest("]", &Rejected(InvalidJson, no_comma));
    check_rest("/* no */}", &Rejected(InvalidJson, no_comma));
    check_rest(",\"x\" 1}", &Rejected(InvalidJson, "no colon after a key (byte 64)"));
    check_rest(",\"x\"=1}", &Rejected(InvalidJson, "no colon after a key (byte 63)"));
    check_rest(
        ",\"user_id\",1}",
        &Rejected(InvalidJson, "user_id: no colon after a key (byte 69)"),
    );
    check_rest("\n,\t\"user_id\"\r\n :  \"u\" , \"x\" : [ ] }", &Row("user_id", Some("u")));
}

#[test]
fn values_of_fields_that_are_not_ours() {
    for good in [
        "0",
        "-0",
        "-0.0",
        "1E5",
        "1e-05",
        "1.5e+300",
        "1e999",
        "123456789012345678901234567890",
        "true",
        "false",
        "null",
        "\"\"",
        "\"\\u0000\\ud83d\\ude00\"",
        "[]",
        "{}",
        "[[],{},1,\"\"]",
        "{\"a\":1,\"a\":[{\"b\":{}}]}",
        "{\"\":0}",
        "[{},[1]]",
        "[{\"a\":1},[1,2],{\"a\":[{}]}]",
        " [ 1 , { \"a\" : null } ] ",
        "\"\u{7f}\u{80}\"",
    ] {
        check_skipped(good, &KEPT);
    }
    let rejected = |value: &str, what: &str, at: usize| {
        check_skipped(value, &Rejected(InvalidJson, &format!("{what} (byte {at})")));
    };
    for zeros in ["01", "-01", "00", "007.5"] {
        rejected(zeros, "a number with a leading zero", 64);
    }
    for number in ["-", "1.", "1.e5", "1e", "1e+", "-e", "-.5", "--1"] {
        rejected(number, "a number that JSON does not allow", 64);
    }
    for no_value in [".5", "+1", "Infinity", "NaN", "undefined", "'x'", "", ",", ":", "]"] {
        rejected(no_value, "no JSON value where one is expected", 64);
    }
    for literal in ["tru", "TRUE".to_lowercase().trim_end_matches('e'), "fals", "nulx"] {
        rejected(literal, "not true, false or null", 64);
    }
    rejected("1x", "no comma and no closing brace after a value", 65);
    rejected("0x1", "no comma and no closing brace after a value", 65);
    rejected("1_000", "no comma and no closing brace after a value", 65);
    rejected("truetrue", "no comma and no closing brace after a value", 68);
    rejected("[1 2]", "no comma and no closing bracket after a value", 67);
    rejected("[1}", "no comma and no closing bracket after a value", 66);
    rejected("{\"a\":1]", "no comma and no closing brace after a value", 70);
    rejected("[1,]", "no JSON value where one is expected", 67);
    rejected("[,1]", "no JSON value where one is expected", 65);
    rejected("{\"a\":1,}", "no key in quotes where one is expected", 71);
    rejected("{\"a\"}", "no colon after a key", 68);
    rejected("{\"a\":}", "no JSON value where one is expected", 69);
}

#[test]
fn text() {
    let rejected = |text: &str, what: &str, at: usize| {
        // In a value that is kept, at byte 71; in one that is skipped, at 65; in a key, at 61.
        let kept = format!("user_id: {what} (byte {})", 71 + at);
        check_rest(&format!(",\"user_id\":\"{text}\"}}"), &Rejected(InvalidJson, &kept));
        let skipped = format!("{what} (byte {})", 65 + at);
        check_skipped(&format!("\"{text}\""), &Rejected(InvalidJson, &skipped));
        let key = format!("{what} (byte {})", 61 + at);
        check_rest(&format!(",\"{text}\":1}}"), &Rejected(InvalidJson, &key));
    };
    for control in (0..0x20).map(char::from) {
        rejected(&format!("ab{control}"), "a control character inside a string", 2);
        rejected(&format!("0123456789{control}"), "a control character inside a string", 10);
        rejected(&format!("\\n{control}"), "a control character inside a string", 2);
    }
    for escape in ["\\a", "\\'", "\\0", "\\x41", "\\U0041", "\\ ", "\\\n", "\\é"] {
        rejected(escape, "a backslash before a character that cannot be escaped", 0);
    }
    for hex in ["\\u", "\\u004", "\\u00g0", "\\u+041", "\\u 041", "\\u{41}", "\\u00é"] {
        rejected(hex, "a \\u without four hex digits", 0);
    }
    for half in [
        "\\ud800",
        "\\udbffx",
        "\\udc00",
        "\\udfff",
        "\\ud83d\\n",
        "\\ud83d\\u0041",
        "\\ud83d\\ud83d\\ude00",
        "\\ude00\\ud83d",
        "\\ude00\\ude00",
    ] {
        rejected(&format!("a{half}"), "half of a surrogate pair", 1);
    }
    rejected("\\ud83d\\u00", "a \\u without four hex digits", 6);
    for (json, text) in [
        ("", ""),
        ("\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\u{8}\u{c}\n\r\t"),
        ("\\u0041\\u00e9\\u20AC\\ud83d\\ude00\\uffff\\u0000", "Aé€😀\u{ffff}\0"),
        ("é€😀 \u{7f}\u{2028}", "é€😀 \u{7f}\u{2028}"),
        ("/ ' <b>", "/ ' <b>"),
        ("\\\\\\\\", "\\\\"),
        ("0123456\\\"", "0123456\""),
        ("01234567\\\"", "01234567\""),
    ] {
        check_rest(&format!(",\"user_id\":\"{json}\"}}"), &Row("user_id", Some(text)));
    }
}

#[test]
fn keys_are_compared_after_their_escapes() {
    check_rest(r#","user\u005fid":"u"}"#, &Row("user_id", Some("u")));
    check_rest(r#","\u0075ser_id":"u"}"#, &Row("user_id", Some("u")));
    // Names that are almost ours.
    for key in ["user_i", "user_idx", "User_id", " user_id", "", "user\\u0000id", "user_id\\\\"] {
        check_rest(&format!(",\"{key}\":1}}"), &Row("user_id", None));
    }
}

#[test]
fn fields_that_stand_twice() {
    let twice = |field: &str, at: usize| format!("{field}: the field appears twice (byte {at})");
    check_rest(r#","action_type":"a"}"#, &Rejected(DuplicateField, &twice("action_type", 60)));
    check_rest(
        r#","user_id":null,"user_id":"u"}"#,
        &Rejected(DuplicateField, &twice("user_id", 75)),
    );
    check_rest(
        r#","user_id":"u","user\u005fid":"u"}"#,
        &Rejected(DuplicateField, &twice("user_id", 74)),
    );
    check_rest(r#","x":1,"x":"2","x":null}"#, &KEPT);
}

#[test]
fn fields_of_the_wrong_type() {
    for (json, what) in [
        ("1", "a number where text is expected"),
        ("-1.5e3", "a number where text is expected"),
        ("true", "true or false where text is expected"),
        ("false", "true or false where text is expected"),
        ("{\"a\":1}", "an object where text is expected"),
        ("[\"a\"]", "an array where text is expected"),
    ] {
        let reason = format!("user_id: {what} (byte 70)");
        check_rest(&format!(",\"user_id\":{json}}}"), &Rejected(WrongType, &reason));
    }
    check_rest(",\"user_id\":null}", &Row("user_id", None));
    // Invalid JSON is reported as such, not as a value of the wrong type.
    let reason = "user_id: a number with a leading zero (byte 70)";
    check_rest(",\"user_id\":01}", &Rejected(InvalidJson, reason));
    let reason = "user_id: no JSON value where one is expected (byte 71)";
    check_rest(",\"user_id\":[}", &Rejected(InvalidJson, reason));
}

#[test]
fn details_may_be_nested() {
    for json in ["{}", "[]", "{ \"a\" : [1, \"\\u0041\", 1.50, 1e999] }", "[{\"b\":null}]"] {
        check_rest(&format!(",\"details\": {json} }}"), &Row("details", Some(json)));
    }
    let reason = "details: a number where text is expected (byte 70)";
    check_rest(",\"details\":1}", &Rejected(WrongType, reason));
    let reason = "details: true or false where text is expected (byte 70)";
    check_rest(",\"details\":true}", &Rejected(WrongType, reason));
    check_rest(",\"details\":null}", &Row("details", None));
    check_rest(",\"details\":\"{\\\"a\\\": 1}\"}", &Row("details", Some("{\"a\": 1}")));
    let reason = "details: no JSON value where one is expected (byte 73)";
    check_rest(",\"details\":[1,]}", &Rejected(InvalidJson, reason));
}

#[test]
fn required_fields() {
    let time = r#""event_timestamp":"2025-01-16T10:20:30Z""#;
    let missing = |json: &str, reason: &str| check(json, &Rejected(MissingField, reason));
    missing("{}", "event_timestamp: required, but absent");
    missing(r#"{"action_type":"a"}"#, "event_timestamp: required, but absent");
    missing(r#"{"action_type":"a","event_timestamp":null}"#, "event_timestamp: required, but null");
    missing(&format!("{{{time}}}"), "action_type: required, but absent");
    missing(&format!("{{{time},\"action_type\":null}}"), "action_type: required, but null");
    check_rest("}", &Row("audit_id", None));
}

/// An action names a folder.
#[test]
fn an_action_is_a_plain_token() {
    let with = |action: &str| {
        format!("{{\"event_timestamp\":\"2025-01-16T10:20:30Z\",\"action_type\":\"{action}\"}}")
    };
    let longest = "x".repeat(64);
    for good in ["data_read", "LOGIN", "a", "v1.2-beta", ".hidden", "..a", "a\\u0062", &longest] {
        let stored = good.replace("\\u0062", "b");
        check(with(good), &Row("action_type", Some(&stored)));
    }
    let reason = "action_type: not 1 to 64 letters, digits, dots, underscores or dashes (byte 56)";
    let long = "x".repeat(65);
    for bad in ["", ".", "..", "../x", "a b", "a/b", "a@b.c", "\\u0000", "ä", "a\\nb", "%2e", &long]
    {
        check(with(bad), &Rejected(BadAction, reason));
    }
    // It is said before the time, and after what is missing.
    let json = "{\"event_timestamp\":\"yesterday\",\"action_type\":\"a b\"}";
    let reason = reason.replace("56", "45");
    check(json, &Rejected(BadAction, &reason));
    check(
        "{\"action_type\":\"a b\"}",
        &Rejected(MissingField, "event_timestamp: required, but absent"),
    );
}

/// The first thing that is wrong from the left decides; then what is missing; then the time.
#[test]
fn what_is_said_first() {
    let reason = "user_id: a number where text is expected (byte 11)";
    check("{\"user_id\":1,\"user_id\":\"\x01", &Rejected(WrongType, reason));
    check("{} x", &Rejected(TrailingData, "data after the object (byte 3)"));
    let reason = "action_type: required, but absent";
    check("{\"event_timestamp\":\"yesterday\"}", &Rejected(MissingField, reason));
}

#[test]
fn a_reason_never_holds_a_value() {
    let secret = "hunter2";
    for json in [
        format!("{{\"user_id\":{{\"{secret}\":1}}}}"),
        format!("{{\"{secret}\":\"\\x\"}}"),
        format!("{{\"event_timestamp\":\"{secret}\",\"action_type\":\"{secret}\"}}"),
        format!("{{\"user_id\":\"{secret}\",\"user_id\":\"{secret}\"}}"),
        format!("{{}}{secret}"),
        secret.to_owned(),
        format!("\"{secret}\""),
    ] {
        let batch = decode([json.as_bytes()]);
        assert!(!batch.rejected[0].reason.contains(secret), "{json}");
    }
}
