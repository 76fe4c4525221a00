//! Redacts a corpus and judges the result for every inserted value and for the text between them.

use audit_plugin_sdk::testing::{self, BatchBuilder, Transformer};
use redact_pii::RedactPii;

use super::align::{self, Gap, Original, Placeholder};
use super::corpus::{Event, Meaning};
use super::entities::Entity;

/// Every detector, free text only: what a path does is not a matter of recall. The action is `redact`, which
/// keeps nothing of a value.
const CONFIG: &str = r#"{"fields": {"user_email": "keep"}, "details-paths": {"granted_to": "keep"},
    "free-text": ["details", "text"]}"#;

/// What became of an inserted value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// Every character stands.
    Kept,
    /// No letter and no digit stands. What the placeholders in its place name.
    Replaced(Vec<Entity>),
    /// Anything else.
    Damaged,
    /// Unknown, because the answer is not the text with placeholders in it.
    Unjudged,
}

/// Something that should have been left alone and was not, or a placeholder that stands for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alarm {
    /// What it was taken for. `None` if the placeholder does not say.
    pub(super) class: Option<Entity>,
    pub(super) over: Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// The inserted value with this number.
    Negative(usize),
    /// Text between values, blanks and punctuation too.
    Literal,
    /// One placeholder more than there are values.
    Nothing,
}

/// What became of an event.
#[derive(Debug)]
pub(super) struct Verdict {
    /// One for each inserted value.
    pub(super) fates: Vec<Fate>,
    pub(super) alarms: Vec<Alarm>,
}

/// The values as the plugin leaves them.
pub(super) fn redact(events: &[Event]) -> Vec<String> {
    let mut plugin = Transformer::<RedactPii>::new(CONFIG).expect("a good configuration");
    let texts: Vec<String> = events.iter().map(Event::text).collect();
    let column = |is_details: bool| -> Vec<Option<&str>> {
        let rows = events.iter().zip(&texts);
        rows.map(|(event, text)| (event.is_details == is_details).then_some(text.as_str()))
            .collect()
    };
    let batch = BatchBuilder::new(events.len())
        .utf8("details", &column(true))
        .utf8("text", &column(false))
        .build();
    let judgement = plugin.process(&batch).expect("a judgement");
    let details = testing::texts(&judgement, "details");
    let others = testing::texts(&judgement, "text");
    let rows = details.into_iter().zip(others);
    rows.map(|(detail, other)| detail.or(other).expect("a row has one of them").to_owned())
        .collect()
}

/// Who a character belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Literal(usize),
    Piece(usize),
}

/// Follows the text of an event through an answer.
pub(super) fn judge(event: &Event, answer: &str) -> Verdict {
    // JSON that is written anew has other escapes, so both are compared without.
    let plain = |text: &str| if event.is_details { unescaped(text) } else { text.to_owned() };
    let mut chars = Vec::new();
    let mut owners = Vec::new();
    let mut add = |text: &str, owner: Owner, is_value: bool| {
        for character in plain(text).chars() {
            chars.push((character, is_value));
            owners.push(owner);
        }
    };
    for (at, literal) in event.literals.iter().enumerate() {
        add(literal, Owner::Literal(at), false);
        if let Some(piece) = event.pieces.get(at) {
            add(&piece.text, Owner::Piece(at), matches!(piece.meaning, Meaning::Entity(_)));
        }
    }
    let original = Original::new(chars);
    let Some(gaps) = align::align(&original, &plain(answer)) else {
        return unjudged(event, answer);
    };
    let mut alarms = Vec::new();
    let mut is_absorbed = vec![false; event.pieces.len()];
    for gap in &gaps {
        alarms.extend(alarms_of(gap, event, &owners, &mut is_absorbed));
    }
    let fates = (0..event.pieces.len()).map(|at| fate(at, &original, &owners, &gaps));
    Verdict { fates: fates.collect(), alarms }
}

