//! Proves what the transforms of a chain hide: scratch instances judge marked values, and what comes out is
//! searched for the marks. What a plugin declares proves nothing: one that returns every value as it came may
//! declare the same columns as a redactor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use audit_core::stage::{Chain as _, Progress};
use audit_core::text::one_line;
use audit_core::{Batch, Error as CoreError, Judged, RawBatch, Remaining, schema};
use sha2::{Digest, Sha256};

use crate::chain::PluginChain;
use crate::chain::control::{ChainControl, Place};
use crate::chain::proofs::Proof;
use crate::error::Error;
use crate::plugin::candidate::Plugin;
use crate::plugin::spec::{Blueprint, PluginKind};
use crate::unlogged::unlogged;

/// As the topics of the pattern are called: a plugin cannot tell the canary by its topic.
const TOPIC: &str = "audit_events";
/// The time of the marked events, as good as any: 2025-01-16 08:00 UTC.
const EVENT_US: i64 = 1_737_014_400_000_000;
/// Far above the offsets of any topic.
const FIRST_OFFSET: i64 = 1 << 50;

/// What a marked value looks like. A column that is searched hides those that look like personal data; one that is
/// replaced as a whole hides plain words as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Word,
    Email,
    /// A second address of the same first letter and domain.
    Twin,
    Card,
    Address,
    Ssn,
    Iban,
    Phone,
    Secret,
    Token,
}

impl Mark {
    /// A row each.
    const ALL: [Self; 10] = [
        Self::Word,
        Self::Email,
        Self::Twin,
        Self::Card,
        Self::Address,
        Self::Ssn,
        Self::Iban,
        Self::Phone,
        Self::Secret,
        Self::Token,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Word => "word",
            Self::Email | Self::Twin => "email",
            Self::Card => "card",
            Self::Address => "address",
            Self::Ssn => "ssn",
            Self::Iban => "iban",
            Self::Phone => "phone",
            Self::Secret => "secret",
            Self::Token => "jwt",
        }
    }
}

/// The columns of events that hold text and that a transform may replace.
pub fn replaceable() -> impl Iterator<Item = &'static str> {
    let may = |name: &&str| *name != schema::EVENT_TIMESTAMP && *name != schema::ACTION_TYPE;
    schema::EVENT_FIELDS.into_iter().filter(may)
}

/// Columns of the events that a plugin replaces.
fn replaced_by(plugin: &Blueprint) -> BTreeSet<String> {
    let writes = |column: &&str| plugin.writes.iter().any(|output| output.name == *column);
    replaceable().filter(writes).map(str::to_owned).collect()
}

impl Plugin {
    /// Proves what the transforms among these hide, on instances of their own.
    pub fn prove(plugins: &[Self]) -> Result<Proof, Error> {
        prove(&transforms(plugins.iter().map(|plugin| &plugin.blueprint)))
    }
}

impl ChainControl {
    /// Proves, beside the stream, what the transforms of the next chain would hide, unless that is known already.
    pub fn prove(&self, places: &[Place]) -> Result<Proof, Error> {
        let running = self.blueprints();
        let next = places.iter().filter_map(|place| match place {
            Place::Keep(name) => running.iter().find(|blueprint| blueprint.id.name == *name),
            Place::New(plugin) => Some(&plugin.blueprint),
        });
        self.proved(&transforms(next))
    }

    /// The same for the next chain if nothing changes but this candidate, which takes the place of the plugin of its
    /// name, or the last one. [`ChainControl::prove`] knows it then.
    pub fn prove_with(&self, candidate: &Plugin) -> Result<Proof, Error> {
        let mut next = self.blueprints();
        let name = &candidate.id().name;
        match next.iter_mut().find(|running| running.id.name == *name) {
            Some(running) => *running = Arc::clone(&candidate.blueprint),
            None => next.push(Arc::clone(&candidate.blueprint)),
        }
        self.proved(&transforms(&next))
    }

