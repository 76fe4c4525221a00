//! Files of a crate that import each other cannot be read one after the other: no circles of imports.
//!
//! A file uses another if a path in it (`use`, or inline) leads to something that is defined there; what a
//! module only re-exports counts for the file that defines it. Code for tests alone is left out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Result, bail};

use super::tree::{Failure, Package, Tree};

mod modules;
mod paths;

use modules::Edges;

/// Imports that may be part of a circle: from, to, why. Only a type and its builder refer to each other.
const ALLOWED: &[(&str, &str, &str)] = &[];

const TODO: &str = "move what both need to a file of its own";

pub(super) fn check(packages: &[Package], tree: &Tree) -> Result<Vec<Failure>> {
    let mut edges = Edges::new();
    for root in packages.iter().flat_map(|package| &package.roots) {
        edges.extend(edges_of(root, &|path| tree.exists(path).then(|| tree.text(path)))?);
    }
    Ok(failures(edges, ALLOWED))
}

/// The edges of the crate with this root file.
fn edges_of(root: &str, read: &dyn Fn(&str) -> Option<Result<String>>) -> Result<Edges> {
    let Some(text) = read(root) else { bail!("{root} does not exist") };
    let modules = modules::Modules::read(root, &text?, read)?;
    Ok(modules.edges())
}

fn failures(mut edges: Edges, allowed: &[(&str, &str, &str)]) -> Vec<Failure> {
    let mut failures = Vec::new();
    let fail = |file: &str, what, todo| Failure {
        rule: "import-circles",
        file: file.to_owned(),
        line: 1,
        what,
        todo,
    };
    let is_part = |edges: &Edges, from: &str, to: &str| {
        edges.contains_key(&(from.to_owned(), to.to_owned()))
            && !shortest(edges, to, from).is_empty()
    };
    for (from, to, _) in allowed {
        if !is_part(&edges, from, to) {
            let what = format!("its use of {to} is not part of a circle any more");
            failures.push(fail(from, what, "remove the exception (xtask/src/tidy/circles/mod.rs)"));
        }
    }
    for (from, to, _) in allowed {
        edges.remove(&((*from).to_owned(), (*to).to_owned()));
    }
    let mut reported = BTreeSet::new();
    let files: BTreeSet<&String> = edges.keys().map(|(from, _)| from).collect();
    for file in files {
        let circle = shortest(&edges, file, file);
        if circle.is_empty() || circle.iter().any(|(from, _)| reported.contains(from)) {
            continue;
        }
        reported.extend(circle.iter().map(|(from, _)| from.clone()));
        let uses =
            circle.iter().map(|edge| format!("{} uses {} (`{}`)", edge.0, edge.1, edges[edge]));
        let what = uses.collect::<Vec<_>>().join(", ");
        failures.push(fail(file, what, TODO));
    }
    failures
}

/// The fewest edges from one file to another; nothing where no way leads there.
fn shortest(edges: &Edges, from: &str, to: &str) -> Vec<(String, String)> {
    let mut came_from: BTreeMap<&str, &(String, String)> = BTreeMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(file) = next.pop_front() {
        for edge in edges.keys().filter(|(user, _)| user == file) {
            if came_from.contains_key(edge.1.as_str()) {
                continue;
            }
            came_from.insert(&edge.1, edge);
            if edge.1 == to {
                return path_back(&came_from, from, to);
            }
            next.push_back(&edge.1);
        }
    }
    Vec::new()
}

fn path_back(
    came_from: &BTreeMap<&str, &(String, String)>,
    from: &str,
    to: &str,
) -> Vec<(String, String)> {
    let mut path = Vec::new();
    let mut at = to;
    while let Some(edge) = came_from.get(at) {
        path.insert(0, (*edge).clone());
        at = &edge.0;
        if at == from {
            break;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The edges of a small crate, as `from > to`.
    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        edges_of_files(files).into_keys().map(|(from, to)| format!("{from} > {to}")).collect()
    }

    fn edges_of_files(files: &[(&str, &str)]) -> Edges {
        let read = |path: &str| {
            let file = files.iter().find(|(name, _)| *name == path);
            file.map(|(_, text)| Ok((*text).to_owned()))
        };
        edges_of("lib.rs", &read).unwrap()
    }

    #[test]
    fn imports_and_inline_paths_are_edges() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c; mod d;"),
            ("a.rs", "use crate::b::{B, other as o}; fn f() { crate::c::f(); }"),
            ("b.rs", "pub struct B; use super::d; fn other() { d::g(1) }"),
            ("c.rs", "pub fn f() { println!(\"{}\", crate::d::g(2)) }"),
            ("d.rs", "pub fn g(n: u8) -> u8 { let std = std::mem::take(&mut 1); n + std }"),
        ];
        assert_eq!(edges(&files), ["a.rs > b.rs", "a.rs > c.rs", "b.rs > d.rs", "c.rs > d.rs"]);
    }

    #[test]
    fn what_is_re_exported_counts_for_its_definition() {
        let files = [
            ("lib.rs", "mod a; mod error; pub use error::Error; pub fn here() {}"),
            ("error.rs", "pub enum Error {}"),
            ("a/mod.rs", "mod inner; mod other; pub(crate) use inner::*; use crate::Error;"),
            (
                "a/inner.rs",
                "pub(crate) struct Inner; fn f() { self::g(); crate::here() } fn g() {}",
            ),
            ("a/other.rs", "use super::Inner; use crate::a::Inner as Again;"),
        ];
        let expected = [
            "a/inner.rs > lib.rs",
            "a/mod.rs > a/inner.rs",
            "a/mod.rs > error.rs",
            "a/other.rs > a/inner.rs",
            "lib.rs > error.rs",
        ];
        assert_eq!(edges(&files), expected);
        assert!(failures(edges_of_files(&files), &[]).is_empty());
    }

    #[test]
    fn code_of_tests_and_declarations_are_no_edges() {
        let files = [
            ("lib.rs", "pub mod a; mod b; #[cfg(any(test, fuzzing))] pub mod fuzz;"),
            (
                "a.rs",
                "#[cfg(test)] use crate::b; #[cfg(test)] mod tests { fn f() { crate::b::f() } }",
            ),
            ("b.rs", "mod inside { fn f() { super::g(); super::super::a::f() } }"),
        ];
        assert_eq!(edges(&files), ["b.rs > a.rs"]);
    }

    #[test]
    fn circles_are_named_unless_they_are_allowed() {
        let files = [
            ("lib.rs", "mod a; mod b; #[path = \"else/where.rs\"] mod c;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "use crate::c::C; pub struct B;"),
            ("else/where.rs", "pub struct C(crate::a::A);"),
        ];
        let edges = edges_of_files(&files);
        let said: Vec<_> = failures(edges.clone(), &[]).into_iter().map(|f| f.what).collect();
        let expected = "a.rs uses b.rs (`crate::b::B`), b.rs uses else/where.rs (`crate::c::C`), \
                        else/where.rs uses a.rs (`crate::a::A`)";
        assert_eq!(said, [expected]);
        assert!(failures(edges.clone(), &[("b.rs", "else/where.rs", "")]).is_empty());
        let stale = failures(edges, &[("a.rs", "b.rs", ""), ("b.rs", "a.rs", "")]);
        assert_eq!(stale.len(), 1);
        assert!(
            stale[0].to_string().contains("b.rs:1: its use of a.rs is not part"),
            "{}",
            stale[0]
        );
    }
}
