//! Audit-shaped values with places to fill: `<email>`, `<uuid>`. `<any>` is any personal data,
//! `<negative>` anything that only looks like it.
//!
//! The two lists share no line. The one for scoring was written before the detectors were ever run on
//! it, and they are not changed after a look at what it finds: see `docs/plugins/redact_pii.md`.

use super::corpus::Split;

pub(super) fn of(split: Split) -> &'static [&'static str] {
    split.choose(TUNING, SCORING)
}

const TUNING: &[&str] = &[
    r#"{"query": "SELECT * FROM <table> WHERE email = '<email>' AND id = '<uuid>'", "rows_returned": <counter>}"#,
    r#"{"query": "UPDATE <table> SET phone = '<phone>' WHERE order_no = '<luhn-order>'"}"#,
    r#"{"permission": "READ", "granted_by": "<email>", "trace": "<trace-id>"}"#,
    r#"{"note": "caller <phone> asked about <ticket> at <time>"}"#,
    r#"{"note": "card <card> declined, amount <price>, reference <luhn-order>"}"#,
    r#"{"payment": {"pan": "<card>", "at": "<timestamp>", "id": "<uuid>"}}"#,
    r#"{"refund_to": "<iban>", "amount": "<price>", "batch": "<date-order>"}"#,
    r#"{"hr": {"ssn": "<ssn>", "start": "<date>"}, "source": "<file>"}"#,
    r#"{"client": "<ip>", "agent": "<user-agent>", "span": "<span-id>"}"#,
    r#"{"from": "<ip>", "mac": "<mac>", "uptime": "<ticks>"}"#,
    r#"{"headers": {"traceparent": "<traceparent>", "x-forwarded-for": "<ip>"}}"#,
    r#"{"diff": "-<any>", "commit": "<digest>"}"#,
    r#"{"config": "<setting>", "version": "<version>", "image": "sha256:<digest>"}"#,
    r#"{"env": "AWS_KEY <api-key>", "arn": "<arn>"}"#,
    r#"{"auth": "Bearer <jwt>", "jti": "<uuid>"}"#,
    r#"{"format": "CSV", "file": "<file>", "exported_at": "<epoch>", "rows": <counter>}"#,
    r#"{"seen": ["<any>", "<negative>", "<negative>"]}"#,
    r#"{"message": "user <email> logged in from <ip> with <build>"}"#,
    r#"{"a": "<negative>", "b": "<negative>", "c": "<any>"}"#,
    r#"{"text": "iban <iban> and ssn <ssn> on <date>"}"#,
    "report for <email> (<date>)",
    "transfer <iban> <price>",
    "<negative> handled for <any>",
    "host <pod> at <coordinates>, key <fingerprint>",
    "<path>?user=<any>&t=<epoch>",
    "ticket <ticket>: <any>; <negative>",
    "cert <fingerprint>, oid <oid>, isbn <isbn>",
    "signed <noise> by <handle>",
    "installed <package> <build> on <eui64>, load <ratio>",
    "invoice <amazon-order> paid by <card> on <timestamp>",
];

const SCORING: &[&str] = &[
    r#"{"statement": "INSERT INTO <table> (mail, tel) VALUES ('<email>', '<phone>')", "took_ms": <counter>}"#,
    r#"{"statement": "DELETE FROM <table> WHERE tax_no = '<ssn>' OR ref IN ('<uuid>', '<luhn-order>')"}"#,
    r#"{"statement": "SELECT iban FROM <table> WHERE iban='<iban>' AND ts > <epoch>"}"#,
    r#"{"changed": [{"field": "contact", "old": "<any>", "new": "<any>"}], "request_id": "<uuid>"}"#,
    r#"{"comment": "Kundin rief an unter <phone> wegen Auftrag <luhn-order> vom <date>"}"#,
    r#"{"comment": "please charge <card> again, order <date-order> failed at <time>"}"#,
    r#"{"export": {"recipient": "<email>", "object": "<path>", "bytes": <counter>}}"#,
    r#"{"peer": "[<ip>]:443", "ja3": "<digest>", "ua": "<user-agent>"}"#,
    r#"{"route": ["<ip>", "<ip>"], "bssid": "<mac>", "offset": "<ticks>"}"#,
    r#"{"otel": {"trace_id": "<trace-id>", "span_id": "<span-id>", "parent": "<traceparent>"}, "who": "<email>"}"#,
    r#"{"session": {"jwt": "<jwt>", "issued": "<timestamp>"}}"#,
    r#"{"deploy": {"secret_ref": "<api-key>", "role": "<arn>", "release": "<version>"}}"#,
    r#"{"payout": {"account": "<iban>", "holder_ssn": "<ssn>", "sum": "<price>"}}"#,
    r#"{"policy": "<setting>", "checksum": "<digest>", "asset": "<file>"}"#,
    r#"{"line": "<timestamp> WARN <pod> refused <any> after <ratio> s"}"#,
    r#"{"line": "<any>|<negative>|<any>|<negative>"}"#,
    r#"{"values": ["<negative>", "<negative>", "<negative>"], "subject": "<any>"}"#,
    r#"{"form": "name=x&contact=<email>&cc=<card>&ref=<amazon-order>"}"#,
    r#"{"hardware": {"eui": "<eui64>", "cert": "<fingerprint>", "oid": "<oid>"}, "loc": "<coordinates>"}"#,
    r#"{"dependency": "<package>", "owner": "<handle>", "signature": "<noise>"}"#,
    "statement sent to <email>, copy to <email>",
    "<phone> called about <ticket>",
    "blocked <ip> (<build>)",
    "kv/<uuid>/<any>",
    "book <isbn> lent to <any> until <date>",
    "payment from <iban>: <price>",
    "employee <ssn>, badge <counter>, since <date>",
    "<negative>, <negative>, <negative>",
    "dispute <luhn-order> / card <card>",
    "leaked: <api-key> in <file>",
];
