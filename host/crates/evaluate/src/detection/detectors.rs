//! The built-in detectors with their defaults, natively: their components hold the same code.

use anyhow::{Context as _, Result};
use audit_plugin_sdk::lookup::Interval;
use audit_plugin_sdk::testing::{Detection, Table, give_calendar, give_table};
use audit_plugin_sdk::{Alert, Detector, Severity};
use detect_failed_logins::DetectFailedLogins;
use detect_ip_spread::DetectIpSpread;
use detect_mass_export::DetectMassExport;
use detect_off_hours::DetectOffHours;
use detect_privilege_change::DetectPrivilegeChange;
use detect_unusual_volume::DetectUnusualVolume;
use jiff::civil::{Date, time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::Finding;
use super::stream::Stream;

/// Berlin's rule of summer time as POSIX writes it.
const TIME_ZONE: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
/// Days of the calendar before and behind the stream.
const DAYS_AROUND: i64 = 30;

/// What all detectors find. The configuration is the one that the generator writes beside its tables.
pub(super) fn run(stream: &Stream) -> Result<Vec<Finding>> {
    let roles = Table::from_csv("user_id", &stream.lookups.roles);
    give_table("roles", roles.temporal("valid_from", "valid_to"));
    give_calendar("office", opening_hours(stream)?);
    let ignored = ignored(&stream.lookups.config)?;
    let off_hours = format!(r#"{{"calendar": "office", "ignore-users": {ignored}}}"#);
    let mut found = Vec::new();
    detect::<DetectFailedLogins>("{}", stream, &mut found)?;
    detect::<DetectOffHours>(&off_hours, stream, &mut found)?;
    detect::<DetectIpSpread>("{}", stream, &mut found)?;
    detect::<DetectPrivilegeChange>(r#"{"roles": "roles"}"#, stream, &mut found)?;
    detect::<DetectUnusualVolume>("{}", stream, &mut found)?;
    detect::<DetectMassExport>("{}", stream, &mut found)?;
    Ok(found)
}

fn detect<D: Detector>(config: &str, stream: &Stream, found: &mut Vec<Finding>) -> Result<()> {
    let name = D::DESCRIPTION.name;
    let refused = |error| anyhow::anyhow!("{name} refuses its configuration: {error}");
    let mut detector = Detection::<D>::new(config).map_err(refused)?;
    for (clock, batch) in &stream.batches {
        let judged = detector.process(*clock, batch);
        let judgement = judged.map_err(|fault| anyhow::anyhow!("{name} failed: {fault:?}"))?;
        found.extend(judgement.alerts().iter().map(|alert| finding(alert, *clock)));
    }
    Ok(())
}

/// How urgent an unusual hour is depends on the history, which labels know nothing of: there an escalation
/// counts as one more alert on the same attack.
const WITHOUT_ESCALATIONS: &str = "unusual-volume";

fn finding(alert: &Alert, clock: i64) -> Finding {
    let key: Vec<_> = alert.key.iter().map(|field| field.value.as_str()).collect();
    let rule = alert.rule.strip_suffix("-escalated").filter(|rule| *rule == WITHOUT_ESCALATIONS);
    let severity = match alert.severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    };
    Finding {
        rule: rule.unwrap_or(&alert.rule).to_owned(),
        key: key.join("/"),
        from: alert.first_event,
        until: alert.last_event,
        found: clock,
        severity: Some(severity.to_owned()),
    }
}

/// The users that the generator's configuration tells to ignore, as JSON.
fn ignored(config: &str) -> Result<&str> {
    let (_, list) = config.split_once("ignore-users = ").context("no ignore-users")?;
    let (list, _) = list.split_once(" }").context("ignore-users without an end")?;
    Ok(list)
}

/// Monday to Friday from 9 to 17 o'clock in Berlin, but for holidays.
fn opening_hours(stream: &Stream) -> Result<Vec<Interval>> {
    let zone = TimeZone::posix(TIME_ZONE)?;
    let day_of =
        |at| -> Result<Date> { Ok(Timestamp::from_microsecond(at)?.to_zoned(zone.clone()).date()) };
    let around = Span::new().days(DAYS_AROUND);
    let first = day_of(stream.span.0)?.checked_sub(around)?;
    let last = day_of(stream.span.1)?.checked_add(around)?;
    let lines = stream.lookups.holidays.lines().skip(1);
    let holidays: Vec<Date> = lines
        .filter_map(|line| line.split_once(','))
        .map(|(date, _)| date.parse())
        .collect::<Result<_, _>>()?;
    let days = first.series(Span::new().days(1)).take_while(|day| *day <= last);
    let workdays =
        days.filter(|day| day.weekday().to_monday_zero_offset() < 5 && !holidays.contains(day));
    workdays
        .map(|day| {
            let at = |hour| -> Result<i64> {
                let zoned = day.to_datetime(time(hour, 0, 0, 0)).to_zoned(zone.clone())?;
                Ok(zoned.timestamp().as_microsecond())
            };
            Ok(Interval { start: at(9)?, end: at(17)?, is_open: true, reason: String::new() })
        })
        .collect()
}