fn fate(piece: usize, original: &Original, owners: &[Owner], gaps: &[Gap]) -> Fate {
    let is_own = |at: &usize| owners[*at] == Owner::Piece(piece);
    let is_gone = |at: usize| gaps.iter().any(|gap| (gap.from..gap.until).contains(&at));
    let own = || (0..owners.len()).filter(is_own);
    let stands = |at: usize| original.chars[at].is_alphanumeric() && !is_gone(at);
    if !own().any(is_gone) {
        return Fate::Kept;
    }
    if own().any(stands) {
        return Fate::Damaged;
    }
    let touching = gaps.iter().filter(|gap| own().any(|at| (gap.from..gap.until).contains(&at)));
    let named =
        touching.flat_map(|gap| &gap.placeholders).filter_map(|placeholder| named(*placeholder));
    Fate::Replaced(named.collect())
}

fn named(placeholder: Placeholder) -> Option<Entity> {
    match placeholder {
        Placeholder::Of(entity) => Some(entity),
        Placeholder::Any => None,
    }
}

/// A value takes one placeholder, its own if there is one. Whatever else is gone is an alarm each, and so is
/// each placeholder that is left over or names another entity.
fn alarms_of(gap: &Gap, event: &Event, owners: &[Owner], is_absorbed: &mut [bool]) -> Vec<Alarm> {
    let mut covered = owners.get(gap.from..gap.until).unwrap_or_default().to_vec();
    covered.dedup();
    let mut values = Vec::new();
    let mut others = Vec::new();
    for owner in covered {
        match owner {
            Owner::Literal(_) => others.push(Over::Literal),
            Owner::Piece(at) => match event.pieces[at].meaning {
                Meaning::Entity(entity) if !is_absorbed[at] => values.push((at, entity)),
                Meaning::Entity(_) => {}
                Meaning::Negative(_) => others.push(Over::Negative(at)),
            },
        }
    }
    let mut left = gap.placeholders.clone();
    values.retain(|(at, entity)| {
        let own = left.iter().position(|placeholder| *placeholder == Placeholder::Of(*entity));
        if let Some(own) = own {
            left.remove(own);
            is_absorbed[*at] = true;
        }
        own.is_none()
    });
    let mut alarms = Vec::new();
    for (at, _) in values {
        let Some(taken) = left.pop() else { continue };
        is_absorbed[at] = true;
        // Nothing of that name stood there, or whoever calls everything an e-mail address would be perfect.
        if let Some(class) = named(taken) {
            alarms.push(Alarm { class: Some(class), over: Over::Nothing });
        }
    }
    let mut left = left.into_iter();
    for over in others {
        let taken_for = left.next().or_else(|| gap.placeholders.first().copied());
        alarms.push(Alarm { class: taken_for.and_then(named), over });
    }
    alarms.extend(left.map(|placeholder| Alarm { class: named(placeholder), over: Over::Nothing }));
    alarms
}

/// No value counts as found. Every negative that is not there any more is an alarm, so is the text, and so is
/// every placeholder beyond the values of its name.
fn unjudged(event: &Event, answer: &str) -> Verdict {
    let mut alarms = vec![Alarm { class: None, over: Over::Literal }];
    let mut fates = Vec::new();
    for (at, piece) in event.pieces.iter().enumerate() {
        let is_kept = answer.contains(piece.text.as_str());
        if !is_kept && matches!(piece.meaning, Meaning::Negative(_)) {
            alarms.push(Alarm { class: None, over: Over::Negative(at) });
        }
        fates.push(if is_kept { Fate::Kept } else { Fate::Unjudged });
    }
    for entity in Entity::ALL {
        let placeholder = format!("[{}]", entity.placeholder());
        let is_of_it = |meaning| meaning == Meaning::Entity(entity);
        let n_values = event.pieces.iter().filter(|piece| is_of_it(piece.meaning)).count();
        let n_too_many = answer.matches(&placeholder).count().saturating_sub(n_values);
        let alarm = Alarm { class: Some(entity), over: Over::Nothing };
        alarms.extend(std::iter::repeat_n(alarm, n_too_many));
    }
    Verdict { fates, alarms }
}

