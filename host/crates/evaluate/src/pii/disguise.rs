//! Other ways to write a value. Most values are written as they are.

use super::base64::base64;
use super::entities::Entity;
use super::random::Random;

/// Writes a value as it is, or disguised.
pub(super) fn disguise(plain: &str, entity: Entity, is_json: bool, random: &mut Random) -> String {
    // Keys and tokens have one way to be written.
    let is_fixed = matches!(entity, Entity::ApiKey | Entity::Jwt);
    match random.below(20) {
        0 if !is_fixed => other_digits(plain, random),
        1 if !is_fixed => invisible(plain, random),
        2 if !is_fixed => percent(plain, random),
        3 if !is_fixed => base64(&format!("{{\"v\":\"{plain}\"}}")),
        4 if is_json => escaped(plain, random),
        _ => plain.to_owned(),
    }
}

fn other_digits(plain: &str, random: &mut Random) -> String {
    // Full-width, Arabic-Indic, extended Arabic-Indic, Devanagari, Thai, mathematical bold.
    let zero = random.pick(&[0xff10, 0x660, 0x6f0, 0x966, 0xe50, 0x1d7ce]);
    let change = |character: char| match character.to_digit(10) {
        Some(digit) => char::from_u32(zero + digit).unwrap_or(character),
        None => character,
    };
    plain.chars().map(change).collect()
}

/// A character that is not seen, somewhere inside.
fn invisible(plain: &str, random: &mut Random) -> String {
    let sign = random.pick(&['\u{200b}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}']);
    let at = random.between(1, plain.chars().count() as u64 - 1) as usize;
    let (before, behind): (Vec<_>, Vec<_>) = plain.chars().enumerate().partition(|(i, _)| *i < at);
    let chars = |part: Vec<(usize, char)>| part.into_iter().map(|(_, character)| character);
    chars(before).chain([sign]).chain(chars(behind)).collect()
}

/// What a form sends: all but letters and digits, or simply all of it.
fn percent(plain: &str, random: &mut Random) -> String {
    let all = random.one_in(4);
    let write = |byte: u8| {
        let is_plain = byte.is_ascii_alphanumeric() && !all;
        if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    plain.bytes().map(write).collect()
}

/// Some characters as `\u0040`.
fn escaped(plain: &str, random: &mut Random) -> String {
    let write = |character: char| {
        if character.is_ascii() && (!character.is_ascii_alphanumeric() || random.one_in(5)) {
            format!("\\u{:04x}", u32::from(character))
        } else {
            character.to_string()
        }
    };
    plain.chars().map(write).collect()
}
