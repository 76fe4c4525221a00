//! Findings against labels.

use std::collections::BTreeMap;

use audit_generate::{Label, Outcome};

use super::finding::Finding;

/// The score of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Score {
    pub n_attacks: usize,
    /// Attacks with a finding.
    pub n_found: usize,
    pub n_findings: usize,
    /// Findings that are about an attack.
    pub n_right: usize,
    pub n_near_misses: usize,
    /// Near misses with a finding.
    pub n_fallen_for: usize,
    /// From an attack's first event to the first finding, in microseconds. Less than nothing if the clock of
    /// the event was ahead.
    pub delays: Vec<i64>,
    /// Of the attacks that were found, by the severity that they are labelled with: those whose first finding
    /// says the same, and all.
    pub severities: BTreeMap<String, (usize, usize)>,
}

impl Score {
    /// Findings that are right. `None` if there are none.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.n_right, self.n_findings)
    }

    /// Attacks that were found.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.n_found, self.n_attacks)
    }

    pub fn findings_per_attack(&self) -> Option<f64> {
        ratio(self.n_right, self.n_found)
    }

    /// Attacks that were found with the right severity, of those that were found.
    pub fn severity_right(&self) -> Option<f64> {
        let count = |of: fn(&(usize, usize)) -> usize| self.severities.values().map(of).sum();
        ratio(count(|(right, _)| *right), count(|(_, found)| *found))
    }

    /// Findings that came before the attack began.
    pub fn n_early(&self) -> usize {
        self.delays.iter().filter(|delay| **delay < 0).count()
    }

    /// So many hundredths of the attacks were found sooner than this, by nearest rank.
    pub fn delay(&self, percent: usize) -> Option<i64> {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        let rank = (delays.len() * percent).div_ceil(100);
        delays.get(rank.checked_sub(1)?).copied()
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The score of each rule.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Scores {
    pub of: BTreeMap<String, Score>,
    /// Findings that count as wrong.
    pub wrong: Vec<Finding>,
    /// Attacks that nobody found.
    pub missed: Vec<Label>,
}

impl Scores {
    /// Takes what was found in one more stream.
    pub fn add(&mut self, labels: &[Label], findings: &[Finding]) {
        for label in labels {
            let score = self.of.entry(label.rule.to_string()).or_default();
            let about_it = findings.iter().filter(|finding| is_about(finding, label));
            let first = about_it.min_by_key(|finding| finding.found);
            if label.expect == Outcome::Silence {
                score.n_near_misses += 1;
                score.n_fallen_for += usize::from(first.is_some());
                continue;
            }
            score.n_attacks += 1;
            score.n_found += usize::from(first.is_some());
            match first {
                Some(first) => {
                    score.delays.push(first.found - began(label, labels));
                    let counts = score.severities.entry(label.severity.to_string()).or_default();
                    counts.0 += usize::from(first.severity.as_deref() == Some(&*label.severity));
                    counts.1 += 1;
                }
                None => self.missed.push(label.clone()),
            }
        }
        for finding in findings {
            let score = self.of.entry(finding.rule.clone()).or_default();
            let attacks = labels.iter().filter(|label| label.expect == Outcome::Alert);
            let is_right = attacks.into_iter().any(|label| is_about(finding, label));
            score.n_findings += 1;
            score.n_right += usize::from(is_right);
            if !is_right {
                self.wrong.push(finding.clone());
            }
        }
    }

    /// The rules that fall short in precision or recall, or were never put to the test.
    pub fn below(&self, goal: f64) -> Vec<&str> {
        let reaches = |value: Option<f64>| value.is_some_and(|value| value >= goal);
        let below = self.of.iter().filter(|(_, score)| {
            score.n_attacks == 0 || !reaches(score.precision()) || !reaches(score.recall())
        });
        below.map(|(rule, _)| rule.as_str()).collect()
    }

    /// Takes the scores of other streams.
    pub fn merge(&mut self, other: &Self) {
        for (rule, score) in &other.of {
            let own = self.of.entry(rule.clone()).or_default();
            own.n_attacks += score.n_attacks;
            own.n_found += score.n_found;
            own.n_findings += score.n_findings;
            own.n_right += score.n_right;
            own.n_near_misses += score.n_near_misses;
            own.n_fallen_for += score.n_fallen_for;
            own.delays.extend(&score.delays);
            for (severity, (right, found)) in &score.severities {
                let counts = own.severities.entry(severity.clone()).or_default();
                counts.0 += right;
                counts.1 += found;
            }
        }
        self.wrong.extend(other.wrong.iter().cloned());
        self.missed.extend(other.missed.iter().cloned());
    }
}

/// The rule whose event is the end of an attack whose beginning has other labels.
const AFTER_ATTACK: &str = "login-after-attack";

/// The start of an attack. For a login after an attack it is the first failure, from the other labels of the
/// same attacker.
fn began(label: &Label, labels: &[Label]) -> i64 {
    if label.rule != AFTER_ATTACK {
        return label.first_event;
    }
    let of_attacker =
        labels.iter().filter(|other| other.attack == label.attack && other.key == label.key);
    of_attacker.map(|other| other.first_event).fold(label.first_event, i64::min)
}

/// The same rule and key, and spans of time that meet. A report about users alone is about whatever the
/// user does.
pub(super) fn is_about(finding: &Finding, label: &Label) -> bool {
    let key = label.key.as_str();
    let user = key.split_once('/').map_or(key, |(user, _)| user);
    finding.rule == label.rule
        && (finding.key == key || finding.key == user)
        && finding.from <= label.last_event
        && label.first_event <= finding.until
}

/// The scores of both.
#[derive(Debug, Default)]
pub struct Pair {
    pub detectors: Scores,
    pub sql: Scores,
}

#[cfg(test)]
mod tests {
    use audit_generate::{Attack, Generator, Settings};

    use super::*;

    fn labels() -> Vec<Label> {
        labels_of(Attack::FailedLogins)
    }

    fn labels_of(attack: Attack) -> Vec<Label> {
        let start = "2025-01-16T08:00:00Z".parse().unwrap();
        let attacks = vec![attack];
        let mut generator = Generator::new(Settings { attacks, ..Settings::office(20_000, start) });
        let mut out = Vec::new();
        while generator.next_event(&mut out).is_some() {
            out.clear();
        }
        generator.labels().to_vec()
    }

    fn finding(label: &Label) -> Finding {
        Finding {
            rule: label.rule.to_string(),
            key: label.key.clone(),
            from: label.first_event,
            until: label.last_event,
            found: label.first_event + 5,
            severity: Some("medium".to_owned()),
        }
    }

    #[test]
    fn right_wrong_missed_and_fallen_for_are_told_apart() {
        let labels = labels();
        let of = |outcome| {
            let of_rule = labels.iter().filter(|label| label.rule == "failed-logins");
            of_rule.filter(move |label| label.expect == outcome).collect::<Vec<_>>()
        };
        let (attacks, near_misses) = (of(Outcome::Alert), of(Outcome::Silence));
        assert!(attacks.len() > 1 && near_misses.len() > 1);
        let elsewhere = Finding { key: "192.0.2.1".to_owned(), ..finding(attacks[0]) };
        let later = Finding { from: i64::MAX, until: i64::MAX, ..finding(attacks[0]) };
        let findings = [
            finding(attacks[0]),
            finding(attacks[0]),
            finding(near_misses[0]),
            elsewhere.clone(),
            later.clone(),
        ];
        let mut scores = Scores::default();
        scores.add(&labels, &findings);
        let score = &scores.of["failed-logins"];
        assert_eq!((score.n_attacks, score.n_found), (attacks.len(), 1));
        assert_eq!((score.n_findings, score.n_right), (5, 2));
        assert_eq!((score.n_near_misses, score.n_fallen_for), (near_misses.len(), 1));
        assert_eq!((score.precision(), score.findings_per_attack()), (Some(0.4), Some(2.0)));
        assert_eq!((score.delays.as_slice(), score.n_early()), ([5].as_slice(), 0));
        assert_eq!(score.severity_right(), Some(1.0));
        assert_eq!(scores.wrong, [finding(near_misses[0]), elsewhere, later]);
        let missed = scores.missed.iter().filter(|label| label.rule == "failed-logins");
        assert_eq!(missed.count(), attacks.len() - 1);
    }

    #[test]
    fn severity_and_time_are_those_of_the_first_finding() {
        let labels = labels();
        let attack = labels.iter().find(|label| label.expect == Outcome::Alert).unwrap();
        assert_eq!(attack.severity, "medium");
        let severe = Some("high".to_owned());
        let early = Finding { found: attack.first_event - 7, severity: severe, ..finding(attack) };
        let mut scores = Scores::default();
        scores.add(std::slice::from_ref(attack), &[finding(attack), early]);
        let score = &scores.of[&*attack.rule];
        assert_eq!((score.severity_right(), score.n_early()), (Some(0.0), 1));
        assert_eq!(score.delays, [-7]);
        let mut merged = scores.clone();
        merged.merge(&scores);
        assert_eq!(merged.of[&*attack.rule].severities["medium"], (0, 2));
    }

    /// The success is the last event of such an attack, so counting from it would always give nothing.
    #[test]
    fn a_login_after_an_attack_is_timed_from_the_first_failure() {
        let labels = labels_of(Attack::LoginAfterAttack);
        let is_success =
            |label: &&Label| label.rule == AFTER_ATTACK && label.expect == Outcome::Alert;
        let success = labels.iter().find(is_success).unwrap();
        let is_before = |label: &&Label| label.key == success.key && label.attack == success.attack;
        let first = labels.iter().filter(is_before).map(|label| label.first_event).min().unwrap();
        assert!(first < success.first_event);
        let found = Finding { found: success.first_event, ..finding(success) };
        let mut scores = Scores::default();
        scores.add(&labels, &[found]);
        assert_eq!(scores.of[AFTER_ATTACK].delays, [success.first_event - first]);
    }

    #[test]
    fn delays_are_taken_by_nearest_rank() {
        let score = Score { delays: (1..=20).rev().collect(), ..Score::default() };
        assert_eq!(
            (score.delay(50), score.delay(95), score.delay(100)),
            (Some(10), Some(19), Some(20))
        );
        assert_eq!(Score::default().delay(50), None);
    }
}
