//! Groups of digits: `4111 1111 1111 1111`, `(212) 555-0123`.

use super::byte::before;

/// A run of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The separator before this group.
    pub(super) separator: Separator,
}

/// The separator between two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    /// This is the first group.
    None,
    /// One byte: space, dash, dot or slash.
    One(u8),
    /// A bracket, possibly with a space or a dash next to it, as in `(212) 555`.
    Bracket,
}

/// The groups of a number, starting with one of them.
#[derive(Clone, Copy)]
pub(super) struct Number<'a> {
    pub(super) text: &'a [u8],
    pub(super) groups: &'a [Group],
    pub(super) first: usize,
}

impl<'a> Number<'a> {
    /// A group, counted from the first.
    pub(super) fn group(self, at: usize) -> Option<Group> {
        self.groups.get(self.first + at).copied()
    }

    /// The digits of a group.
    pub(super) fn digits(self, at: usize) -> &'a [u8] {
        self.group(at).map_or(&[], |group| &self.text[group.start..group.end])
    }

    /// The separator before a group. Of the first group too, where groups precede it.
    pub(super) fn separator(self, at: usize) -> Separator {
        self.group(at).map_or(Separator::None, |group| group.separator)
    }

    /// The byte before the first group.
    pub(super) fn before(self) -> Option<u8> {
        before(self.text, self.groups[self.first].start)
    }

    /// The byte after a group.
    pub(super) fn behind(self, at: usize) -> Option<u8> {
        self.text.get(self.group(at)?.end).copied()
    }
}

/// Collects the groups that are joined by single separators. Returns the number of digits.
pub(super) fn take_groups(text: &[u8], start: usize, groups: &mut Vec<Group>) -> usize {
    groups.clear();
    let mut n_digits = 0;
    let (mut at, mut separator) = (start, Separator::None);
    loop {
        let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        n_digits += digits;
        groups.push(Group { start: at, end: at + digits, separator });
        at += digits;
        match text[at..] {
            [byte @ (b' ' | b'-' | b'.' | b'/'), b'0'..=b'9', ..] => {
                separator = Separator::One(byte);
                at += 1;
            }
            [b'(' | b')', b'0'..=b'9', ..] => {
                separator = Separator::Bracket;
                at += 1;
            }
            [b')', b' ' | b'-', b'0'..=b'9', ..] | [b' ' | b'-', b'(', b'0'..=b'9', ..] => {
                separator = Separator::Bracket;
                at += 2;
            }
            _ => return n_digits,
        }
    }
}
