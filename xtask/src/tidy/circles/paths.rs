//! The paths that stand in a file, outside of code for tests.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, Meta, Path, UseTree};

/// A path as it is written: `crate::a::B`, `super::b`, `a::b`.
pub(super) type Written = Vec<String>;

/// What one `use` brings in.
pub(super) struct Import {
    /// The name that it gets here; nothing for `*`.
    pub(super) name: Option<String>,
    pub(super) path: Written,
}

/// Whether the item is compiled for tests alone.
pub(super) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        list.path.is_ident("cfg") && {
            let words = list.tokens.to_string();
            let mut words = words.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let is_negated = words.clone().any(|word| word == "not");
            !is_negated && words.any(|word| word == "test")
        }
    })
}

/// What a `use` brings in, one by one.
pub(super) fn imports(item: &ItemUse) -> Vec<Import> {
    let mut found = Vec::new();
    flatten(&item.tree, &mut Vec::new(), &mut found);
    found
}

fn flatten(tree: &UseTree, before: &mut Written, found: &mut Vec<Import>) {
    let mut import = |name: Option<String>, last: Option<String>| {
        // `a::{self}` brings in `a`.
        let path: Written =
            before.iter().cloned().chain(last.filter(|last| last != "self")).collect();
        let name = name.map(|name| if name == "self" { path.last().cloned() } else { Some(name) });
        found.push(Import { name: name.flatten(), path });
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, found);
            before.pop();
        }
        UseTree::Name(name) => {
            import(Some(name.ident.to_string()), Some(name.ident.to_string()));
        }
        UseTree::Rename(rename) => {
            import(Some(rename.rename.to_string()), Some(rename.ident.to_string()));
        }
        UseTree::Glob(_) => import(None, None),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, found);
            }
        }
    }
}

/// All paths of at least two parts in an item, with those of macros, and the `use` in functions. What
/// stands in modules inside it is left out: they are modules of their own.
#[derive(Default)]
pub(super) struct Paths {
    pub(super) written: Vec<Written>,
    pub(super) imports: Vec<Import>,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).is_some_and(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.imports.extend(imports(item));
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            self.written.push(path.segments.iter().map(|part| part.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        visit::visit_macro(self, call);
        self.tokens(call.tokens.clone());
    }
}

impl Paths {
    /// Paths in the text of a macro, of which only the tokens are known.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Written::new();
        // 0 behind a name, 1 and 2 behind the colons.
        let mut n_colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if n_colons != 2 {
                        self.end(&mut path);
                    }
                    path.push(name.to_string());
                    n_colons = 0;
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                    n_colons += 1;
                    continue;
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            self.end(&mut path);
            n_colons = 0;
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Written) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.written.push(path);
        }
    }
}

/// The attributes of an item that may be for tests alone.
fn attributes(item: &Item) -> Option<&[Attribute]> {
    Some(match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return None,
    })
}