/// `\u0040` as `@`. The corpus has no other escapes.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("\\u") {
        out.push_str(before);
        let code = behind.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        if let Some(character) = code.and_then(char::from_u32) {
            out.push(character);
            rest = behind.get(4..).unwrap_or_default();
        } else {
            out.push_str("\\u");
            rest = behind;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::super::corpus::Piece;
    use super::*;

    fn event() -> Event {
        let piece = |text: &str, meaning| Piece { text: text.to_owned(), meaning };
        Event {
            is_details: false,
            literals: ["a ", " b ", " c"].map(str::to_owned).to_vec(),
            pieces: vec![
                piece("xy@z.example", Meaning::Entity(Entity::Email)),
                piece("12:30", Meaning::Negative("time")),
            ],
        }
    }

    /// What is left of a value, or goes with it, is noticed.
    #[test]
    fn judgements() {
        let check = |answer: &str, fates: [Fate; 2], alarms: &[(Option<Entity>, Over)]| {
            let verdict = judge(&event(), answer);
            let alarms_found = verdict.alarms.iter().map(|alarm| (alarm.class, alarm.over));
            let alarms_found: Vec<_> = alarms_found.collect();
            assert_eq!(
                (verdict.fates, alarms_found.as_slice()),
                (fates.to_vec(), alarms),
                "{answer}"
            );
        };
        let email = || Fate::Replaced(vec![Entity::Email]);
        let (of_email, of_ip) = (Some(Entity::Email), Some(Entity::Ip));
        let (literal, negative, nothing) = (Over::Literal, Over::Negative(1), Over::Nothing);
        check("a [EMAIL] b 12:30 c", [email(), Fate::Kept], &[]);
        check("a xy@z.example b 12:30 c", [Fate::Kept, Fate::Kept], &[]);
        check("a xy@[EMAIL] b 12:30 c", [Fate::Damaged, Fate::Kept], &[]);
        check("a [EMAIL]e b 12:30 c", [Fate::Damaged, Fate::Kept], &[]);
        check(
            "a [EMAIL] b [IP] c",
            [email(), Fate::Replaced(vec![Entity::Ip])],
            &[(of_ip, negative)],
        );
        check("a [EMAIL] b [IP]0 c", [email(), Fate::Damaged], &[(of_ip, negative)]);
        check("a [EMAIL] [IP]b 12:30 c", [email(), Fate::Kept], &[(of_ip, nothing)]);
        let both = || Fate::Replaced(vec![Entity::Email, Entity::Ip]);
        check("a [EMAIL][IP] b 12:30 c", [both(), Fate::Kept], &[(of_ip, nothing)]);
        let as_ip = || Fate::Replaced(vec![Entity::Ip]);
        check("a [IP] b 12:30 c", [as_ip(), Fate::Kept], &[(of_ip, nothing)]);
        check("a[EMAIL] b 12:30 c", [email(), Fate::Kept], &[(of_email, literal)]);
        let of_all = [(of_email, literal), (of_email, literal), (of_email, negative)];
        check("[EMAIL] c", [email(), email()], &of_all);
        let unnamed = || Fate::Replaced(Vec::new());
        let of_none = [literal, literal, negative, literal].map(|over| (None, over));
        check("[REDACTED]", [unnamed(), unnamed()], &of_none);
        let lost = [(None, literal), (None, negative), (of_ip, nothing)];
        check("* [IP]", [Fate::Unjudged, Fate::Unjudged], &lost);
    }

    #[test]
    fn escapes_are_no_change() {
        let mut event = event();
        event.is_details = true;
        event.pieces[0].text = "xy\\u0040z.example".to_owned();
        let verdict = judge(&event, "a xy@z.example b 12:30 c");
        assert_eq!((verdict.fates, verdict.alarms), (vec![Fate::Kept, Fate::Kept], Vec::new()));
    }
}
