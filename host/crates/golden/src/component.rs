//! The cases that a component carries, in a custom section.

use serde_json::Value;

use crate::case::{self, Case, TOPIC};
use crate::error::Error;
use crate::json;
use crate::section::{append_custom, sections};

/// The name of the section. Its content is a JSON array of cases; a component may have several.
pub const SECTION: &str = "audit-host:golden";
/// Bytes that all golden cases of a component may take: they are read and run before every swap.
const BYTES_MAX: usize = 1 << 20;
/// Each case starts the plugin twice, which takes milliseconds: a component that carries a million
/// empty cases must not delay its reader.
const CASES_MAX: usize = 256;
/// Events and lines of results of all cases. Each takes kilobytes while it is judged, however short it is written: half a
/// million zeros in 1 MiB took 1.3 GiB.
const LINES_MAX: usize = 10_000;

/// The cases that a component carries, in order. None for a component without them; an error for bytes
/// that are not a component, for a damaged one, and for cases that cannot be read.
pub fn embedded(component: &[u8]) -> Result<Vec<Case>, Error> {
    let (mut cases, mut n_bytes) = (Vec::new(), 0);
    for section in sections(component) {
        let section = section.map_err(|damaged| Error::Damaged { at: damaged.at })?;
        if section.name != SECTION {
            continue;
        }
        n_bytes += section.payload.len();
        if n_bytes > BYTES_MAX {
            return Err(Error::TooLarge { n_bytes, max: BYTES_MAX });
        }
        let text = std::str::from_utf8(section.payload);
        add(&mut cases, text.map_err(|error| of_section(error.to_string()))?)?;
    }
    Ok(cases)
}

/// The cases of one section's text.
pub fn parse(text: &str) -> Result<Vec<Case>, Error> {
    let mut cases = Vec::new();
    add(&mut cases, text)?;
    Ok(cases)
}

/// Puts cases into a component. Without any the component stays as it is.
pub fn embed(cases: &[Case], component: &mut Vec<u8>) -> Result<(), Error> {
    if !cases.is_empty() {
        append_custom(component, SECTION, to_json(cases)?.as_bytes());
    }
    Ok(())
}

/// The text of a section with these cases. An error for everything that the reader would reject.
pub fn to_json(cases: &[Case]) -> Result<String, Error> {
    let objects = cases.iter().map(of_case).collect::<Result<Vec<_>, _>>()?;
    let json = format!("[{}]", objects.join(","));
    if json.len() > BYTES_MAX {
        return Err(Error::TooLarge { n_bytes: json.len(), max: BYTES_MAX });
    }
    parse(&json)?;
    Ok(json)
}

/// One case as a JSON object. Events and what is expected keep their text, so that no number is rounded.
fn of_case(case: &Case) -> Result<String, Error> {
    let list = |list: &Option<Vec<String>>| array(list.as_deref().unwrap_or_default());
    let mut members = vec![
        ("name", Value::from(case.name.as_str()).to_string()),
        ("config", case.config.clone()),
        ("events", events(case)?),
        ("rows", list(&case.expected.rows)),
        ("alerts", list(&case.expected.alerts)),
        ("dead_letters", list(&case.expected.dead_letters)),
    ];
    if !case.keys.is_empty() {
        members.push(("keys", serde_json::json!(case.keys).to_string()));
    }
    if let Some(lookups) = &case.lookups {
        members.push(("lookups", lookups.clone()));
    }
    if case.topic != TOPIC {
        members.push(("topic", Value::from(case.topic.as_str()).to_string()));
    }
    if let Some(clock) = case.clock {
        members.push(("clock", clock.to_string()));
    }
    let members: Vec<_> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    Ok(format!("{{{}}}", members.join(",")))
}

/// Payloads: an object verbatim, anything else as text.
fn events(case: &Case) -> Result<String, Error> {
    let mut events = Vec::with_capacity(case.events.len());
    for (idx, event) in case.events.iter().enumerate() {
        let text = std::str::from_utf8(event).map_err(|_| Error::Case {
            place: format!("{:?}", case.name),
            problem: format!("event {} is not UTF-8, and a component carries text", idx + 1),
        })?;
        events.push(match case::line(text) {
            Ok(object) => object,
            Err(_) => Value::from(text).to_string(),
        });
    }
    Ok(array(&events))
}

fn array(elements: &[String]) -> String {
    format!("[{}]", elements.join(","))
}

