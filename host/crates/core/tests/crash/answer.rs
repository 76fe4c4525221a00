//! Answers of a catalog that cannot be trusted.

/// How the catalog answers an update, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Answer {
    Honest,
    /// An error before it took effect.
    Refused,
    /// An error after it took effect.
    Lost,
    /// A success that was none.
    Lie,
    /// No answer, and no effect.
    SilentWithout,
    /// No answer, but an effect.
    SilentWith,
    /// An error, and it takes effect when somebody else is at work.
    Late,
}

pub(crate) const FALSE_ANSWERS: [Answer; 6] = [
    Answer::Refused,
    Answer::Lost,
    Answer::Lie,
    Answer::SilentWithout,
    Answer::SilentWith,
    Answer::Late,
];