    /// What is known of transforms, or is found out and remembered.
    fn proved(&self, transforms: &[&Arc<Blueprint>]) -> Result<Proof, Error> {
        let proof = match self.proofs.known(transforms) {
            Some(known) => known,
            None => match prove(transforms) {
                Err(Error::Canary { problem }) => Err(problem),
                proof => Ok(proof?),
            },
        };
        self.proofs.remember(transforms, proof.clone());
        proof.map_err(|problem| Error::Canary { problem })
    }
}

/// Those among plugins that change rows.
fn transforms<'a>(
    plugins: impl IntoIterator<Item = &'a Arc<Blueprint>>,
) -> Vec<&'a Arc<Blueprint>> {
    plugins.into_iter().filter(|plugin| plugin.kind == PluginKind::Transform).collect()
}

/// Proves what transforms hide. Without a log: whoever reads it would look for the marked events in the topic.
fn prove(transforms: &[&Arc<Blueprint>]) -> Result<Proof, Error> {
    unlogged(|| prove_unlogged(transforms))
}

fn prove_unlogged(transforms: &[&Arc<Blueprint>]) -> Result<Proof, Error> {
    let columns: BTreeSet<String> =
        transforms.iter().flat_map(|plugin| replaced_by(plugin)).collect();
    if columns.is_empty() {
        return Ok(Proof::default());
    }
    let values = Values::new(&columns);
    let scratch = transforms.iter().map(|plugin| Plugin::scratch(Arc::clone(plugin)));
    let mut chain = PluginChain::new(scratch.collect())?;
    let rows = judged_rows(&mut chain, values.batch()?);
    let rows = rows.map_err(|error| Error::Canary { problem: one_line(&error) })?;
    Ok(values.compare(&columns, &rows))
}

/// The rows that come out. Where they would have to wait for a plugin that fails on all of them they do not: nobody
/// waits for minutes to learn that nothing comes out.
fn judged_rows(chain: &mut PluginChain, batch: Batch) -> Result<RecordBatch, CoreError> {
    let (mut rest, mut whole) = (Some(Remaining::from(batch)), None);
    while let Some(remaining) = rest.take() {
        let Progress { judged, rest: left, wait } = chain.judge_some(remaining)?;
        match (&mut whole, judged) {
            (Some(whole), Some(judged)) => Judged::append(whole, judged)?,
            (None, judged) => whole = judged,
            (Some(_), None) => {}
        }
        rest = left.filter(|_| wait.is_zero());
    }
    let nothing = || RecordBatch::new_empty(Arc::new(Schema::empty()));
    Ok(whole.map_or_else(nothing, |judged| judged.rows))
}

/// The marked values.
struct Values {
    /// By kind of mark and column: the value, and the part of it that must not come out.
    marks: BTreeMap<(usize, String), (String, String)>,
}

impl Values {
    fn new(columns: &BTreeSet<String>) -> Self {
        let mut random = Random::new();
        let mut marks = BTreeMap::new();
        for column in columns {
            let first = random.letters(1);
            for (row, mark) in Mark::ALL.iter().enumerate() {
                let word = format!("{first}{}", random.letters(11));
                let value = match mark {
                    Mark::Word => word.clone(),
                    Mark::Email | Mark::Twin => format!("{word}@example.com"),
                    Mark::Card => random.card(),
                    Mark::Address => random.address(),
                    Mark::Ssn => random.ssn(),
                    Mark::Iban => random.iban(),
                    Mark::Phone => format!("+4915{}", random.digits(9)),
                    Mark::Token => {
                        format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{}", random.letters(43))
                    }
                    Mark::Secret => format!("AKIA{}", random.letters(16).to_uppercase()),
                };
                let needle = match mark {
                    Mark::Email | Mark::Twin => word,
                    Mark::Token => value.rsplit('.').next().unwrap_or_default().to_owned(),
                    _ => value.to_lowercase(),
                };
                let value = if column == "details" { as_details(&value) } else { value };
                marks.insert((row, column.clone()), (value, needle));
            }
        }
        Self { marks }
    }

