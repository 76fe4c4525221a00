//! What a setting is. It is declared once, with [`settings!`]; from the declaration come the flag and its
//! help, the variable, the key in the file, the default, the range with its error, the line of
//! `--print-config`, and the row of `docs/configuration.md`.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::{EnumValueParser, ValueParser};

use super::error::Error;
use super::units::{parse_duration, show_duration};

type Literal = &'static str;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Its table in the file and its field, `kafka.on_gap`, or a name of its own.
    key: &'static str,
    /// The lines of its doc comment. The first paragraph is the flag's help; the docs have all of it.
    pub(super) lines: &'static [&'static str],
    pub(super) flag: Option<Flag>,
    pub(super) default: DefaultValue,
    pub(super) range: Range,
}

/// How a setting is given on the command line and by a variable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    pub(super) long: &'static str,
    /// None for a request, which a variable cannot make.
    pub(super) variable: Option<&'static str>,
    /// The name of its value in help and docs.
    pub(super) value: &'static str,
    pub(super) takes: Takes,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Takes {
    Text,
    Path,
    /// Given again for more; separated by commas in a variable.
    List,
    /// `--flag`, `--flag=true` or `--flag=false`.
    Switch,
    /// `--flag`.
    Nothing,
    /// One of a few words.
    Word(fn() -> ValueParser),
}

