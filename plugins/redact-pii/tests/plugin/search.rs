//! A search for the values that cost the most: random units of text, then changes of the best ones.

use super::costly::{Layer, Recipe};
use super::soup::{Random, SOUP};

/// What units are put together from, besides soup.
const TOKENS: &[&str] = &[
    "pwd",
    "ghp_",
    "AKIA",
    "sk_live_",
    "xoxb-",
    "github_pat_",
    "aaaaaaaaaaaaaaaaaaaa",
    "password=",
    "password:",
    "\"password\":\"",
    "key=",
    "key:",
    "aB3/",
    "aB3",
    "version ",
    "version:",
    "ssn=",
    "card:",
    "iban: ",
    "phone ",
    "DE89 ",
    "DE89",
    "GB",
    "LC00",
    "1.1.1.1",
    "1.1.1.1.",
    "v",
    "1:",
    "1::",
    "::1.1.1.1",
    "fe80:",
    "0123 ",
    "01 ",
    "1 ",
    "12-",
    "(0",
    "+1 ",
    "+49 ",
    "4111 ",
    "4000 ",
    "1e1",
    "1.1e1",
    "e",
    "@",
    "a@",
    "@b.cc",
    "a%40bb.cc",
    "%40b.cc",
    "é@é.éé",
    "é%40é.éé",
    "é",
    "eyJ",
    "eyJhbGciOiJIUzI1NiJ9",
    "eyJhIjoxfQ.",
    "Ym9i",
    "Ym9iYm9iYm9i",
    "Ym9i/",
    "Ym9iYm9iYm9i-",
    "Ym9iYm9iYm9i+",
    "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh\n",
    "AGIAbw",
    "%25",
    "%2541",
    "%252541",
    "%3",
    "a+b",
    "\\\\",
    "\\u0041",
    "\\",
    "\"",
    "'",
    "`",
    "$a$",
    "$",
    "--",
    "/*",
    "*/",
    "#",
    "FROM ",
    ",",
    "1,",
    "\"\",",
    "\"a\",",
    "\"a\":1,",
    "{},",
    "[",
    "]",
    "{\"a\":",
    "{\"granted_to\":",
    "\\\"granted_to\\\":",
    "}",
    "\u{200b}",
    "１",
    "١",
    "\u{2010}",
    " ",
    "x",
];

const TOKENS_MAX: usize = 12;
const LAYERS_MAX: usize = 6;
/// How many recipes are kept.
const KEPT: usize = 12;

#[derive(Debug, Clone)]
struct Candidate {
    tokens: Vec<String>,
    layers: Vec<Layer>,
}

impl Candidate {
    fn recipe(&self) -> Recipe {
        Recipe { unit: self.tokens.concat(), layers: self.layers.clone() }
    }

    fn random(random: &mut Random) -> Self {
        let n_tokens = 1 + random.below(5);
        // Most text is not wrapped, some is wrapped several times.
        let n_layers = [0, 0, 0, 1, 2, 3, 4, LAYERS_MAX][random.below(8)];
        Self {
            tokens: (0..n_tokens).map(|_| token(random)).collect(),
            layers: (0..n_layers).map(|_| layer(random)).collect(),
        }
    }

    fn changed(&self, random: &mut Random) -> Self {
        let mut changed = self.clone();
        for _ in 0..=random.below(3) {
            changed.change(random);
        }
        if changed.tokens.is_empty() {
            changed.tokens.push(token(random));
        }
        changed.tokens.truncate(TOKENS_MAX);
        changed.layers.truncate(LAYERS_MAX);
        changed
    }

    fn change(&mut self, random: &mut Random) {
        let (tokens, layers) = (&mut self.tokens, &mut self.layers);
        let at = random.below(tokens.len().max(1));
        match random.below(8) {
            0 | 1 => {
                let to = random.below(tokens.len() + 1);
                tokens.insert(to, token(random));
            }
            2 if !tokens.is_empty() => {
                tokens.remove(at);
            }
            3 if !tokens.is_empty() => tokens[at] = token(random),
            4 if !tokens.is_empty() => tokens.insert(at, tokens[at].clone()),
            5 if !tokens.is_empty() => {
                let to = random.below(tokens.len());
                tokens.swap(at, to);
            }
            6 => {
                let to = random.below(layers.len() + 1);
                layers.insert(to, layer(random));
            }
            _ if !layers.is_empty() => {
                layers.remove(random.below(layers.len()));
            }
            _ => {}
        }
    }
}

fn token(random: &mut Random) -> String {
    let tokens = if random.below(3) == 0 { SOUP } else { TOKENS };
    random.pick(tokens).to_owned()
}

fn layer(random: &mut Random) -> Layer {
    Layer::ALL[random.below(Layer::ALL.len())]
}

/// The recipe of the highest cost among known ones and so many others.
pub(crate) fn worst(
    random: &mut Random,
    known: &[Recipe],
    n_tries: usize,
    mut cost: impl FnMut(&Recipe) -> f64,
) -> Option<(Recipe, f64)> {
    let known = known.iter().map(|recipe| {
        let Recipe { unit, layers } = recipe.clone();
        Candidate { tokens: vec![unit], layers }
    });
    let mut best: Vec<(f64, Candidate)> =
        known.map(|candidate| (cost(&candidate.recipe()), candidate)).collect();
    for _ in 0..n_tries {
        let tried = if best.len() < KEPT || random.below(4) == 0 {
            Candidate::random(random)
        } else {
            best[random.below(best.len())].1.changed(random)
        };
        best.push((cost(&tried.recipe()), tried));
        best.sort_by(|one, other| other.0.total_cmp(&one.0));
        best.dedup_by(|next, before| next.1.recipe() == before.1.recipe());
        best.truncate(KEPT);
    }
    best.first().map(|(cost, candidate)| (candidate.recipe(), *cost))
}