    /// One row for each kind of mark; columns that nobody replaces hold ordinary values.
    fn batch(&self) -> Result<Batch, Error> {
        let n_rows = Mark::ALL.len();
        let (mut raw, fields) = (RawBatch::empty(Arc::from(TOPIC)), schema::decoded());
        let offsets: Vec<i64> = (0..n_rows as i64).map(|row| FIRST_OFFSET + row).collect();
        for offset in &offsets {
            raw.push(0, *offset, Some(EVENT_US / 1000), b"");
        }
        let times = || TimestampMicrosecondArray::from(vec![EVENT_US; n_rows]);
        let arrays = fields.fields().iter().map(|field| -> ArrayRef {
            match (field.name().as_str(), field.data_type()) {
                (schema::SOURCE_PARTITION, _) => Arc::new(Int32Array::from(vec![0; n_rows])),
                (schema::SOURCE_OFFSET, _) => Arc::new(Int64Array::from(offsets.clone())),
                (name, DataType::Utf8) => {
                    let value = |row: usize| match self.marks.get(&(row, name.to_owned())) {
                        Some((value, _)) => Some(value.clone()),
                        None => ordinary(name).map(str::to_owned),
                    };
                    Arc::new(StringArray::from((0..n_rows).map(value).collect::<Vec<_>>()))
                }
                _ => Arc::new(times().with_timezone(schema::UTC)),
            }
        });
        let columns = RecordBatch::try_new(Arc::clone(&fields), arrays.collect())?;
        let record_of_row = (0..n_rows as u32).collect();
        Ok(Batch { raw, columns, record_of_row, rejected: Vec::new() })
    }

    /// What of the marks is in the rows that came out. A row that did not come out leaks nothing, and proves nothing
    /// either: its marks are neither hidden nor leaked.
    fn compare(&self, columns: &BTreeSet<String>, rows: &RecordBatch) -> Proof {
        let mut proof = Proof::default();
        let offsets = rows.column_by_name(schema::SOURCE_OFFSET);
        let offsets = offsets.and_then(|column| column.as_primitive_opt::<Int64Type>());
        let texts: Vec<&StringArray> =
            rows.columns().iter().filter_map(|column| column.as_string_opt::<i32>()).collect();
        for column in columns {
            let (mut hidden, mut leaked) = (BTreeSet::new(), BTreeSet::new());
            let mut twins = Vec::new();
            for out in 0..rows.num_rows() {
                let row = offsets.map_or(0, |offsets| offsets.value(out)) - FIRST_OFFSET;
                let Some((row, mark)) =
                    usize::try_from(row).ok().and_then(|row| Some((row, Mark::ALL.get(row)?)))
                else {
                    continue;
                };
                let Some((_, needle)) = self.marks.get(&(row, column.clone())) else { continue };
                let has = |text: &&StringArray| {
                    text.is_valid(out) && text.value(out).to_lowercase().contains(needle)
                };
                let found = texts.iter().any(has);
                let set = if found { &mut leaked } else { &mut hidden };
                set.insert(mark.name().to_owned());
                if matches!(mark, Mark::Email | Mark::Twin) && !found {
                    twins.push(rows.column_by_name(column).map(|values| value_of(values, out)));
                }
            }
            // One of several marks of a kind that came out is enough.
            hidden.retain(|kind| !leaked.contains(kind));
            if let [Some(Some(one)), Some(Some(other))] = &twins[..]
                && one == other
            {
                proof.merged.insert(column.clone());
            }
            proof.hidden.insert(column.clone(), hidden);
            proof.leaked.insert(column.clone(), leaked);
        }
        proof
    }
}

