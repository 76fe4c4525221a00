//! Values that are written in another way: digits of other scripts, characters that are not seen,
//! percent-encoding and base64.

use crate::common::{TEXT_ONLY, redact};

fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|&(text, expected)| (text, redact(TEXT_ONLY, "text", text), expected))
        .filter(|(_, got, expected)| got != expected)
        .map(|(text, got, expected)| format!("{text} became {got}, not {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn digits_of_any_script() {
    check(&[
        ("card ４１１１ １１１１ １１１１ １１１１ used", "card [CARD] used"),
        ("٤١١١١١١١١١١١١١١١", "[CARD]"),
        ("۲۱۹-۰۹-۹۹۹۹", "[SSN]"),
        ("from １０.０.０.１ on", "from [IP] on"),
        ("+٤٩ ٣٠ ٩٠١٨٢٠", "[PHONE]"),
        ("bob＠example．com", "[EMAIL]"),
        ("4111\u{a0}1111\u{202f}1111\u{2009}1111", "[CARD]"),
        ("219\u{2011}09\u{2013}9999", "[SSN]"),
        ("１２３４", "１２３４"),
    ]);
}

#[test]
fn characters_that_are_not_seen() {
    check(&[
        ("4111\u{200b}1111\u{200b}1111\u{200b}1111", "[CARD]"),
        ("bo\u{ad}b@exam\u{200d}ple.com", "[EMAIL]"),
        ("10.0\u{feff}.0.1", "[IP]"),
        // Behind a whole number it is no part of it, and hides nothing.
        ("4111111111111111\u{200b}7", "[CARD]\u{200b}7"),
        ("plain\u{200b}text", "plain\u{200b}text"),
    ]);
}

#[test]
fn percent_encoding() {
    check(&[
        ("q=bob%2Etag%40x%2Ecom&n=1", "q=[EMAIL]&n=1"),
        ("q=bob%2540x.com", "q=[EMAIL]"),
        ("ip=10%2E0%2E0%2E1", "ip=[IP]"),
        ("%34%31%31%31%31%31%31%31%31%31%31%31%31%31%31%31", "[CARD]"),
        ("tel=%2B49%2030%20901820", "tel=[PHONE]"),
        // Decoding must not take a digit away.
        ("100%4111111111111111", "100%[CARD]"),
        ("100%25 sure, 50%20off", "100%25 sure, 50%20off"),
        ("a%25252525252525252540b", "[REDACTED]"),
    ]);
}

#[test]
fn base64() {
    check(&[
        // bob@example.com
        ("data:Ym9iQGV4YW1wbGUuY29t", "data:[EMAIL]"),
        // {"ip":"10.0.0.1"}, with padding
        ("x eyJpcCI6IjEwLjAuMC4xIn0= y", "x [IP] y"),
        // call +49 30 901820?>, of both alphabets
        ("Y2FsbCArNDkgMzAgOTAxODIwPz4", "[PHONE]"),
        // bob@example.com in base64 in base64
        ("WW05aVFHVjRZVzF3YkdVdVkyOXQ=", "[EMAIL]"),
        ("path/Ym9iQGV4YW1wbGUuY29t/x", "path/[EMAIL]/x"),
        // {"m":"bob\u0040x.com"}
        ("eyJtIjoiYm9iXHUwMDQweC5jb20ifQ==", "[EMAIL]"),
        // nothing to see here at all
        ("bm90aGluZyB0byBzZWUgaGVyZSBhdCBhbGw=", "bm90aGluZyB0byBzZWUgaGVyZSBhdCBhbGw="),
        ("customer_data.transactions", "customer_data.transactions"),
        ("aGVsbG8", "aGVsbG8"),
    ]);
}

#[test]
fn bank_account_numbers() {
    check(&[
        ("DE89370400440532013000", "[IBAN]"),
        ("IBAN: DE89 3704 0044 0532 0130 00.", "IBAN: [IBAN]."),
        ("gb29nwbk60161331926819", "[IBAN]"),
        ("GB29-NWBK-6016-1331-9268-19", "[IBAN]"),
        ("MT84MALT011000012345MTLCAST001S", "[IBAN]"),
        ("IBANNO9386011117947,", "IBAN[IBAN],"),
        ("FR14 2004 1010 0505 0001 3M02 606 paid", "[IBAN] paid"),
        ("DE88370400440532013000", "DE88370400440532013000"),
        ("DE8937040044053201300", "DE8937040044053201300"),
        ("XX89370400440532013000", "XX89370400440532013000"),
        ("DE893704004405320130001", "DE893704004405320130001"),
        ("ADE89370400440532013000", "ADE89370400440532013000"),
    ]);
}

#[test]
fn keys_and_tokens() {
    let github = format!("ghp_{}", "a1B2".repeat(9));
    let google = format!("AIza{}", "Sy3_d".repeat(7));
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJlLW9mLWl0";
    check(&[
        ("AKIAIOSFODNN7EXAMPLE", "[API_KEY]"),
        (&format!("url=https://x/{github}"), "url=https://x/[API_KEY]"),
        (&google, "[API_KEY]"),
        ("xoxb-1234567890-abcdefABCDEF", "[API_KEY]"),
        (&format!("sk_{}_{}", "live", "4eC39HqLyjWDarjtT1zdp7dc"), "[API_KEY]"),
        ("password=hunter2!", "password=[API_KEY]"),
        ("Password: 'corr3ct horse'", "Password: '[API_KEY]'"),
        ("api_key: \"Zk3nT9qLw8Xv2Bc7\"", "api_key: \"[API_KEY]\""),
        ("Authorization: Bearer mF_9.B5f-4.1JqMabc", "Authorization: Bearer [API_KEY]"),
        ("Authorization: Basic dXNlcjpodW50ZXIyMTIz", "Authorization: Basic [API_KEY]"),
        (&format!("cookie {jwt}; path=/"), "cookie [JWT]; path=/"),
    ]);
    for kept in [
        "password=required",
        "password: ********",
        "token=null",
        "next_token=Zk3nT9qLw8Xv2Bc7",
        "key=550e8400-e29b-41d4-a716-446655440000",
        "primary_key=user_id",
        "AKIAIOSFODNN",
        "eyJub3QgYSB0b2tlbg",
        "Basic authentication is off",
        "password_changed_at: 2025-01-16",
    ] {
        check(&[(kept, kept)]);
    }
}

#[test]
fn names_tell_what_a_value_is() {
    let config = r#"{"fields": {"user_email": "keep"}, "details-paths": {"granted_to": "keep"},
        "free-text": ["details"]}"#;
    for (text, expected) in [
        (r#"{"api_key": "Zk3nT9qLw8Xv2Bc7"}"#, r#"{"api_key": "[API_KEY]"}"#),
        (r#"{"userPassword": "hunter2"}"#, r#"{"userPassword": "[API_KEY]"}"#),
        (r#"{"token": ["Zk3nT9qLw8Xv2Bc7"]}"#, r#"{"token": ["[API_KEY]"]}"#),
        (r#"{"mobile": "4915112345679"}"#, r#"{"mobile": "[PHONE]"}"#),
        (r#"{"phone": 4915112345679}"#, r#"{"phone": "[PHONE]"}"#),
        (r#"{"version": "1.2.3.4"}"#, r#"{"version": "1.2.3.4"}"#),
        (r#"{"address": "1.2.3.4"}"#, r#"{"address": "[IP]"}"#),
        (r#"{"rows": 4915112345679}"#, r#"{"rows": 4915112345679}"#),
        (r#"{"password": "changed"}"#, r#"{"password": "changed"}"#),
    ] {
        assert_eq!(redact(config, "details", text), expected, "{text}");
    }
}

#[test]
fn telephone_numbers_in_more_forms() {
    check(&[
        ("+49 (0)30 901820", "[PHONE]"),
        ("0033 1 23 45 67 89", "[PHONE]"),
        ("(030) 901820", "[PHONE]"),
        ("(02) 9374 4000", "[PHONE]"),
        ("(11) 91234-5678", "[PHONE]"),
        ("tel:030 90182012", "tel:[PHONE]"),
        ("+14155550123 200", "[PHONE] 200"),
        ("+49 30 90182099 2025-01-16", "[PHONE] 2025-01-16"),
        ("01-23-45-67-89-01", "01-23-45-67-89-01"),
        ("10:030 90182012", "10:030 90182012"),
    ]);
}
