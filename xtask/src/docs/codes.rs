//! The codes of errors, as the code declares them: an enum whose variants say title, cause and remedy in their
//! comments, with a function `code` that gives each a code, and one `kind` from which the exit code follows.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, ExprLit, ExprMatch, ImplItem, ImplItemFn, Item, ItemEnum, ItemImpl, Lit,
    LitStr, Meta, Pat, Stmt, Type,
};

use crate::context::Context;
use crate::run;

/// An error that a user can meet.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Coded {
    pub(crate) code: String,
    /// Its message, with `…` for what differs.
    pub(crate) says: Option<String>,
    pub(crate) title: String,
    pub(crate) cause: String,
    pub(crate) remedy: String,
    pub(crate) exit: Option<u8>,
    /// Where it is declared.
    pub(crate) file: String,
    /// `Error::BadName`.
    pub(crate) name: String,
}

/// What the files of the host declare and use.
#[derive(Default)]
pub(crate) struct Codes {
    pub(crate) declared: Vec<Coded>,
    /// Code and file of each literal.
    pub(crate) used: Vec<(String, String)>,
    /// Enums of errors without codes, as file and name.
    pub(crate) without: Vec<(String, String)>,
}

/// Reads all sources of the host but its tests.
pub(crate) fn read(ctx: &Context) -> Result<Codes> {
    let mut git = std::process::Command::new("git");
    git.current_dir(&ctx.root);
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "host"]);
    let list = run::output(&mut git)?;
    let mut codes = Codes::default();
    for file in list.split('\0').filter(|file| !file.contains("/tests/")) {
        let path = ctx.root.join(file);
        if path.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
            codes.add(file, &text)?;
        }
    }
    Ok(codes)
}

impl Codes {
    pub(crate) fn add(&mut self, file: &str, text: &str) -> Result<()> {
        let parsed = syn::parse_file(text).with_context(|| format!("cannot parse {file}"))?;
        let mut literals = Literals::default();
        literals.visit_file(&parsed);
        let used = literals.0.into_iter().filter(|literal| is_code(literal));
        self.used.extend(used.map(|code| (code, file.to_owned())));
        let mut functions = Functions::default();
        for item in &parsed.items {
            if let Item::Impl(item) = item {
                functions.add(item);
            }
        }
        for item in &parsed.items {
            let Item::Enum(item) = item else { continue };
            let name = item.ident.to_string();
            match functions.code.get(&name) {
                Some(code) => self.add_enum(file, item, code, functions.kind.get(&name).copied()),
                None if is_error(item) => self.without.push((file.to_owned(), name)),
                None => {}
            }
        }
        Ok(())
    }

    fn add_enum(
        &mut self,
        file: &str,
        item: &ItemEnum,
        code: &ImplItemFn,
        kind: Option<&ImplItemFn>,
    ) {
        let codes = arms(code);
        let kinds = kind.map(arms).unwrap_or_default();
        for variant in &item.variants {
            let name = variant.ident.to_string();
            let docs = Docs::of(&variant.attrs);
            let of_variant = codes.iter().filter(|arm| arm.is_for(&name));
            for code in of_variant.flat_map(|arm| &arm.literals).filter(|code| is_code(code)) {
                self.declared.push(Coded {
                    code: code.clone(),
                    says: message(&variant.attrs),
                    title: docs.title.clone(),
                    cause: docs.cause.clone(),
                    remedy: docs.remedy.clone(),
                    exit: kinds.iter().find_map(|arm| arm.exit.filter(|_| arm.is_for(&name))),
                    file: file.to_owned(),
                    name: format!("{}::{name}", item.ident),
                });
            }
        }
    }
}

/// `AH-0123`.
fn is_code(text: &str) -> bool {
    number(text).is_some()
}

pub(crate) fn number(code: &str) -> Option<u32> {
    let digits = code.strip_prefix("AH-")?;
    let is_number = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// Whether `thiserror` makes an error of it.
fn is_error(item: &ItemEnum) -> bool {
    item.variants.iter().any(|variant| variant.attrs.iter().any(|a| a.path().is_ident("error")))
}

/// The functions `code` and `kind` of types, by the type's name.
#[derive(Default)]
struct Functions<'a> {
    code: BTreeMap<String, &'a ImplItemFn>,
    kind: BTreeMap<String, &'a ImplItemFn>,
}

