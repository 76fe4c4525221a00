//! A stretch of time that is open or closed.

/// An open or closed stretch: `[start, end)` in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub start: i64,
    pub end: i64,
    pub is_open: bool,
}

impl Stretch {
    /// Whether a time lies in it.
    pub fn covers(&self, time: i64) -> bool {
        self.start <= time && time < self.end
    }
}
