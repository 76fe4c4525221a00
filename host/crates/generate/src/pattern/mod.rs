//! The pattern's own producer: one event per step, uniform in everything, and bursts of failed logins.

mod agenda;
mod background;
mod campaign;
mod failed_logins;

use self::agenda::Agenda;
use self::background::Background;
use crate::event::Pen;
use crate::label::Label;
use crate::settings::{EventMeta, Settings};
use crate::time::Timeline;

pub(crate) struct Pattern {
    emitted: u64,
    /// Background events so far: the place on the timeline.
    background_emitted: u64,
    timeline: Timeline,
    background: Background,
    agenda: Agenda,
    pen: Pen,
}

impl Pattern {
    pub(crate) fn new(settings: &Settings) -> Self {
        let timeline = Timeline::new(settings.start, settings.step);
        let pen = Pen::new(settings.seed, settings.users, settings.pii);
        let has_attacks = !settings.attacks.is_empty();
        let (seed, n_users) = (settings.seed, pen.n_users());
        Self {
            emitted: 0,
            background_emitted: 0,
            timeline,
            background: Background::new(seed, n_users, has_attacks),
            agenda: Agenda::new(seed, settings.count, timeline, n_users, has_attacks),
            pen,
        }
    }

    pub(crate) fn next_event(&mut self, out: &mut Vec<u8>) -> EventMeta {
        let index = self.emitted;
        self.agenda.plan(self.background_emitted);
        let background_at = self.timeline.at(self.background_emitted);
        let event_time_us = if let Some(deed) = self.agenda.deed_until(background_at, index) {
            self.agenda.write(&deed, &mut self.pen, out);
            deed.at
        } else {
            self.background.write(background_at, &mut self.pen, out);
            self.background_emitted += 1;
            background_at
        };
        self.emitted += 1;
        EventMeta { index, event_time_us, received_time_us: event_time_us }
    }

    pub(crate) fn labels(&self) -> &[Label] {
        self.agenda.labels()
    }

    pub(crate) fn pen(&self) -> &Pen {
        &self.pen
    }
}
