//! What a case is, and the cases that a component carries.

use audit_chain::{Granted, Key, Keys};
use serde_json::Value;

use super::section::{self, Problem};
use super::{Error, json, lookups};

/// The custom sections of a component that hold its cases, each a JSON array of them.
pub(super) const SECTION: &str = "audit-host:golden";
/// Each case starts the plugin twice, which takes milliseconds: a component that carries a million
/// empty cases must not hold up whoever looks at it.
const CASES_MAX: usize = 256;
/// A name is shown in lines and diffs.
const NAME_BYTES_MAX: usize = 128;
/// The topic of cases that name none.
const TOPIC: &str = "audit_events";

/// Events, under which configuration they are judged, and what must come out.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// JSON text that is an object, byte by byte as the case has it.
    pub(crate) config: String,
    /// Made up for the case: real ones are never granted to it.
    pub(crate) keys: Keys,
    /// Tables and calendars of the case, for the same reason.
    pub(crate) lookups: Granted,
    pub(crate) topic: String,
    /// Kafka's time of every record, in microseconds since 1970. Without it each record has the time
    /// of its own event.
    pub(crate) clock: Option<i64>,
    /// Payloads of Kafka records, in order.
    pub(crate) events: Vec<Vec<u8>>,
    pub(crate) expected: Expected,
}

/// What must come out. `None`: the case does not say, and nothing may come out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Expected {
    pub(crate) rows: Option<Vec<Value>>,
    pub(crate) alerts: Option<Vec<Value>>,
    pub(crate) dead_letters: Option<Vec<Value>>,
}

impl Case {
    pub(super) fn new(name: &str) -> Result<Self, String> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(format!(
                "a name must have 1 to {NAME_BYTES_MAX} bytes and no control characters"
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            config: "{}".to_owned(),
            keys: Keys::new(),
            lookups: Granted::default(),
            topic: TOPIC.to_owned(),
            clock: None,
            events: Vec::new(),
            expected: Expected::default(),
        })
    }

    /// Takes what is said beside events and configuration. Whether the key is one of these.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "keys" => self.keys = keys(value)?,
            "lookups" => self.lookups = lookups::parse(value)?,
            "topic" => self.topic = text(value)?,
            "clock" => {
                let clock = serde_json::from_str(value);
                self.clock =
                    Some(clock.map_err(|_| "microseconds since 1970 are expected".to_owned())?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The cases that a component carries, in order. None for a component without them; an error for bytes
/// that are no component, for a damaged one, and for cases that cannot be read.
pub(crate) fn embedded(component: &[u8]) -> Result<Vec<Case>, Error> {
    let sections = section::custom(component, SECTION).map_err(|problem| match problem {
        Problem::Damaged { at } => Error::Damaged { at },
        Problem::TooLarge { n_bytes } => Error::TooLarge { n_bytes, max: section::BYTES_MAX },
    })?;
    let mut cases = Vec::new();
    for content in sections {
        let text = std::str::from_utf8(content).map_err(|error| of_section(error.to_string()))?;
        add(&mut cases, text)?;
    }
    Ok(cases)
}

/// The cases of one section's text.
pub(crate) fn parse(text: &str) -> Result<Vec<Case>, Error> {
    let mut cases = Vec::new();
    add(&mut cases, text)?;
    Ok(cases)
}

fn add(cases: &mut Vec<Case>, text: &str) -> Result<(), Error> {
    for object in json::elements(text).map_err(of_section)? {
        if cases.len() == CASES_MAX {
            return Err(Error::TooMany { n_cases: cases.len() + 1, max: CASES_MAX });
        }
        let place = format!("number {} of the component", cases.len() + 1);
        let case = of_object(object).map_err(|problem| Error::Case { place, problem })?;
        if cases.iter().any(|known| known.name == case.name) {
            return Err(of_section(format!("the name {:?} stands twice", case.name)));
        }
        cases.push(case);
    }
    Ok(())
}

fn of_section(problem: String) -> Error {
    Error::Case { place: "section of the component".to_owned(), problem }
}

fn of_object(object: &str) -> Result<Case, String> {
    let members = json::members(object)?;
    let name =
        members.iter().find(|(key, _)| key == "name").ok_or("the key \"name\" is missing")?;
    let mut case = Case::new(&text(name.1).map_err(|problem| format!("name: {problem}"))?)?;
    let mut has_events = false;
    for (key, value) in members {
        let said = match key.as_str() {
            "name" => Ok(true),
            "config" => config(value).map(|text| case.config = text).map(|()| true),
            "events" => {
                has_events = true;
                events(value).map(|events| case.events = events).map(|()| true)
            }
            "rows" => list(value).map(|rows| case.expected.rows = Some(rows)).map(|()| true),
            "alerts" => {
                list(value).map(|alerts| case.expected.alerts = Some(alerts)).map(|()| true)
            }
            "dead_letters" => {
                list(value).map(|letters| case.expected.dead_letters = Some(letters)).map(|()| true)
            }
            _ => case.set(&key, value),
        };
        match said {
            Ok(true) => {}
            Ok(false) => return Err(format!("{:?}: the key {key:?} is not known", case.name)),
            Err(problem) => return Err(format!("{:?}: {key}: {problem}", case.name)),
        }
    }
    if has_events {
        Ok(case)
    } else {
        Err(format!("{:?}: the key \"events\" is missing", case.name))
    }
}

/// The configuration as text, which must be an object.
pub(super) fn config(text: &str) -> Result<String, String> {
    json::members(text)?;
    Ok(text.trim().to_owned())
}

/// Text is a payload as it stands; anything else is the payload that its JSON is.
fn events(array: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut events = Vec::new();
    for event in json::elements(array)? {
        let payload = if event.starts_with('"') { text(event)? } else { event.to_owned() };
        events.push(payload.into_bytes());
    }
    Ok(events)
}

/// What is expected: objects.
fn list(array: &str) -> Result<Vec<Value>, String> {
    json::elements(array)?.into_iter().map(object).collect()
}

pub(super) fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(Value::Object(object)),
        Ok(_) => Err("a JSON object is expected".to_owned()),
        Err(error) => Err(format!("not JSON: {error}")),
    }
}

