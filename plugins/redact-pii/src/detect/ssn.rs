//! United States social security numbers: `ddd-dd-dddd` or `ddd dd dddd`, without the numbers that
//! the Social Security Administration never assigns (POMS RM 10201.035).

use super::byte::is_alphanumeric;
use super::groups::{Number, Separator};

pub(super) fn groups(number: Number<'_>) -> Option<usize> {
    let (area, group, serial) = (number.digits(0), number.digits(1), number.digits(2));
    let Separator::One(separator @ (b'-' | b' ')) = number.separator(1) else {
        return None;
    };
    let fits = area.len() == 3
        && group.len() == 2
        && serial.len() == 4
        && number.separator(2) == Separator::One(separator)
        && !is_in_dashes(number, separator);
    let is_assigned =
        !matches!(area, b"000" | b"666" | [b'9', ..]) && group != b"00" && serial != b"0000";
    (fits && is_assigned).then_some(3)
}

/// Whether dashes go on before or after: a part of a longer number.
fn is_in_dashes(number: Number<'_>, separator: u8) -> bool {
    if separator != b'-' {
        return false;
    }
    let end = number.group(2).map_or(0, |group| group.end);
    let goes_on =
        number.behind(2) == Some(b'-') && is_alphanumeric(number.text.get(end + 1).copied());
    let start = number.group(0).map_or(0, |group| group.start);
    let comes_from = start >= 2
        && number.text[start - 1] == b'-'
        && number.text[start - 2].is_ascii_alphanumeric();
    goes_on || comes_from
}