impl<'a> Functions<'a> {
    fn add(&mut self, item: &'a ItemImpl) {
        let Type::Path(of) = &*item.self_ty else { return };
        let Some(name) = of.path.segments.last().map(|last| last.ident.to_string()) else { return };
        if item.trait_.is_some() {
            return;
        }
        for function in &item.items {
            let ImplItem::Fn(function) = function else { continue };
            match function.sig.ident.to_string().as_str() {
                "code" => self.code.insert(name.clone(), function),
                "kind" => self.kind.insert(name.clone(), function),
                _ => None,
            };
        }
    }
}

/// An arm of the `match` over the variants.
struct Arm {
    /// Empty for `_`.
    variants: Vec<String>,
    /// The texts in its body.
    literals: Vec<String>,
    /// `None` as well if it depends on more than the variant.
    exit: Option<u8>,
}

impl Arm {
    fn is_for(&self, variant: &str) -> bool {
        self.variants.is_empty() || self.variants.iter().any(|name| name == variant)
    }
}

fn arms(function: &ImplItemFn) -> Vec<Arm> {
    let mut first = FirstMatch(None);
    first.visit_block(&function.block);
    let Some(found) = first.0 else {
        // Without a `match` all variants are alike.
        let mut literals = Literals::default();
        literals.visit_block(&function.block);
        let exit = function.block.stmts.last().and_then(|last| match last {
            syn::Stmt::Expr(body, _) => exit(body),
            _ => None,
        });
        return vec![Arm { variants: Vec::new(), literals: literals.0, exit }];
    };
    let arm = |arm: &syn::Arm| {
        let mut variants = Vec::new();
        patterns(&arm.pat, &mut variants);
        let mut literals = Literals::default();
        literals.visit_expr(&arm.body);
        let is_guarded = matches!(arm.pat, Pat::Guard(_));
        let exit = if is_guarded { None } else { exit(&arm.body) };
        Arm { variants, literals: literals.0, exit }
    };
    found.arms.iter().map(arm).collect()
}

/// The exit code of `Kind::Config` and the others.
fn exit(body: &Expr) -> Option<u8> {
    let path = match body {
        Expr::Path(path) => path,
        // A long pattern makes rustfmt put the value into a block.
        Expr::Block(block) => match &block.block.stmts[..] {
            [Stmt::Expr(body, None)] => return exit(body),
            _ => return None,
        },
        _ => return None,
    };
    match path.path.segments.last()?.ident.to_string().as_str() {
        "Config" => Some(2),
        "Failed" | "Fenced" => Some(1),
        _ => None,
    }
}

/// The names of the variants that a pattern fits.
fn patterns(pattern: &Pat, names: &mut Vec<String>) {
    let path = match pattern {
        Pat::Or(or) => return or.cases.iter().for_each(|case| patterns(case, names)),
        Pat::Guard(guarded) => return patterns(&guarded.pat, names),
        Pat::Paren(inner) => return patterns(&inner.pat, names),
        Pat::Reference(inner) => return patterns(&inner.pat, names),
        Pat::Path(path) => &path.path,
        Pat::Struct(of) => &of.path,
        Pat::TupleStruct(of) => &of.path,
        _ => return,
    };
    names.extend(path.segments.last().map(|last| last.ident.to_string()));
}

struct FirstMatch<'ast>(Option<&'ast ExprMatch>);

impl<'ast> Visit<'ast> for FirstMatch<'ast> {
    fn visit_expr_match(&mut self, found: &'ast ExprMatch) {
        self.0.get_or_insert(found);
    }
}

/// All texts in double quotes.
#[derive(Default)]
struct Literals(Vec<String>);

impl<'ast> Visit<'ast> for Literals {
    fn visit_item(&mut self, item: &'ast Item) {
        // Tests may use codes of their own.
        let is_tests = matches!(item, Item::Mod(item) if item.ident == "tests");
        if !is_tests {
            visit::visit_item(self, item);
        }
    }

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.0.push(text.value());
    }
}

/// The paragraphs of a comment.
#[derive(Default)]
struct Docs {
    title: String,
    cause: String,
    remedy: String,
}

impl Docs {
    fn of(attributes: &[Attribute]) -> Self {
        let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
                Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value()),
                _ => None,
            },
            _ => None,
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        let mut docs = Self::default();
        let mut paragraph = Vec::new();
        for line in text.lines().map(str::trim).chain([""]) {
            if !line.is_empty() {
                paragraph.push(line);
                continue;
            }
            let text = std::mem::take(&mut paragraph).join(" ");
            if let Some(cause) = text.strip_prefix("Cause:") {
                docs.cause = String::from(cause.trim());
            } else if let Some(remedy) = text.strip_prefix("Remedy:") {
                docs.remedy = String::from(remedy.trim());
            } else if docs.title.is_empty() {
                docs.title = text;
            }
        }
        docs
    }
}