fn text(value: &str) -> Result<String, String> {
    serde_json::from_str(value).map_err(|_| "text is expected".to_owned())
}

fn keys(value: &str) -> Result<Keys, String> {
    let members = json::members(value)?;
    let key = |(name, secret): (String, &str)| Ok((name, Key::new(text(secret)?.as_bytes())));
    members.into_iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::section::tests::section;
    use super::*;

    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

    fn carrying(sections: &[&str]) -> Result<Vec<Case>, Error> {
        let mut component = HEADER.to_vec();
        for content in sections {
            component.extend(section(0, SECTION, content.as_bytes()));
        }
        embedded(&component)
    }

    #[test]
    fn cases_are_read_byte_by_byte() {
        let one = r#"[{"name":"one","config":{ "b": 1.0, "a": 2 },"keys":{"k":"secret"},"topic":"t",
            "clock":7,"events":[{"z": 1, "a":1.10},"no \"json\"",""],"rows":[{"offset":0}],
            "alerts":[],"dead_letters":[{"offset":1}]}]"#;
        let cases = carrying(&[one, r#"[{"name":"two","events":[]}]"#]).unwrap();
        let case = &cases[0];
        assert_eq!(case.config, r#"{ "b": 1.0, "a": 2 }"#);
        assert_eq!((case.topic.as_str(), case.clock), ("t", Some(7)));
        assert_eq!(format!("{:?}", case.keys), r#"{"k": Key(..)}"#);
        let payloads: [&[u8]; 3] = [br#"{"z": 1, "a":1.10}"#, br#"no "json""#, b""];
        assert_eq!(case.events, payloads);
        assert_eq!(case.expected.rows, Some(vec![json!({"offset": 0})]));
        assert_eq!(case.expected.alerts, Some(Vec::new()));
        assert_eq!((cases[1].name.as_str(), cases[1].config.as_str()), ("two", "{}"));
        assert_eq!(cases[1].expected, Expected::default());
        assert_eq!(carrying(&[]).unwrap().len(), 0);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        for (content, says) in [
            ("", "an array is expected"),
            ("[{]", "section of the component"),
            ("[1]", "number 1 of the component: an object is expected"),
            ("[{}]", "\"name\" is missing"),
            (r#"[{"name":"x"}]"#, "\"x\": the key \"events\" is missing"),
            (r#"[{"name":"","events":[]}]"#, "1 to 128 bytes"),
            (r#"[{"name":"a\u001b[2J","events":[]}]"#, "no control characters"),
            (r#"[{"name":"x","events":{}}]"#, "\"x\": events: an array is expected"),
            (r#"[{"name":"x","events":[],"config":[]}]"#, "config: an object is expected"),
            (r#"[{"name":"x","events":[],"rows":[1]}]"#, "rows: a JSON object is expected"),
            (r#"[{"name":"x","events":[],"alert":[]}]"#, "the key \"alert\" is not known"),
            (r#"[{"name":"x","events":[],"clock":"now"}]"#, "clock: microseconds"),
            (r#"[{"name":"x","events":[],"keys":{"k":1}}]"#, "keys: text is expected"),
            (
                r#"[{"name":"x","events":[],"lookups":{"t":{"csv":"k\na\na\n","key":"k"}}}]"#,
                "lookups: lookups.t: t.csv, line 3: duplicate key: line 2 has it already",
            ),
            (
                r#"[{"name":"x","events":[],"lookups":{"t":{"key":"k"}}}]"#,
                "lookups: t: neither a table (csv, key) nor a calendar (time-zone, hours)",
            ),
            (r#"[{"name":"x","events":[]},{"name":"x","events":[]}]"#, "\"x\" stands twice"),
        ] {
            let said = carrying(&[content]).unwrap_err().to_string();
            assert!(said.contains(says), "{content}: {said}");
        }
        let many: Vec<_> =
            (0..=CASES_MAX).map(|n| format!(r#"{{"name":"{n}","events":[]}}"#)).collect();
        let said = carrying(&[&format!("[{}]", many.join(","))]).unwrap_err().to_string();
        assert!(said.contains("at most 256"), "{said}");
        let not_text = [HEADER, &section(0, SECTION, &[b'[', 0xff, b']'])].concat();
        assert!(embedded(&not_text).unwrap_err().to_string().contains("utf-8"));
        assert!(matches!(embedded(b""), Err(Error::Damaged { at: 0 })));
    }
}
