//! Forms in which personal data once passed.

use crate::common::{TEXT_ONLY, redact};

const DETAILS_ONLY: &str = r#"{"fields": {"user_email": "keep"}, "free-text": ["details"]}"#;

/// Checks text in a column of its own, and in a string of `details` where it holds no quotes.
fn check_text(cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for &(text, expected) in cases {
        let got = redact(TEXT_ONLY, "text", text);
        if got != expected {
            wrong.push(format!("{text} became {got}, not {expected}"));
        }
        let inside = |text: &str| serde_json::json!({ "note": text }).to_string();
        let got = redact(DETAILS_ONLY, "details", &inside(text));
        if !text.contains(['"', '\\', '\'']) && got != inside(expected) {
            wrong.push(format!("{text} in a string became {got}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check_details(config: &str, cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for &(text, expected) in cases {
        let got = redact(config, "details", text);
        if got != expected {
            wrong.push(format!("{text} became {got}, not {expected}"));
        }
        let was_json = serde_json::from_str::<serde_json::Value>(text).is_ok();
        if was_json && serde_json::from_str::<serde_json::Value>(&got).is_err() {
            wrong.push(format!("{text} became {got}, which is no JSON"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn forms_write_a_space_as_a_plus_sign() {
    check_text(&[
        ("https://x/?card=4111+1111+1111+1111", "https://x/?card=[CARD]"),
        ("q=+4111+1111+1111+1111&x=1", "q=+[CARD]&x=1"),
        ("by=4111+1111+1111+1111", "by=[CARD]"),
        ("ssn=219+09+9999", "ssn=[SSN]"),
        ("n=219+09+9999", "n=[SSN]"),
        ("iban=DE89+3704+0044+0532+0130+00", "iban=[IBAN]"),
        ("to=GB29+NWBK+6016+1331+9268+19&x", "to=[IBAN]&x"),
        ("tel=%2B49+30+901820", "tel=[PHONE]"),
        ("q=%2B49+30+901820", "q=[PHONE]"),
        ("q=%28212%29+555-0123", "q=[PHONE]"),
        ("q=1+(212)+555-0123", "q=[PHONE]"),
        ("q=0171+1234567", "q=[PHONE]"),
        ("q=Bearer+Zk3nT9qLw8Xv2Bc7", "q=Bearer+[API_KEY]"),
        ("alice+tag@company.com", "[EMAIL]"),
    ]);
    for kept in [
        "2025-01-16T10:20:30+01:00",
        "2025-01-16 10:20:30.123456+0100",
        "1.2.3+build.77",
        "a+b",
        "1+1",
        "C++17 4.2+5.1",
    ] {
        check_text(&[(kept, kept)]);
    }
    let mask = TEXT_ONLY.replace("[\"text\"]", "[\"text\"], \"free-text-action\": \"mask\"");
    assert_eq!(redact(&mask, "text", "alice+tag@company.com"), "a***@company.com");
}

/// A telephone number must not take the first digits of what stands behind it.
#[test]
fn cards_behind_telephone_numbers() {
    check_text(&[
        ("+49 30 901820 4012 8888 8888 1881", "+[CARD]"),
        ("+219099999(4012 8888 8888 1881)", "+[CARD])"),
        ("+49 30 901820, 4012 8888 8888 1881", "[PHONE], [CARD]"),
    ]);
}

#[test]
fn bearer_tokens_of_any_form() {
    check_text(&[
        ("Bearer ya29.a0AfH6SMBq7x9KZtQw", "Bearer [API_KEY]"),
        ("Bearer v4.local.Zk3nT9qLw8Xv2Bc7dd", "Bearer [API_KEY]"),
        ("Bearer mF_9.B5f-4.1JqMabc", "Bearer [API_KEY]"),
        ("bearer  mF_9.B5f-4.1JqMabc, x", "bearer  [API_KEY], x"),
        ("Basic dXNlcjpzZWNyZXQ=", "Basic [API_KEY]"),
        ("Basic authentication is off", "Basic authentication is off"),
        ("the bearer of this letter", "the bearer of this letter"),
    ]);
    check_details(
        DETAILS_ONLY,
        &[
            (
                r#"{"headers":["Bearer ya29.a0AfH6SMBq7x9KZtQw"]}"#,
                r#"{"headers":["Bearer [API_KEY]"]}"#,
            ),
            (r#"{"auth":"Bearer mF_9.B5f-4.1JqMabc"}"#, r#"{"auth":"Bearer [API_KEY]"}"#),
            (r#"{"bearer":"mF_9.B5f-4.1JqMabc"}"#, r#"{"bearer":"[API_KEY]"}"#),
        ],
    );
}

#[test]
fn keys_of_paths_in_any_quotes() {
    check_details(
        DETAILS_ONLY,
        &[
            ("{'permission': 'READ', 'granted_to': 'Bob Smith'}", "[REDACTED]"),
            ("{granted_to: Bob}", "[REDACTED]"),
            ("{granted_to=Bob}", "[REDACTED]"),
            ("{:granted_to => 'Bob'}", "[REDACTED]"),
            ("{\"granted_to\"\n\n  :\"Bob Smith Jr\"}", "{\"granted_to\"\n\n  :\"********h Jr\"}"),
            (r#"{"password    ":"hunter2!"}"#, r#"{"password    ":"[API_KEY]"}"#),
            ("{\"password\"\n:\"hunter2!\"}", "{\"password\"\n:\"[API_KEY]\"}"),
        ],
    );
    let config = r#"{"fields": {"user_email": "keep"}, "detectors": [], "free-text": [], "details-paths": {
        "a.who'": "redact", "list[*].name": "redact", "[0].id": "redact"}}"#;
    check_details(
        config,
        &[
            (r#"{"a":{"who'":"Bob"}}"#, r#"{"a":{"who'":"[REDACTED]"}}"#),
            ("{list: [{name: Bob}]}", "[REDACTED]"),
            (r#"[{"id":1}]"#, r#"[{"id":"[REDACTED]"}]"#),
            (r#"{"id":1}"#, r#"{"id":1}"#),
        ],
    );
}

#[test]
fn passwords_of_any_form() {
    let kept = [
        r#"{"password":"required"}"#,
        r#"{"password":""}"#,
        r#"{"password":"********"}"#,
        r#"{"password":"[API_KEY]"}"#,
        r#"{"password":"<none>"}"#,
        r#"{"password":"${DB_PASS2}"}"#,
        r#"{"password":"{{ vault.db1 }}"}"#,
        r#"{"password":"%DB_PASS%"}"#,
        r#"{"password":"NULL"}"#,
        r#"{"password":"hmac-sha256:029be15e:73fcee9075fadb007cc5767055662357"}"#,
        r#"{"password":"tok_029be15e_s4zwgpa7ye4qnmfz7p6off2ar4"}"#,
        r#"{"password":"enc_v1.029be15e.pbrINMsZ5kKrxP_pf89kXUUZ58qpr_G8"}"#,
        r#"{"password":true,"min_password":8}"#,
        r#"{"pwd":"/home/bob"}"#,
        r#"{"password_age":12345678}"#,
    ];
    check_details(DETAILS_ONLY, &kept.map(|text| (text, text)));
    for password in [
        "84629173",
        "$uper5ecret!",
        "*Sommer2024",
        "%Qwerty12",
        "[hunter2",
        "{hunter2}",
        "<hunter2",
        "/Qwerty12",
        "corr3ct horse",
        "correct horse battery staple",
        "a1",
        "hmac-sha256:hunter2",
        "tok_hunter2",
        "enc_v1.hunter2",
        "Пароль",
    ] {
        let text = format!(r#"{{"password":"{password}","x":1}}"#);
        check_details(DETAILS_ONLY, &[(&text, r#"{"password":"[API_KEY]","x":1}"#)]);
    }
    check_details(
        DETAILS_ONLY,
        &[
            (r#"{"password":12345678}"#, r#"{"password":"[API_KEY]"}"#),
            (
                r#"{"passwords":[],"password":[{"a":1},"hunter2"]}"#,
                r#"{"passwords":[],"password":[{"a":1},"[API_KEY]"]}"#,
            ),
        ],
    );
    check_text(&[
        ("password=84629173", "password=[API_KEY]"),
        ("password=$uper5ecret!", "password=[API_KEY]"),
        ("password=*Sommer2024", "password=[API_KEY]"),
        ("password=%Qwerty12", "password=[API_KEY]"),
        ("password=/run/secrets/db", "password=/run/secrets/db"),
        ("reset password: https://x.example/reset", "reset password: https://x.example/reset"),
        ("Password: 'corr3ct horse'", "Password: '[API_KEY]'"),
        (r#"password="pa\ssw\"ord" x"#, r#"password="[API_KEY]" x"#),
        (r"password=pa\ssw0rd x", "password=[API_KEY] x"),
        (r#"{\"password\":\"hun\\nter2!\"} cut"#, r#"{\"password\":\"[API_KEY]\"} cut"#),
        (r#"{\"password\":\"required\"} cut"#, r#"{\"password\":\"required\"} cut"#),
    ]);
}

#[test]
fn json_in_a_string_and_behind_a_byte_order_mark() {
    check_details(
        DETAILS_ONLY,
        &[
            (r#""{\"granted_to\":\"Bob Smith\"}""#, r#""{\"granted_to\":\"*****mith\"}""#),
            (
                r#""\"{\\\"granted_to\\\":\\\"Bob Smith\\\"}\"""#,
                r#""\"{\\\"granted_to\\\":\\\"*****mith\\\"}\"""#,
            ),
            (
                r#""\u0022\u007b\\u0022granted_to\\u0022:\\u0022Bob Smith\\u0022}\u0022""#,
                r#""\"{\\\"granted_to\\\":\\\"*****mith\\\"}\"""#,
            ),
            (r#""{'granted_to':'Bob Smith'}""#, r#""[REDACTED]""#),
            (r#""{\"granted_to\":\"Bob Smith""#, r#""[REDACTED]""#),
            (r#""{\"granted_to\":\"Bob Smith"#, "[REDACTED]"),
            (r#"'{"granted_to":"Bob Smith"}'"#, "[REDACTED]"),
            (r#""{\"mail\":\"bob@x.com\",\"n\":1}""#, r#""{\"mail\":\"[EMAIL]\",\"n\":1}""#),
            (r#""{\"permission\":\"READ\"}""#, r#""{\"permission\":\"READ\"}""#),
            ("\u{feff}{\"granted_to\":\"Bob\"}", "\u{feff}{\"granted_to\":\"***\"}"),
            ("\u{feff}{'granted_to':'Bob'}", "[REDACTED]"),
            ("\u{a0}{\"granted_to\":\"Bob\"}", "[REDACTED]"),
            (r#""\ufeff{\"granted_to\":\"Bob\"}""#, "\"\u{feff}{\\\"granted_to\\\":\\\"***\\\"}\""),
        ],
    );
    let config = r#"{"fields": {"user_email": "keep"}, "detectors": [], "free-text": [], "details-paths": {
        "body.user.name": "redact", "body.rows[*]": "drop", "gone": "redact", "gone.x": "keep"}}"#;
    check_details(
        config,
        &[
            (
                r#"{"body":"{\"user\":{\"name\":\"Bob\",\"n\":1},\"rows\":[1,null]}"}"#,
                r#"{"body":"{\"user\":{\"name\":\"[REDACTED]\",\"n\":1},\"rows\":[null,null]}"}"#,
            ),
            (
                r#"{"body":{"user":"{\"name\":\"Bob\"}"}}"#,
                r#"{"body":{"user":"{\"name\":\"[REDACTED]\"}"}}"#,
            ),
            (r#"{"body":"{\"name\":\"kept\"}"}"#, r#"{"body":"{\"name\":\"kept\"}"}"#),
            (r#"{"gone":"{\"x\":1}"}"#, r#"{"gone":"[REDACTED]"}"#),
        ],
    );
    let mut wrapped = r#"{"granted_to":"Bob Smith"}"#.to_owned();
    for _ in 0..6 {
        wrapped = serde_json::json!(wrapped).to_string();
        assert!(!redact(DETAILS_ONLY, "details", &wrapped).contains("Bob"), "{wrapped}");
    }
}

#[test]
fn keys_under_an_action() {
    let config = |action: &str| {
        format!(
            r#"{{"fields": {{"user_email": "keep"}}, "detectors": [], "free-text": [], "hash-key": "pii",
            "details-paths": {{"granted_to": "{action}", "granted_to.role": "keep"}}}}"#
        )
    };
    audit_plugin_sdk::testing::grant_key("pii", b"secret");
    let text =
        r#"{"granted_to":{"Bob Smith":"READ","role":"Bob Smith","a":[{"Bob\u0020Smith":1}]}}"#;
    check_details(
        &config("mask"),
        &[(
            text,
            r#"{"granted_to":{"*****mith":"****","role":"Bob Smith","*":[{"*****mith":"*"}]}}"#,
        )],
    );
    check_details(&config("redact"), &[(text, r#"{"granted_to":"[REDACTED]"}"#)]);
    check_details(
        &config("generalise"),
        &[(
            r#"{"granted_to":{"10.1.2.3":"10.1.2.3"}}"#,
            r#"{"granted_to":{"10.1.2.0/24":"10.1.2.0/24"}}"#,
        )],
    );
    // With another path, as a configuration that changes nothing is refused.
    let kept =
        config("keep").replace("\"granted_to.role\"", "\"x\": \"mask\", \"granted_to.role\"");
    check_details(&kept, &[(text, text)]);
    let hashed = redact(&config("hash"), "details", text);
    assert_eq!(hashed.matches("Bob Smith").count(), 1, "{hashed}");
    assert!(serde_json::from_str::<serde_json::Value>(&hashed).is_ok(), "{hashed}");
}

#[test]
fn names_of_numbers() {
    check_details(
        DETAILS_ONLY,
        &[
            (r#"{"ssn":"219099999"}"#, r#"{"ssn":"[SSN]"}"#),
            (r#"{"ssn":219099999}"#, r#"{"ssn":"[SSN]"}"#),
            (r#"{"holder_ssn":1020304}"#, r#"{"holder_ssn":"[SSN]"}"#),
            (r#"{"Social Security Number":"219 099999"}"#, r#"{"Social Security Number":"[SSN]"}"#),
            (r#"{"Phone Number":"4915112345679"}"#, r#"{"Phone Number":"[PHONE]"}"#),
            (r#"{"my tel":"4915112345679"}"#, r#"{"my tel":"[PHONE]"}"#),
            (r#"{"card number":"4111.1111.1111.1112"}"#, r#"{"card number":"[CARD]"}"#),
            (r#"{"pan":4111111111111112}"#, r#"{"pan":"[CARD]"}"#),
            (r#"{"iban":"DE88 3704.0044-0532013000"}"#, r#"{"iban":"[IBAN]"}"#),
            (r#"{"span":4111111111111112}"#, r#"{"span":4111111111111112}"#),
            (r#"{"rows":219099999}"#, r#"{"rows":219099999}"#),
            (r#"{"ssn":"none"}"#, r#"{"ssn":"none"}"#),
        ],
    );
    check_text(&[
        ("ssn=219099999&x", "ssn=[SSN]&x"),
        ("cardnumber=4111111111111112", "cardnumber=[CARD]"),
        ("iban=DE88370400440532013000;", "iban=[IBAN];"),
        ("\"Phone Number\": \"4915112345679\"", "\"Phone Number\": \"[PHONE]\""),
        ("\"phone+number\": 4915112345679", "\"phone+number\": [PHONE]"),
    ]);
    let off =
        r#"{"fields": {"user_email": "keep"}, "free-text": ["details"], "detectors": ["email"]}"#;
    let text = r#"{"ssn":219099999,"card":"4111111111111112","password":12345678}"#;
    check_details(off, &[(text, text)]);
}

#[test]
fn card_numbers_as_floats() {
    check_details(
        DETAILS_ONLY,
        &[
            (r#"{"pan":4.1111111111111110e+15}"#, r#"{"pan":"[CARD]"}"#),
            (r#"{"n":4.1111111111111110e+15}"#, r#"{"n":"[CARD]"}"#),
            (r#"{"n":0.4111111111111111e16}"#, r#"{"n":"[CARD]"}"#),
            (r#"{"n":41111111111111110e-1}"#, r#"{"n":"[CARD]"}"#),
            (r#"{"n":5.1051051051051E15}"#, r#"{"n":"[CARD]"}"#),
            (r#"{"n":510510510510510e1}"#, r#"{"n":"[CARD]"}"#),
            (r#"{"n":4.111111111111111e14}"#, r#"{"n":4.111111111111111e14}"#),
            (r#"{"n":4.2e15}"#, r#"{"n":4.2e15}"#),
            (r#"{"n":1e400}"#, r#"{"n":1e400}"#),
        ],
    );
    check_text(&[
        ("paid 4.111111111111111e15 today", "paid [CARD] today"),
        ("12 4.111111111111111E+15, 7", "12 [CARD], 7"),
        ("0.4111111111111111e16", "[CARD]"),
        ("v4.111111111111111e15", "v4.111111111111111e15"),
        ("4.111111111111111e15f", "4.111111111111111e15f"),
        ("6.02214076e23", "6.02214076e23"),
    ]);
}

#[test]
fn base64_of_credentials_lines_and_utf16() {
    check_text(&[
        // Of "\0bob@example.com\0hunter2" and "\0carol\0hunter2".
        ("AUTH PLAIN AGJvYkBleGFtcGxlLmNvbQBodW50ZXIy", "AUTH PLAIN [EMAIL]"),
        ("AUTH PLAIN AGNhcm9sAGh1bnRlcjI= ok", "AUTH PLAIN [API_KEY] ok"),
        // Of "mail bob@example.com" in UTF-16: in both orders, and with a mark.
        ("-enc bQBhAGkAbAAgAGIAbwBiAEAAZQB4AGEAbQBwAGwAZQAuAGMAbwBtAA==", "-enc [EMAIL]"),
        ("-enc AG0AYQBpAGwAIABiAG8AYgBAAGUAeABhAG0AcABsAGUALgBjAG8AbQ==", "-enc [EMAIL]"),
        ("-enc //5tAGEAaQBsACAAYgBvAGIAQABlAHgAYQBtAHAAbABlAC4AYwBvAG0A", "-enc [EMAIL]"),
        ("-enc /v8EPwQ+BEcEQgQwACAAYgBvAGIAQABlAHgAYQBtAHAAbABlAC4AYwBvAG0=", "-enc [EMAIL]"),
        (
            "-enc bgBvAHQAaABpAG4AZwAgAHQAbwAgAHMAZQBlACAAaABlAHIAZQA=",
            "-enc bgBvAHQAaABpAG4AZwAgAHQAbwAgAHMAZQBlACAAaABlAHIAZQA=",
        ),
        // The address goes on behind the break.
        (
            "a eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4\neHggYm9iQGV4YW1wbGUuY29tIHl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5\neXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eQ== b",
            "a [EMAIL] b",
        ),
        (
            "a eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHggYm9iQGV4\r\n  YW1wbGUuY29tIHl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5\r\n  eXl5eXl5eXl5eXl5eQ== b",
            "a [EMAIL] b",
        ),
        (
            "bm90aGluZyB0byBzZWUgaGVyZSwgYW5kIG1vcmUgb2YgaXQgaW4gYW5vdGhlciBsaW5lLCBhbmQg\nb24gYW5kIG9uLCB0byB0aGUgdmVyeSBlbmQgb2YgaXQ=",
            "bm90aGluZyB0byBzZWUgaGVyZSwgYW5kIG1vcmUgb2YgaXQgaW4gYW5vdGhlciBsaW5lLCBhbmQg\nb24gYW5kIG9uLCB0byB0aGUgdmVyeSBlbmQgb2YgaXQ=",
        ),
    ]);
}
