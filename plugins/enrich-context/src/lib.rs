//! Adds context to each event: the class of its address and the name of its network, the family of the client
//! program, whether it was within business hours, and the actor's role at that time.
//!
//! It only adds columns. It changes no value and refuses no row: what cannot be determined is null or says so.
//! See `docs/plugins/enrich_context.md`.

#![forbid(unsafe_code)]

mod address;
mod agent;
mod config;
mod repeats;

use std::cell::RefCell;

use audit_hours::Hours;
use audit_plugin_sdk::{
    Batch, Binding, BooleanColumn, Column, ColumnType, Config, ConfigError, Context, Description,
    Fault, Judgement, Transform, Utf8Builder, Utf8Column, Utf8Edit, export_transform,
};

use config::{Networks, Roles, Settings};
use repeats::Repeats;

const IP_CLASS: &str = "ip_class";
const IP_NETWORK: &str = "ip_network";
const USER_AGENT_FAMILY: &str = "user_agent_family";
const BUSINESS_HOURS: &str = "business_hours";
const ACTOR_ROLE: &str = "actor_role";

/// The class of addresses in a table of networks without classes.
const OFFICE: &str = "office";

/// A class is a word; room for 16 bytes each makes growing rare.
const CLASS_BYTES: usize = 16;

/// The transform.
#[derive(Debug)]
pub struct EnrichContext {
    /// It caches answers of the host, so a lookup changes it.
    hours: RefCell<Hours>,
    networks: Option<Networks>,
    roles: Option<Roles>,
    max_future_micros: i64,
}

impl Transform for EnrichContext {
    const DESCRIPTION: Description = Description {
        config_schema: config::SCHEMA,
        ..Description::new("enrich_context", env!("CARGO_PKG_VERSION"))
    };

    fn configure(config: &Config) -> Result<(Self, Binding), ConfigError> {
        let Settings { hours, networks, roles, max_future_micros } = Settings::from_config(config)?;
        let mut binding = Binding::default()
            .reading("ip_address")
            .reading("user_agent")
            .reading("event_timestamp")
            .reading("source_timestamp")
            .adding_utf8(IP_CLASS)
            .adding_utf8(USER_AGENT_FAMILY)
            .adding(BUSINESS_HOURS, ColumnType::Boolean);
        if networks.is_some() {
            binding = binding.adding_utf8(IP_NETWORK);
        }
        if roles.is_some() {
            binding = binding.reading("user_id").adding_utf8(ACTOR_ROLE);
        }
        let hours = RefCell::new(hours);
        Ok((Self { hours, networks, roles, max_future_micros }, binding))
    }

    fn process(&self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        let places = self.places(batch.utf8("ip_address")?)?;
        let times = self.times(batch)?;
        out.write_utf8(IP_CLASS, places.class);
        out.write_utf8(USER_AGENT_FAMILY, families(batch.utf8("user_agent")?));
        out.write(BUSINESS_HOURS, Column::Boolean(self.business_hours(&times)?));
        if let Some(name) = places.network {
            out.write_utf8(IP_NETWORK, name);
        }
        if let Some(roles) = &self.roles {
            out.write_utf8(ACTOR_ROLE, actor_roles(roles, batch.utf8("user_id")?, &times)?);
        }
        Ok(())
    }
}

export_transform!(EnrichContext);

/// The columns of the addresses of a batch.
struct Places {
    class: Utf8Column,
    network: Option<Utf8Column>,
}

impl EnrichContext {
    fn places(&self, addresses: &Utf8Column) -> Result<Places, Fault> {
        let repeats = Repeats::of(addresses);
        let own = |row| addresses.get(row).map_or(address::INVALID, address::class).as_bytes();
        let Some(networks) = &self.networks else {
            let classes: Vec<_> = repeats.rows().map(|row| Some(own(row))).collect();
            return Ok(Places { class: spread(&repeats, &classes), network: None });
        };
        let mut keys = Utf8Builder::with_capacity(repeats.rows().len(), 0);
        for row in repeats.rows() {
            match addresses.get(row) {
                Some(address) => keys.push(address),
                None => keys.push_null(),
            }
        }
        let keys = keys.finish();
        let names = networks.table.find(&networks.name, &keys, None)?;
        let known = match &networks.class {
            Some(column) => Some(networks.table.find(column, &keys, None)?),
            None => None,
        };
        let class = |(code, row)| match &known {
            Some(known) => known.get(code).filter(|class| !class.is_empty()).unwrap_or(own(row)),
            None => names.get(code).map_or(own(row), |_| OFFICE.as_bytes()),
        };
        let classes: Vec<_> = repeats.rows().enumerate().map(|place| Some(class(place))).collect();
        let names: Vec<_> = (0..names.rows()).map(|code| names.get(code)).collect();
        Ok(Places { class: spread(&repeats, &classes), network: Some(spread(&repeats, &names)) })
    }

    /// The time of each event, capped. `None` for an event without a time.
    fn times(&self, batch: &Batch) -> Result<Vec<Option<i64>>, Fault> {
        let claimed = batch.timestamp("event_timestamp")?;
        let received = batch.timestamp("source_timestamp")?;
        let time = |row| {
            let claimed = claimed.get(row)?;
            let latest = received.get(row).map(|time| time.saturating_add(self.max_future_micros));
            Some(latest.map_or(claimed, |latest| claimed.min(latest)))
        };
        Ok((0..batch.rows()).map(time).collect())
    }

    fn business_hours(&self, times: &[Option<i64>]) -> Result<BooleanColumn, Fault> {
        let mut hours = self.hours.borrow_mut();
        hours.start_batch();
        let mut is_open = Vec::with_capacity(times.len());
        for time in times {
            is_open.push(match time {
                Some(time) => Some(hours.at(*time)?.is_open),
                None => None,
            });
        }
        Ok(BooleanColumn::from_options(&is_open))
    }
}

/// The family of each program.
fn families(agents: &Utf8Column) -> Utf8Column {
    let repeats = Repeats::of(agents);
    let family = |row| Some(agent::family(agents.get(row)?).name().as_bytes());
    let families: Vec<_> = repeats.rows().map(family).collect();
    spread(&repeats, &families)
}

/// The role that each actor had when the event happened.
fn actor_roles(
    roles: &Roles,
    users: &Utf8Column,
    times: &[Option<i64>],
) -> Result<Utf8Column, Fault> {
    let as_of: Vec<i64> = times.iter().map(|time| time.unwrap_or_default()).collect();
    let found = roles.table.find(&roles.column, users, Some(&as_of))?;
    // Without a time the role is unknown.
    let mut edit = Utf8Edit::new(&found);
    for row in times.iter().enumerate().filter(|(_, time)| time.is_none()).map(|(row, _)| row) {
        edit.set_null(row);
    }
    Ok(edit.finish())
}

/// The column that has each value in all rows of its code.
fn spread(repeats: &Repeats, values: &[Option<&[u8]>]) -> Utf8Column {
    let codes = repeats.codes();
    let mut builder = Utf8Builder::with_capacity(codes.len(), codes.len() * CLASS_BYTES);
    for code in codes {
        match code.and_then(|code| values[code]) {
            Some(value) => builder.push(value),
            None => builder.push_null(),
        }
    }
    builder.finish()
}
