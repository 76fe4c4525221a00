//! The arguments of `cargo xtask test`.

use anyhow::Result;

use crate::run;

/// Which steps run, and which tests in them.
pub(super) struct Options {
    pub(super) steps: Vec<&'static str>,
    pub(super) filters: Vec<String>,
}

/// Steps that a filter of tests makes sense for, and what they need.
const FILTERED: &[&str] = &["plugins", "unit", "build", "parts", "flow"];

impl Options {
    pub(super) fn parse(args: &[String], all: &[&'static str]) -> Result<Self> {
        let mut steps: Option<Vec<&'static str>> = None;
        let mut filters = Vec::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--only" | "--from" => {
                    let Some(value) = args.next() else {
                        return run::usage(format!("{arg} needs a step: {}", all.join(", ")));
                    };
                    steps =
                        Some(if arg == "--only" { only(value, all)? } else { from(value, all)? });
                }
                flag if flag.starts_with('-') => {
                    return run::usage(format!(
                        "unknown flag `{flag}`; known are --only and --from"
                    ));
                }
                filter => filters.push(filter.to_owned()),
            }
        }
        let default = if filters.is_empty() { all } else { FILTERED };
        Ok(Self { steps: steps.unwrap_or_else(|| default.to_vec()), filters })
    }
}

fn only(value: &str, all: &[&'static str]) -> Result<Vec<&'static str>> {
    value.split(',').map(|name| Ok(all[position(name, all)?])).collect()
}

fn from(value: &str, all: &[&'static str]) -> Result<Vec<&'static str>> {
    Ok(all[position(value, all)?..].to_vec())
}

fn position(name: &str, all: &[&'static str]) -> Result<usize> {
    match all.iter().position(|step| *step == name) {
        Some(position) => Ok(position),
        None => run::usage(format!("no step `{name}`; available: {}", all.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[&str] = &["fmt", "plugins", "unit", "build", "parts", "flow"];

    fn steps(args: &[&str]) -> Option<Vec<&'static str>> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        Options::parse(&args, ALL).ok().map(|options| options.steps)
    }

    #[test]
    fn steps_follow_from_the_arguments() {
        assert_eq!(steps(&[]).as_deref(), Some(ALL));
        assert_eq!(steps(&["--only", "unit,fmt"]).as_deref(), Some(&["unit", "fmt"][..]));
        assert_eq!(steps(&["--from", "parts"]).as_deref(), Some(&["parts", "flow"][..]));
        assert_eq!(steps(&["dead_letter"]).as_deref(), Some(FILTERED));
        assert_eq!(steps(&["--from", "nowhere"]), None);
        assert_eq!(steps(&["--only"]), None);
        assert_eq!(steps(&["--fast"]), None);
    }
}
