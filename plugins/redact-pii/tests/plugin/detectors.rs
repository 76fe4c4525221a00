//! What each detector takes and what it leaves, in tables.

use crate::common::{TEXT_ONLY, redact};

fn check(cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for &(text, expected) in cases {
        let got = redact(TEXT_ONLY, "text", text);
        if got != expected {
            wrong.push(format!("{text:?} became {got:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check_kept(texts: &[&str]) {
    let cases: Vec<(&str, &str)> = texts.iter().map(|&text| (text, text)).collect();
    check(&cases);
}

#[test]
fn emails() {
    check(&[
        ("alice@company.com", "[EMAIL]"),
        ("mail alice@company.com now", "mail [EMAIL] now"),
        ("Alice <alice@company.com>, Bob <bob@x.org>", "Alice <[EMAIL]>, Bob <[EMAIL]>"),
        ("alice+tag@sub.mail.company.co.uk.", "[EMAIL]."),
        ("o'brien@x.ie", "[EMAIL]"),
        ("WHERE email = 'bob@x.com' AND", "WHERE email = '[EMAIL]' AND"),
        ("user=bob@x.com&id=7", "user=[EMAIL]&id=7"),
        ("https://x.com/?mail=bob%40x.com", "https://x.com/?mail=[EMAIL]"),
        ("jürgen@müller.de", "[EMAIL]"),
        ("почта@пример.рф", "[EMAIL]"),
        ("a@b@c.com", "a@[EMAIL]"),
        ("first.last@xn--bcher-kva.example", "[EMAIL]"),
        ("git@github.com:org/repo", "[EMAIL]:org/repo"),
        ("bob@x.com.", "[EMAIL]."),
        ("bob@x.com..y", "[EMAIL]..y"),
        ("mailto:bob_1-2@x-y.com", "mailto:[EMAIL]"),
        ("...bob@x.com", "...[EMAIL]"),
    ]);
    check_kept(&[
        "@company.com",
        "root@localhost",
        "a @ b.com",
        "react@18.2.0",
        "b***@x.com",
        "50% off @ noon",
        "@user hello",
        "x@y.z",
        "me@.com",
        "100%40",
    ]);
}

#[test]
fn cards() {
    check(&[
        ("4111111111111111", "[CARD]"),
        ("card 4111 1111 1111 1111 used", "card [CARD] used"),
        ("4111-1111-1111-1111", "[CARD]"),
        ("amex 378282246310005", "amex [CARD]"),
        ("3782 822463 10005", "[CARD]"),
        ("5555555555554444,2223003122003222", "[CARD],[CARD]"),
        ("6011111111111117 3530111333300000", "[CARD] [CARD]"),
        ("30569309025904", "[CARD]"),
        ("6304000000000000", "[CARD]"),
        ("4222222222222", "[CARD]"),
        ("12 4111 1111 1111 1111 77", "12 [CARD] 77"),
        ("pan=4111111111111111;", "pan=[CARD];"),
        ("PAN4111111111111111", "PAN[CARD]"),
        ("file_4111111111111111.csv", "file_[CARD].csv"),
    ]);
    check_kept(&[
        "4111111111111112",
        "1234567812345678",
        "1736985600000",
        "1736985600000000",
        "41111111111111111111",
        "4111 1111  1111 1111",
        "0000000000000000",
        "550e8400-e29b-41d4-a716-446655440000",
        "d41d8cd98f00b204e9800998ecf8427e4111111111111111",
    ]);
}

#[test]
fn social_security_numbers() {
    check(&[
        ("078-05-1120", "[SSN]"),
        ("ssn 219 09 9999.", "ssn [SSN]."),
        ("ssn:219-09-9999,", "ssn:[SSN],"),
        ("SSN219-09-9999", "SSN[SSN]"),
        ("id 5 219-09-9999", "id 5 [SSN]"),
    ]);
    check_kept(&[
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "999-12-3456",
        "123-00-4567",
        "123-45-0000",
        "123-45 6789",
        "12-345-6789",
        "1123-45-6789",
        "123-45-67890",
        "99-123-45-6789",
        "123-45-6789-01",
        "123456789",
    ]);
}

#[test]
fn ip_addresses() {
    check(&[
        ("from 203.0.113.45 to 10.0.0.1:8080", "from [IP] to [IP]:8080"),
        ("192.168.1.10/24", "[IP]/24"),
        ("http://10.0.0.1/", "http://[IP]/"),
        ("10.0.0.1.", "[IP]."),
        ("ip=1.1.1.1", "ip=[IP]"),
        ("2001:db8::1", "[IP]"),
        ("ip:2001:db8::1: refused", "ip:[IP]: refused"),
        ("[2001:db8::1]:443", "[[IP]]:443"),
        ("fe80::1%eth0", "[IP]%eth0"),
        ("::1", "[IP]"),
        ("::ffff:192.0.2.128", "[IP]"),
        ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "[IP]"),
        ("add:2001:db8:0:0:0:0:0:1", "add:[IP]"),
        ("64:ff9b::192.0.2.33.", "[IP]."),
    ]);
    check_kept(&[
        "1.2.3.4.5",
        "v1.2.3.4",
        "256.1.1.1",
        "1.2.3",
        "1.2.3.4567",
        "Chrome/120.0.0.0",
        "Safari/537.36",
        "12:34:56",
        "2025-01-16T10:20:30",
        "std::fmt",
        "a::b",
        "::",
        "aa:bb:cc:dd:ee:ff",
        "16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
        "1:2:3:4:5:6:7",
        "12345::1",
        "1::2::3",
    ]);
}

#[test]
fn telephone_numbers() {
    check(&[
        ("+14155550123", "[PHONE]"),
        ("call +49 30 901820 now", "call [PHONE] now"),
        ("+1 (212) 555-0123", "[PHONE]"),
        ("+44-20-7946-0958", "[PHONE]"),
        ("(212) 555-0123", "[PHONE]"),
        ("(212)555-0123", "[PHONE]"),
        ("212-555-0123", "[PHONE]"),
        ("212.555.0123", "[PHONE]"),
        ("212 555 0123", "[PHONE]"),
        ("1-212-555-0123 x12", "[PHONE] x12"),
        ("tel 030 901820 9", "tel 030 901820 9"),
        ("tel 020 7946 0958", "tel [PHONE]"),
        ("06 12 34 56 78", "[PHONE]"),
        ("0171-1234567", "[PHONE]"),
        ("030/90182012", "[PHONE]"),
        ("0044 20 7946 0958", "[PHONE]"),
    ]);
    check_kept(&[
        "2025-01-16",
        "16-01-2025",
        "01-16-2025",
        "01.02.2025",
        "2025-01-16T10:20:30.123456",
        "2025-01-16T10:20:30+0100",
        "20250116",
        "export_20250116.csv",
        "file_1234",
        "user_001",
        "rows_returned: 5000",
        "db_3.table_17",
        "1736985600",
        "2125550123",
        "550e8400-e29b-41d4-a716-446655440000",
        "12345678-1234-1234-1234-123456789012",
        "212-555-01234",
        "99-212-555-0123",
        "order-212-555-0123",
        "id_212-555-0123",
        "112-555-0123",
        "212-155-0123",
        "+0123456789",
        "+5000",
        "v1.2.3",
        "10.20.30",
        "0.123456789",
        "amount > 1000 and < 50000",
        "INC0012345678",
    ]);
}

#[test]
fn matches_that_overlap_are_replaced_together() {
    check(&[
        ("4111 1111 1111 1111bob@x.com", "[EMAIL]"),
        ("212-555-0123@x.com", "[EMAIL]"),
        ("10.0.0.1@x.com", "[EMAIL]"),
    ]);
}

#[test]
fn detectors_that_are_off_find_nothing() {
    let config = r#"{"fields": {"user_email": "keep"}, "details-paths": {"granted_to": "keep"},
            "free-text": ["text"], "detectors": ["card"]}"#;
    let text = "bob@x.com 212-555-0123 10.0.0.1 219-09-9999 4111111111111111";
    let expected = "bob@x.com 212-555-0123 10.0.0.1 219-09-9999 [CARD]";
    assert_eq!(redact(config, "text", text), expected);
}

#[test]
fn masks_keep_the_shape_and_are_not_found_again() {
    let config = TEXT_ONLY.replace("[\"text\"]", "[\"text\"], \"free-text-action\": \"mask\"");
    let cases = [
        ("alice@company.com", "a***@company.com"),
        ("élise@company.com", "é***@company.com"),
        ("bob%40x.com", "b***@x.com"),
        ("4111 1111 1111 1111", "**** **** **** 1111"),
        ("378282246310005", "***********0005"),
        ("219-09-9999", "***-**-9999"),
        ("203.0.113.45", "203.0.113.*"),
        ("2001:db8:85a3::8a2e:370:7334", "2001:db8:*"),
        ("fe80::1", "fe80:*"),
        ("::1", "*"),
        ("(212) 555-0123", "(***) ***-0123"),
        ("+49 30 901820", "+** ** **1820"),
        ("212-555-0123@x.com", "2***@x.com"),
        ("4111 1111 1111 1111bob@x.com", "[EMAIL]"),
        ("bob@10.0.0.1.com", "[EMAIL]"),
    ];
    for (text, expected) in cases {
        assert_eq!(redact(&config, "text", text), expected, "{text}");
        assert_eq!(redact(&config, "text", expected), expected, "{text} twice");
    }
}