/// The value if nothing is given.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DefaultValue {
    Absent,
    /// With the noun of the error: "the table".
    Required(&'static str),
    Text(&'static str),
    Switch(bool),
    Number(fn() -> u64),
    /// A number of bytes.
    Bytes(fn() -> u64),
    Time(fn() -> Duration),
    /// The word of a type's `Default`.
    Word(fn() -> String),
    /// Derived from something else; for help and docs, in words.
    Computed(&'static str),
}

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Range {
    Any,
    /// A number from 1.
    Positive,
    Number(u64, u64),
    /// A number of bytes.
    Bytes(u64, u64),
    Time(Duration, Duration),
    /// The words of a type.
    Words(fn() -> String),
    /// For the docs; checked where the value is used.
    Described(&'static str),
}

/// Declares a table of the configuration file: for each key its doc comment, the type of the field and
/// the [`Setting`]. `T::field()` is the declaration, a field of `T` is what is given.
///
/// A `section` can also be given by flags and variables, which override the file. What is declared as
/// `flags` has no place in the file.
macro_rules! settings {
    (
        $(#[doc = $about:literal])*
        section $table:ident at $place:literal {
            $($(#[doc = $line:literal])+ $field:ident: $type:ty = $setting:expr;)+
        }
    ) => {
        $crate::config::setting::settings! {
            $(#[doc = $about])*
            flags $table at $place { $($(#[doc = $line])+ $field: $type = $setting;)+ }
        }

        impl $table {
            /// These, and for those that are not given what the file says.
            pub(super) fn over(self, file: Self) -> Self {
                Self { $($field: $crate::config::layer::Layer::over(self.$field, file.$field)),+ }
            }
        }
    };
    (
        $(#[doc = $about:literal])*
        flags $table:ident at $place:literal {
            $($(#[doc = $line:literal])+ $field:ident: $type:ty = $setting:expr;)+
        }
    ) => {
        $crate::config::setting::settings! {
            $(#[doc = $about])*
            table $table at $place { $($(#[doc = $line])+ $field: $type = $setting;)+ }
        }

        impl $table {
            /// What flags and variables say.
            pub(super) fn given(matches: &mut clap::ArgMatches) -> Self {
                Self { $($field: Self::$field().given(matches)),+ }
            }
        }
    };
    (
        $(#[doc = $about:literal])*
        table $table:ident at $place:literal {
            $($(#[doc = $line:literal])+ $field:ident: $type:ty = $setting:expr;)+
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Default, serde::Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub(crate) struct $table {
            $($(#[doc = $line])+ pub(crate) $field: $type,)+
        }

        impl $table {
            /// In the order of help and docs.
            #[cfg_attr(not(test), allow(dead_code, reason = "the docs have tables without flags"))]
            pub(super) const ALL: &'static [$crate::config::setting::Setting] =
                &[$(Self::$field()),+];

            $(
                $(#[doc = $line])+
                pub(crate) const fn $field() -> $crate::config::setting::Setting {
                    $setting.declared(concat!($place, stringify!($field)), &[$($line),+])
                }
            )+
        }
    };
}
pub(crate) use settings;

impl Setting {
    /// Only in the file.
    pub(crate) const fn file() -> Self {
        let (flag, default, range) = (None, DefaultValue::Absent, Range::Any);
        Self { key: "", lines: &[], flag, default, range }
    }

    const fn flag(long: Literal, variable: Literal, value: Literal, takes: Takes) -> Self {
        let flag = Flag { long, variable: Some(variable), value, takes };
        Self { flag: Some(flag), ..Self::file() }
    }

    pub(crate) const fn text(long: Literal, variable: Literal, value: Literal) -> Self {
        Self::flag(long, variable, value, Takes::Text)
    }

    pub(crate) const fn path(long: Literal, variable: Literal, value: Literal) -> Self {
        Self::flag(long, variable, value, Takes::Path)
    }

    pub(crate) const fn list(long: Literal, variable: Literal, value: Literal) -> Self {
        Self::flag(long, variable, value, Takes::List)
    }

    pub(crate) const fn switch(long: Literal, variable: Literal, default: bool) -> Self {
        let setting = Self::flag(long, variable, "BOOL", Takes::Switch);
        setting.default(DefaultValue::Switch(default))
    }

    /// One of the words of `T`.
    pub(crate) const fn word<T>(long: Literal, variable: Literal, value: Literal) -> Self
    where
        T: ValueEnum + Default + Clone + Send + Sync + 'static,
    {
        let takes = Takes::Word(|| EnumValueParser::<T>::new().into());
        let setting = Self::flag(long, variable, value, takes);
        setting.default(DefaultValue::Word(default_word::<T>)).range(Range::Words(words::<T>))
    }

    /// A flag that requests something other than a run, with no variable.
    pub(crate) const fn request(long: Literal) -> Self {
        let flag = Flag { long, variable: None, value: "", takes: Takes::Nothing };
        Self { flag: Some(flag), ..Self::file() }
    }

    /// A list that a person says on the command line and nothing else can say: no variable, no file.
    pub(crate) const fn acknowledgement(long: Literal, value: Literal) -> Self {
        let flag = Flag { long, variable: None, value, takes: Takes::List };
        Self { flag: Some(flag), ..Self::file() }
    }

    pub(crate) const fn default(self, default: DefaultValue) -> Self {
        Self { default, ..self }
    }

    pub(crate) const fn required(self, noun: &'static str) -> Self {
        self.default(DefaultValue::Required(noun))
    }

    pub(crate) const fn range(self, range: Range) -> Self {
        Self { range, ..self }
    }

    /// By [`settings!`], with the place and the doc comment.
    pub(crate) const fn declared(self, key: &'static str, lines: &'static [&'static str]) -> Self {
        Self { key, lines, ..self }
    }
}

fn default_word<T: ValueEnum + Default>() -> String {
    T::default().to_possible_value().map_or_else(String::new, |word| word.get_name().to_owned())
}

fn words<T: ValueEnum>() -> String {
    let words = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    words.map(|word| format!("`{}`", word.get_name())).collect::<Vec<_>>().join(", ")
}

/// What is given, checked; or else the default.
impl Setting {
    /// `kafka.on-gap`.
    pub(super) fn key(&self) -> String {
        self.key.replace('_', "-")
    }

    /// Its name in errors: the flag, or else the key.
    pub(super) fn name(&self) -> String {
        self.flag.map_or_else(|| self.key(), |flag| format!("--{}", flag.long))
    }

    /// The variable that gives it, of those that have one.
    pub(crate) const fn variable(&self) -> &'static str {
        match self.flag {
            Some(Flag { variable: Some(variable), .. }) => variable,
            _ => "",
        }
    }

    pub(super) fn missing(&self) -> Error {
        let what = match self.default {
            DefaultValue::Required(noun) => noun,
            _ => "a value",
        };
        Error::Missing { what, flag: self.name(), variable: self.variable(), key: self.key() }
    }

    /// The error for a value that is refused.
    pub(super) fn refuse(&self, value: &str, problem: &str) -> Error {
        let (key, value, problem) = (self.name(), value.to_owned(), problem.to_owned());
        Error::Value { key, value, problem }
    }

    pub(super) fn text_or_default(&self, given: Option<String>) -> Result<String, Error> {
        match (given, self.default) {
            (Some(given), _) => Ok(given),
            (None, DefaultValue::Text(text)) => Ok(text.to_owned()),
            (None, _) => Err(self.missing()),
        }
    }

    pub(super) fn is_on(&self, given: Option<bool>) -> bool {
        given.unwrap_or(matches!(self.default, DefaultValue::Switch(true)))
    }

    /// A number within the range; `name` is for errors.
    pub(super) fn number(&self, name: &str, given: Option<u64>) -> Result<u64, Error> {
        let number = match (given, self.default) {
            (Some(given), _) => given,
            (None, DefaultValue::Number(default) | DefaultValue::Bytes(default)) => default(),
            (None, _) => return Err(self.missing()),
        };
        let is_within = match self.range {
            Range::Positive => number > 0,
            Range::Number(min, max) | Range::Bytes(min, max) => (min..=max).contains(&number),
            _ => true,
        };
        if is_within { Ok(number) } else { Err(self.out_of_range(name, &number.to_string())) }
    }

    /// A duration within the range; `name` is for errors.
    pub(super) fn time(&self, name: &str, given: Option<&str>) -> Result<Duration, Error> {
        let text = match (given, self.default) {
            (Some(given), _) => given,
            (None, DefaultValue::Time(default)) => return Ok(default()),
            (None, _) => return Err(self.missing()),
        };
        let time = parse_duration(name, text)?;
        match self.range {
            Range::Time(min, max) if !(min..=max).contains(&time) => {
                Err(self.out_of_range(name, text))
            }
            _ => Ok(time),
        }
    }

    fn out_of_range(&self, name: &str, value: &str) -> Error {
        let (key, value, range) = (name.to_owned(), value.to_owned(), self.range.to_string());
        Error::OutOfRange { key, value, range }
    }
}

/// As errors have it, behind "must be".
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => write!(f, "anything"),
            Self::Positive => write!(f, "larger than 0"),
            Self::Number(min, max) | Self::Bytes(min, max) => write!(f, "from {min} to {max}"),
            Self::Time(min, max) => {
                write!(f, "from {} to {}", show_duration(*min), show_duration(*max))
            }
            Self::Words(words) => write!(f, "one of {}", words()),
            Self::Described(text) => write!(f, "{text}"),
        }
    }
}

/// As help and docs have it.
impl fmt::Display for DefaultValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => write!(f, "none"),
            Self::Required(_) => write!(f, "required"),
            Self::Text(text) => write!(f, "`{text}`"),
            Self::Switch(is_on) => write!(f, "`{is_on}`"),
            Self::Number(number) => write!(f, "{}", number()),
            Self::Bytes(bytes) => write!(f, "{}", bytes()),
            Self::Time(time) => write!(f, "`{}`", show_duration(time())),
            Self::Word(word) => write!(f, "`{}`", word()),
            Self::Computed(how) => write!(f, "{how}"),
        }
    }
}
