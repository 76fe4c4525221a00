//! Licence expressions: `MIT OR (Apache-2.0 WITH LLVM-exception AND Unicode-3.0)`.

use anyhow::{Result, bail};

/// Whether the allowed licences are enough. `Apache-2.0 WITH LLVM-exception` is a licence of its own.
pub(super) fn is_satisfied(expression: &str, allowed: &[&str]) -> Result<bool> {
    // Old manifests write `MIT/Apache-2.0`.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = Words { rest: spaced.split_whitespace().collect(), allowed };
    let result = words.any_of()?;
    match words.rest.first() {
        None => Ok(result),
        Some(word) => bail!("`{word}` is not expected there"),
    }
}

struct Words<'a> {
    rest: Vec<&'a str>,
    allowed: &'a [&'a str],
}

impl<'a> Words<'a> {
    fn any_of(&mut self) -> Result<bool> {
        let mut result = self.all_of()?;
        while self.take_if("OR") {
            result |= self.all_of()?;
        }
        Ok(result)
    }

    fn all_of(&mut self) -> Result<bool> {
        let mut result = self.one()?;
        while self.take_if("AND") {
            result &= self.one()?;
        }
        Ok(result)
    }

    fn one(&mut self) -> Result<bool> {
        if self.take_if("(") {
            let result = self.any_of()?;
            if !self.take_if(")") {
                bail!("a bracket is not closed");
            }
            return Ok(result);
        }
        let mut licence = self.take()?.to_owned();
        if self.take_if("WITH") {
            licence = format!("{licence} WITH {}", self.take()?);
        }
        Ok(self.allowed.contains(&licence.as_str()))
    }

    fn take_if(&mut self, word: &str) -> bool {
        let is_next = self.rest.first() == Some(&word);
        if is_next {
            self.rest.remove(0);
        }
        is_next
    }

    fn take(&mut self) -> Result<&'a str> {
        match self.rest.first() {
            None => bail!("it ends too early"),
            Some(&word) if ["AND", "OR", "WITH", "(", ")"].contains(&word) => {
                bail!("`{word}` is not expected there")
            }
            Some(_) => Ok(self.rest.remove(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_weighed() {
        let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
        let cases = [
            ("MIT", Some(true)),
            ("GPL-2.0", Some(false)),
            ("MIT/GPL-2.0", Some(true)),
            ("MIT AND GPL-2.0 OR ISC", Some(true)),
            ("MIT AND (GPL-2.0 OR Zlib)", Some(false)),
            ("Apache-2.0", Some(false)),
            ("Apache-2.0 WITH LLVM-exception AND ISC", Some(true)),
            ("", None),
            ("MIT ISC", None),
            ("(MIT", None),
            ("MIT OR AND ISC", None),
        ];
        for (expression, expected) in cases {
            assert_eq!(is_satisfied(expression, &allowed).ok(), expected, "{expression}");
        }
    }
}
