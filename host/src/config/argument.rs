//! Settings on the command line: their arguments, made with clap's builder, and what was given.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::layer::Layer;
use super::setting::{DefaultValue, Flag, Setting, Takes};

impl Setting {
    /// The argument for clap, if it has a flag.
    pub(super) fn arg(&self) -> Option<Arg> {
        let Flag { long, variable, value, takes } = self.flag?;
        let arg = Arg::new(long).long(long).help(self.help());
        let arg = match variable {
            Some(variable) => arg.env(variable),
            None => arg,
        };
        Some(match takes {
            Takes::Nothing => arg.action(ArgAction::SetTrue),
            Takes::Text => arg.value_name(value),
            Takes::Path => arg.value_name(value).value_parser(value_parser!(PathBuf)),
            Takes::List => arg.value_name(value).value_delimiter(',').action(ArgAction::Append),
            Takes::Word(parser) => arg.value_name(value).value_parser(parser()),
            Takes::Switch => arg
                .value_name(value)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .value_parser(FalseyValueParser::new()),
        })
    }

    /// Whether it requests something other than a run.
    pub(super) fn is_request(&self) -> bool {
        self.flag.is_some_and(|flag| matches!(flag.takes, Takes::Nothing))
    }

    /// What the flag or the variable says; the type's default if it has no flag.
    pub(super) fn given<T: Layer>(&self, matches: &mut ArgMatches) -> T {
        self.flag.map_or_else(T::default, |flag| T::given(flag.long, matches))
    }

    /// The first paragraph of its doc comment and the default, as plain text.
    fn help(&self) -> String {
        let help = self.paragraphs().0;
        let help = match self.default {
            DefaultValue::Required(_) | DefaultValue::Absent => help,
            default => format!("{help} [default: {default}]"),
        };
        help.replace('`', "")
    }

    /// The first paragraph, and the others.
    pub(super) fn paragraphs(&self) -> (String, String) {
        let lines: Vec<&str> = self.lines.iter().map(|line| line.trim()).collect();
        let end = lines.iter().position(|line| line.is_empty()).unwrap_or(lines.len());
        let (first, rest) = lines.split_at(end);
        (first.join(" "), rest.join(" ").trim().to_owned())
    }
}
