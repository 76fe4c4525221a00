//! The arguments of `cargo xtask bench`.

use std::path::PathBuf;

use anyhow::Result;

use crate::run;

#[derive(Debug, PartialEq)]
pub(super) struct Options {
    pub(super) name: String,
    /// How many events; each benchmark has its own default.
    pub(super) rows: Option<u64>,
    /// How often each thing is measured.
    pub(super) runs: Option<usize>,
    /// The only part to measure, where a benchmark has parts.
    pub(super) part: Option<String>,
    pub(super) json: Option<PathBuf>,
    /// Whether plugins and program are brought up to date before.
    pub(super) build: bool,
}

impl Options {
    pub(super) fn parse(args: &[String]) -> Result<Self> {
        let name = String::new();
        let mut options =
            Self { name, rows: None, runs: None, part: None, json: None, build: true };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--rows" => options.rows = Some(number(arg, args.next())?),
                "--runs" => options.runs = Some(number(arg, args.next())? as usize),
                "--part" => match args.next() {
                    Some(part) => options.part = Some(part.clone()),
                    None => return run::usage("--part needs a name".into()),
                },
                "--json" => match args.next() {
                    Some(path) => options.json = Some(path.into()),
                    None => return run::usage("--json needs a file".into()),
                },
                "--no-build" => options.build = false,
                name if !name.starts_with('-') && options.name.is_empty() => {
                    name.clone_into(&mut options.name);
                }
                other => {
                    return run::usage(format!(
                        "`{other}` is not known; a name, --rows N, --runs N, --part NAME, --json FILE and \
                         --no-build are"
                    ));
                }
            }
        }
        Ok(options)
    }
}

fn number(flag: &str, value: Option<&String>) -> Result<u64> {
    match value.map(|text| text.replace('_', "").parse()) {
        Some(Ok(number)) if number > 0 => Ok(number),
        _ => run::usage(format!("{flag} needs a number above 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args)
    }

    #[test]
    fn arguments_may_stand_in_any_order() {
        let options = parse("--rows 1_000 pipeline --json out.json --no-build").unwrap();
        let expected = Options {
            name: "pipeline".to_owned(),
            rows: Some(1000),
            runs: None,
            part: None,
            json: Some("out.json".into()),
            build: false,
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for line in [
            "pipeline --rows",
            "plugin --part",
            "pipeline --runs 0",
            "pipeline again",
            "pipeline --fast",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