fn value_of(values: &ArrayRef, row: usize) -> Option<String> {
    let text = values.as_string_opt::<i32>()?;
    text.is_valid(row).then(|| text.value(row).to_owned())
}

/// `details` are JSON, and hold the value as a whole and in a sentence. The value needs no escapes.
fn as_details(value: &str) -> String {
    format!(r#"{{"granted_to": "{value}", "note": "asked by {value} today", "rows": 12}}"#)
}

/// What a column holds that is not marked.
fn ordinary(column: &str) -> Option<&'static str> {
    Some(match column {
        schema::AUDIT_ID => "7d3c0b1e-6f1d-4a52-9f6a-2f1f0f9d2c11",
        schema::ACTION_TYPE => "data_read",
        "user_id" => "user_017",
        "resource_type" => "table",
        "resource_id" => "db_1.table_50",
        "resource_name" => "customer_data.transactions",
        "action_result" => "success",
        "ip_address" => "192.0.2.10",
        "user_agent" => "Mozilla/5.0",
        "session_id" => "session_42",
        "details" => r#"{"rows": 12}"#,
        _ => return None,
    })
}

/// Values that no plugin can know beforehand. Not for secrets.
struct Random {
    seed: [u8; 32],
    n_drawn: u64,
}

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let digest = Sha256::new_with_prefix(now.as_nanos().to_be_bytes());
        let seed = digest.chain_update(std::process::id().to_be_bytes()).finalize().into();
        Self { seed, n_drawn: 0 }
    }

    fn below(&mut self, n: u8) -> u8 {
        self.n_drawn += 1;
        let digest = Sha256::new_with_prefix(self.seed);
        let digest = digest.chain_update(self.n_drawn.to_be_bytes()).finalize();
        digest.first().map_or(0, |byte| byte % n.max(1))
    }

    fn letters(&mut self, n: usize) -> String {
        (0..n).map(|_| char::from(b'a' + self.below(26))).collect()
    }

    fn digits(&mut self, n: usize) -> String {
        (0..n).map(|_| char::from(b'0' + self.below(10))).collect()
    }

    /// A number of the United States' social security, in the ranges that are given out.
    fn ssn(&mut self) -> String {
        let part = 10 + self.below(80);
        format!(
            "{}-{part}-{}",
            100 + u32::from(self.below(250)),
            1000 + u32::from(self.below(250)) * 7
        )
    }

    /// A German account, with its check digits.
    fn iban(&mut self) -> String {
        let account = self.digits(18);
        // "DE00" behind it, with 13 and 14 for the letters.
        let number = format!("{account}131400");
        let remainder =
            number.bytes().fold(0, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
        format!("DE{:02}{account}", 98 - remainder)
    }

    /// An address of three digits everywhere, so that none is the beginning of another.
    fn address(&mut self) -> String {
        let mut part = || 100 + u32::from(self.below(150));
        format!("203.0.{}.{}", part(), part())
    }

    /// Sixteen digits of an issuer, with their check digit.
    fn card(&mut self) -> String {
        let mut digits: Vec<u32> = vec![4, 5, 3, 9];
        digits.extend((0..11).map(|_| u32::from(self.below(10))));
        let sum: u32 = digits.iter().rev().enumerate().map(|(at, digit)| luhn(at, *digit)).sum();
        digits.push((10 - sum % 10) % 10);
        digits.iter().filter_map(|digit| char::from_digit(*digit, 10)).collect()
    }
}