/// The text of `#[error("…")]`, with `…` for each placeholder.
fn message(attributes: &[Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("error"))?;
    let Meta::List(list) = &attribute.meta else { return None };
    let first = list.tokens.clone().into_iter().next()?;
    let text = syn::parse_str::<LitStr>(&first.to_string()).ok()?.value();
    let mut shown = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '{' | '}' if letters.peek() == Some(&letter) => shown.extend(letters.next()),
            '{' => {
                letters.by_ref().find(|letter| *letter == '}');
                shown.push('…');
            }
            letter => shown.push(letter),
        }
    }
    Some(shown.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::errors;
    use super::*;

    const SAMPLE: &str = r#"
        #[derive(Debug, thiserror::Error)]
        pub enum Error {
            /// The table name is not valid.
            ///
            /// Cause: `--table` is not NAMESPACE.NAME,
            /// or has other characters.
            ///
            /// Remedy: correct it; see [tables](tables.md#names).
            #[error("--table: {name:?} must be `NAMESPACE.TABLE`, \
                     not {{}}")]
            BadName { name: String },
            /// The disk is full.
            ///
            /// Cause: no room.
            ///
            /// Remedy: make room.
            #[error("writing {}", .0.display())]
            Full(std::path::PathBuf),
            #[error(transparent)]
            Lookup(#[from] audit_lookup::Error),
        }

        impl Error {
            pub fn code(&self) -> &'static str {
                match self {
                    Self::BadName { .. } => "AH-0501",
                    Self::Full(_) => "AH-0502",
                    Self::Lookup(cause) => cause.code(),
                }
            }

            pub fn kind(&self) -> Kind {
                match self {
                    Self::BadName { .. } | Self::Lookup(_) => {
                        Kind::Config
                    }
                    _ => Kind::Failed,
                }
            }
        }

        #[cfg(test)]
        mod tests {
            const NONE: &str = "AH-0000";
        }
    "#;

    fn codes(text: &str) -> Codes {
        let mut codes = Codes::default();
        codes.add("host/crates/sink/src/error.rs", text).unwrap();
        codes
    }

    #[test]
    fn declarations_are_read() {
        let codes = codes(SAMPLE);
        let bad_name = Coded {
            code: "AH-0501".to_owned(),
            says: Some("--table: … must be `NAMESPACE.TABLE`, not {}".to_owned()),
            title: "The table name is not valid.".to_owned(),
            cause: "`--table` is not NAMESPACE.NAME, or has other characters.".to_owned(),
            remedy: "correct it; see [tables](tables.md#names).".to_owned(),
            exit: Some(2),
            file: "host/crates/sink/src/error.rs".to_owned(),
            name: "Error::BadName".to_owned(),
        };
        assert_eq!(codes.declared[0], bad_name);
        let full = &codes.declared[1];
        assert_eq!((full.says.as_deref(), full.exit), (Some("writing …"), Some(1)));
        assert_eq!(codes.declared.len(), 2);
        let used: Vec<_> = codes.used.iter().map(|(code, _)| code.as_str()).collect();
        assert_eq!(used, ["AH-0501", "AH-0502"]);
        assert!(codes.without.is_empty());
    }

    #[test]
    fn an_enum_of_errors_without_codes_is_found() {
        let text = "enum Kind { A } #[derive(Error)] enum Error { #[error(\"a\")] A }";
        let expected = [("host/crates/sink/src/error.rs".to_owned(), "Error".to_owned())];
        assert_eq!(codes(text).without, expected);
    }

    #[test]
    fn the_page_has_a_section_for_each_code() {
        let page = errors::page(&codes(SAMPLE));
        let expected = "\n## Table and warehouse\n\nCodes from AH-0500.\n\n### AH-0501\n\nThe table name is not valid. \
                        Exit code 2.\n\n> `` --table: … must be `NAMESPACE.TABLE`, not {} ``\n\n- **Cause:** \
                        `--table` is not NAMESPACE.NAME, or has other characters.\n- **Remedy:** correct it; see \
                        [tables](tables.md#names).\n\n### AH-0502\n";
        assert!(page.contains(expected), "{page}");
    }
}
