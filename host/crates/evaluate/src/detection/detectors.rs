//! The built-in detectors with their defaults, natively: their components hold the same code.

use anyhow::Result;
use audit_plugin_sdk::testing::Detection;
use audit_plugin_sdk::{Alert, Detector, Severity};
use detect_failed_logins::DetectFailedLogins;
use detect_ip_spread::DetectIpSpread;
use detect_mass_export::DetectMassExport;
use detect_off_hours::DetectOffHours;
use detect_privilege_change::DetectPrivilegeChange;
use detect_unusual_volume::DetectUnusualVolume;

use super::finding::Finding;
use super::office::Office;
use super::stream::Stream;

/// The findings of all detectors. The configuration is the one that the generator writes beside its tables.
pub(super) fn run(stream: &Stream) -> Result<Vec<Finding>> {
    let office = Office::read(&stream.lookups.config)?;
    office.give(&stream.lookups, stream.span)?;
    let mut found = Vec::new();
    detect::<DetectFailedLogins>(&office, stream, &mut found)?;
    detect::<DetectOffHours>(&office, stream, &mut found)?;
    detect::<DetectIpSpread>(&office, stream, &mut found)?;
    detect::<DetectPrivilegeChange>(&office, stream, &mut found)?;
    detect::<DetectUnusualVolume>(&office, stream, &mut found)?;
    detect::<DetectMassExport>(&office, stream, &mut found)?;
    Ok(found)
}

fn detect<D: Detector>(office: &Office, stream: &Stream, found: &mut Vec<Finding>) -> Result<()> {
    let name = D::DESCRIPTION.name;
    let config = office.config_of(name)?;
    let refused = |error| anyhow::anyhow!("{name} refuses its configuration: {error}");
    let mut detector = Detection::<D>::new(&config).map_err(refused)?;
    for (clock, batch) in &stream.batches {
        let judged = detector.process(*clock, batch);
        let judgement = judged.map_err(|fault| anyhow::anyhow!("{name} failed: {fault:?}"))?;
        found.extend(judgement.alerts().iter().map(|alert| finding(alert, *clock)));
    }
    Ok(())
}

/// The severity of an unusual hour depends on the history, which labels do not cover: an escalation counts as
/// one more alert on the same attack.
const WITHOUT_ESCALATIONS: &str = "unusual-volume";

/// The rule whose labels the alerts of a rule are compared with.
pub(super) fn scored_as(rule: &str) -> &str {
    let base = rule.strip_suffix("-escalated").filter(|rule| *rule == WITHOUT_ESCALATIONS);
    base.unwrap_or(rule)
}

fn finding(alert: &Alert, clock: i64) -> Finding {
    let key: Vec<_> = alert.key.iter().map(|field| field.value.as_str()).collect();
    let severity = match alert.severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    };
    Finding {
        rule: scored_as(&alert.rule).to_owned(),
        key: key.join("/"),
        from: alert.first_event,
        until: alert.last_event,
        found: clock,
        severity: Some(severity.to_owned()),
    }
}