/// What a digit counts, `at` places before the check digit.
fn luhn(at: usize, digit: u32) -> u32 {
    let doubled = if at.is_multiple_of(2) { digit * 2 } else { digit };
    if doubled > 9 { doubled - 9 } else { doubled }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// What is hidden, with the values of `user_email` passed through `change`.
    fn proof(change: impl Fn(&str) -> Option<String>) -> Proof {
        let columns = set(&["user_email"]);
        let values = Values::new(&columns);
        let batch = values.batch().unwrap().columns;
        let before = batch.column_by_name("user_email").unwrap().as_string::<i32>();
        let after: StringArray = before.iter().map(|value| change(value?)).collect();
        let idx = batch.schema().index_of("user_email").unwrap();
        let mut arrays = batch.columns().to_vec();
        arrays[idx] = Arc::new(after);
        values.compare(&columns, &RecordBatch::try_new(batch.schema(), arrays).unwrap())
    }

    fn check(proof: &Proof, marks: &[&str]) -> Result<(), String> {
        let required = BTreeMap::from([("user_email".to_owned(), set(marks))]);
        proof.check(&required).map_err(|error| error.to_string())
    }

    #[test]
    fn what_comes_out_as_it_went_in_is_seen() {
        let no_op = proof(|value| Some(value.to_owned()));
        assert_eq!(no_op.hidden["user_email"], set(&[]));
        let kinds = "address, card, email, iban, jwt, phone, secret, ssn, word";
        assert!(check(&no_op, &[]).unwrap_err().contains(&format!("user_email ({kinds})")));
        assert!(check(&no_op, &["email"]).unwrap_err().contains("--allow-unredacted user_email"));
        let upper = proof(|value| Some(format!("x {}", value.to_uppercase())));
        assert!(check(&upper, &["email"]).is_err(), "in another case, in a longer text");

        let none = proof(|_| None);
        assert_eq!(none.hidden["user_email"], kinds.split(", ").map(str::to_owned).collect());
        assert!(check(&none, &["word", "email"]).is_ok() && none.merged.is_empty());
        // As a search does it.
        let found = proof(|value| {
            Some(if value.contains('@') { "[EMAIL]".to_owned() } else { value.to_owned() })
        });
        assert_eq!(found.hidden["user_email"], set(&["email"]));
        assert!(check(&found, &[]).is_ok() && check(&found, &["email"]).is_ok());
        assert!(check(&found, &["email", "word"]).unwrap_err().contains("user_email (word)"));
        assert_eq!(found.merged, set(&["user_email"]), "two addresses became one");
    }

    #[test]
    fn rows_that_do_not_come_out_prove_nothing() {
        let values = Values::new(&set(&["user_email"]));
        let nothing = RecordBatch::new_empty(schema::decoded());
        let proof = values.compare(&set(&["user_email"]), &nothing);
        for required in [&[][..], &["email"]] {
            assert!(check(&proof, required).unwrap_err().contains("nothing is proved"));
        }
    }

    #[test]
    fn a_column_that_nobody_replaces_is_named_with_the_flag_that_gives_it_up() {
        let error = check(&Proof::default(), &[]).unwrap_err();
        assert!(error.contains("--allow-unredacted user_email"), "{error}");
    }

    #[test]
    fn marks_are_valid_and_differ_each_time() {
        let mut random = Random::new();
        let card = random.card();
        let digits = card.chars().rev().filter_map(|digit| digit.to_digit(10));
        // From the check digit itself, every second one is doubled, beginning with the one before it.
        let sum: u32 = digits.enumerate().map(|(at, digit)| luhn(at + 1, digit)).sum();
        assert_eq!((card.len(), sum % 10), (16, 0), "{card}");
        assert_ne!(random.letters(12), Random::new().letters(12));
        assert!(random.address().parse::<std::net::IpAddr>().is_ok());
        for _ in 0..100 {
            let (ssn, iban) = (random.ssn(), random.iban());
            assert_eq!(ssn.split('-').map(str::len).collect::<Vec<_>>(), [3, 2, 4], "{ssn}");
            let (digits, account) = iban.strip_prefix("DE").unwrap().split_at(2);
            let number = format!("{account}1314{digits}");
            let rest =
                number.bytes().fold(0, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
            assert_eq!((iban.len(), rest), (22, 1), "{iban}");
        }
    }
}