fn add(cases: &mut Vec<Case>, text: &str) -> Result<(), Error> {
    for object in json::elements(text).map_err(of_section)? {
        if cases.len() == CASES_MAX {
            return Err(Error::TooMany { n_cases: cases.len() + 1, max: CASES_MAX });
        }
        let place = format!("number {} of the component", cases.len() + 1);
        let case = of_object(object).map_err(|problem| Error::Case { place, problem })?;
        if cases.iter().any(|known| known.name == case.name) {
            return Err(of_section(format!("the name {:?} appears twice", case.name)));
        }
        cases.push(case);
        let n_lines = cases.iter().map(Case::n_lines).sum();
        if n_lines > LINES_MAX {
            return Err(Error::TooManyLines { n_lines, max: LINES_MAX });
        }
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
    let mut case = Case::new(&case::text(name.1).map_err(|problem| format!("name: {problem}"))?)?;
    let mut has_events = false;
    for (key, value) in members {
        has_events |= key == "events";
        match member(&mut case, &key, value) {
            Ok(true) => {}
            Ok(false) => return Err(format!("{:?}: unknown key {key:?}", case.name)),
            Err(problem) => return Err(format!("{:?}: {key}: {problem}", case.name)),
        }
    }
    if has_events {
        Ok(case)
    } else {
        Err(format!("{:?}: the key \"events\" is missing", case.name))
    }
}

/// Reads one member of a case. Whether the key is known.
fn member(case: &mut Case, key: &str, value: &str) -> Result<bool, String> {
    match key {
        "name" => {}
        "config" => case.config = case::object(value)?,
        "events" => case.events = payloads(value)?,
        "rows" => case.expected.rows = Some(lines(value)?),
        "alerts" => case.expected.alerts = Some(lines(value)?),
        "dead_letters" => case.expected.dead_letters = Some(lines(value)?),
        _ => return case.set(key, value),
    }
    Ok(true)
}

/// Text is decoded to the payload; any other JSON is the payload verbatim.
fn payloads(array: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut events = Vec::new();
    for event in json::elements(array)? {
        let payload = if event.starts_with('"') { case::text(event)? } else { event.to_owned() };
        events.push(payload.into_bytes());
    }
    Ok(events)
}

fn lines(array: &str) -> Result<Vec<String>, String> {
    json::elements(array)?.into_iter().map(case::line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Expected;

    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

    fn carrying(contents: &[&[u8]]) -> Result<Vec<Case>, Error> {
        let mut component = HEADER.to_vec();
        for content in contents {
            append_custom(&mut component, SECTION, content);
        }
        embedded(&component)
    }

    #[test]
    fn cases_are_read_byte_by_byte() {
        let one = r#"[{"name":"one","config":{ "b": 1.0, "a": 2 },"keys":{"k":"secret"},"topic":"t",
            "clock":7,"events":[{"z": 1, "a":1.10},"no \"json\"",""],"rows":[{ "offset":0}],
            "alerts":[],"dead_letters":[{"offset":1}],"lookups":{"t": {"csv": "k"}}}]"#;
        let two = r#"[{"name":"two","events":[]}]"#;
        let cases = carrying(&[one.as_bytes(), two.as_bytes()]).unwrap();
        let case = &cases[0];
        assert_eq!(case.config, r#"{ "b": 1.0, "a": 2 }"#);
        assert_eq!((case.topic.as_str(), case.clock), ("t", Some(7)));
        assert_eq!(case.keys.get("k").map(String::as_str), Some("secret"));
        assert_eq!(case.lookups.as_deref(), Some(r#"{"t": {"csv": "k"}}"#));
        let payloads: [&[u8]; 3] = [br#"{"z": 1, "a":1.10}"#, br#"no "json""#, b""];
        assert_eq!(case.events, payloads);
        assert_eq!(case.expected.rows, Some(vec![r#"{ "offset":0}"#.to_owned()]));
        assert_eq!(case.expected.alerts, Some(Vec::new()));
        assert_eq!((cases[1].name.as_str(), cases[1].config.as_str()), ("two", "{}"));
        assert!(cases[1].expected.is_empty());
        assert_eq!(carrying(&[]).unwrap().len(), 0);
        // What is written is read again.
        let finished = Expected { rows: Some(Vec::new()), ..Expected::default() };
        let again = parse(&to_json(&cases).unwrap()).unwrap();
        assert_eq!(again[0], cases[0]);
        assert_eq!(again[1].expected.rows, finished.rows);
        let mut component = HEADER.to_vec();
        embed(&cases, &mut component).unwrap();
        assert_eq!(embedded(&component).unwrap(), again);
        let mut component = HEADER.to_vec();
        embed(&[], &mut component).unwrap();
        assert_eq!(component, HEADER);
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
            (r#"[{"name":"x","events":[],"alert":[]}]"#, "unknown key \"alert\""),
            (r#"[{"name":"x","events":[],"clock":"now"}]"#, "clock: microseconds"),
            (r#"[{"name":"x","events":[],"keys":{"k":1}}]"#, "keys: text is expected"),
            (r#"[{"name":"x","events":[],"lookups":[]}]"#, "lookups: an object is expected"),
            (r#"[{"name":"x","events":[]},{"name":"x","events":[]}]"#, "\"x\" appears twice"),
        ] {
            let said = carrying(&[content.as_bytes()]).unwrap_err().to_string();
            assert!(said.contains(says), "{content}: {said}");
        }
        let many: Vec<_> =
            (0..=CASES_MAX).map(|n| format!(r#"{{"name":"{n}","events":[]}}"#)).collect();
        let many = format!("[{}]", many.join(","));
        let said = carrying(&[many.as_bytes()]).unwrap_err().to_string();
        assert!(said.contains("at most 256"), "{said}");
        let said = carrying(&[&[b'[', 0xff, b']']]).unwrap_err().to_string();
        assert!(said.contains("utf-8"), "{said}");
        assert!(matches!(embedded(b""), Err(Error::Damaged { at: 0 })));
    }

    #[test]
    fn the_bound_is_for_all_sections_and_for_the_writer() {
        let half = vec![b' '; BYTES_MAX / 2 + 1];
        let one = [b"[]", half.as_slice()].concat();
        assert_eq!(carrying(&[&one]).unwrap().len(), 0);
        assert!(matches!(carrying(&[&one, &one]), Err(Error::TooLarge { .. })));
        let mut case = Case::new("large").unwrap();
        case.events = vec![vec![b'x'; 1024]; 1024];
        let said = to_json(&[case.clone()]).unwrap_err().to_string();
        assert!(said.contains("at most 1048576"), "{said}");
        case.events = vec![b"0".to_vec(); LINES_MAX + 1];
        let said = to_json(&[case.clone()]).unwrap_err().to_string();
        assert!(said.contains("10001 events") && said.contains("at most 10000"), "{said}");
        case.events = vec![b"fine".to_vec(), vec![0xff]];
        let said = to_json(&[case]).unwrap_err().to_string();
        assert!(said.contains("\"large\": event 2 is not UTF-8"), "{said}");
    }
}
