//! The streams that detectors are scored on.

use anyhow::Result;
use audit_generate::{Attack, Disorder, Intensity, Settings};

/// A way of generating streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    pub name: &'static str,
    pub intensity: Intensity,
    pub is_disordered: bool,
    /// The streams begin at different times of the year: holidays, summer time, ends of months.
    pub start: &'static str,
    pub users: usize,
}

const USERS: usize = 50;

pub const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "at the threshold",
        intensity: Intensity::Low,
        is_disordered: false,
        start: "2025-03-10T06:00:00Z",
        users: USERS,
    },
    Scenario {
        name: "ordinary, in disorder",
        intensity: Intensity::Medium,
        is_disordered: true,
        start: "2025-09-22T06:00:00Z",
        users: USERS,
    },
    Scenario {
        name: "strong, in disorder",
        intensity: Intensity::High,
        is_disordered: true,
        start: "2024-11-25T06:00:00Z",
        users: USERS,
    },
];

/// So many people that windows of detectors hold thousands of events: what is read out of order shows most.
pub const CROWD: Scenario = Scenario {
    name: "a crowd, in order",
    intensity: Intensity::Medium,
    is_disordered: false,
    start: "2025-01-16T08:00:00Z",
    users: 500,
};

impl Scenario {
    pub fn settings(&self, seed: u64, n_events: u64) -> Result<Settings> {
        let disorder = if self.is_disordered { Disorder::ALL.to_vec() } else { Vec::new() };
        Ok(Settings {
            seed,
            attacks: Attack::ALL.to_vec(),
            intensity: self.intensity,
            disorder,
            users: self.users,
            ..Settings::office(n_events, self.start.parse()?)
        })
    }
}
