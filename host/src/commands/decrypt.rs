//! `audit-host decrypt`: opens values that a plugin encrypted for a subject, outside the flow.

use std::io::{self, BufRead, Write};

use anyhow::{Context as _, Result};
use audit_chain::Key;

use crate::cli::DecryptArgs;
use crate::config::{Error, lookups_and_keys};

/// Characters of one value: a line without an end takes no memory without an end.
const VALUE_BYTES_MAX: u64 = 64 << 20;

pub(crate) fn run(args: &DecryptArgs) -> Result<()> {
    let key = key(args)?;
    let mut to = io::stdout().lock();
    if args.values.is_empty() {
        open_lines(args, &key, io::stdin().lock(), &mut to)?;
    }
    for (idx, value) in args.values.iter().enumerate() {
        open_one(args, &key, value, &mut to)
            .with_context(|| format!("opening value {}", idx + 1))?;
    }
    Ok(to.flush()?)
}

fn key(args: &DecryptArgs) -> Result<Key, Error> {
    let (_, keys) = lookups_and_keys(&args.config)?;
    let Some(entry) = keys.get(&args.key) else {
        let known: Vec<_> = keys.keys().map(String::as_str).collect();
        let problem = format!("is not defined in [keys]; available: {}", known.join(", "));
        return Err(Error::Value { key: "--key".to_owned(), value: args.key.clone(), problem });
    };
    entry.read(&args.key)
}

fn open_lines(
    args: &DecryptArgs,
    key: &Key,
    mut input: impl BufRead,
    to: &mut impl Write,
) -> Result<()> {
    for line in 1.. {
        let mut value = String::new();
        let mut bounded = io::Read::take(&mut input, VALUE_BYTES_MAX);
        let n_bytes = bounded.read_line(&mut value).context("reading standard input")?;
        if n_bytes == 0 {
            break;
        }
        if !value.trim().is_empty() {
            let opened = open_one(args, key, value.trim(), to);
            opened.with_context(|| format!("opening line {line}"))?;
        }
    }
    Ok(())
}

fn open_one(args: &DecryptArgs, key: &Key, value: &str, to: &mut impl Write) -> Result<()> {
    let opened = key.open(&args.context, &args.subject, value)?;
    if args.json {
        let text = String::from_utf8_lossy(&opened);
        serde_json::to_writer(&mut *to, text.as_ref())?;
    } else {
        to.write_all(&opened)?;
    }
    Ok(to.write_all(b"\n")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::LogArgs;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    /// `ada@example.com` for `ada` in `user_email`, by another implementation.
    const SEALED: &str = "enc_v1.3e3774c4.OsILixSfKs9y8Et4ag7YL_XIj5Y8lgWD-q6JNw4bGQ";

    fn args(folder: &tempfile::TempDir, keys: &str) -> DecryptArgs {
        let config = folder.path().join("audit-host.toml");
        std::fs::write(folder.path().join("old.key"), SECRET).unwrap();
        std::fs::write(folder.path().join("new.key"), "another secret of enough bytes").unwrap();
        let keys = keys.replace("DIR", &folder.path().display().to_string());
        std::fs::write(&config, keys).unwrap();
        DecryptArgs {
            log: LogArgs::default(),
            config,
            key: "pii".to_owned(),
            subject: "ada".to_owned(),
            context: "user_email".to_owned(),
            json: false,
            values: Vec::new(),
        }
    }

    fn opened(args: &DecryptArgs, lines: &str) -> Result<String> {
        let mut out = Vec::new();
        open_lines(args, &key(args)?, lines.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn lines_are_opened_also_after_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let lines = format!("{SEALED}\n\n  {SEALED}");
        let twice = "ada@example.com\nada@example.com\n";
        let mut args = args(&folder, "[keys.pii]\nfile = \"DIR/old.key\"\n");
        assert_eq!(opened(&args, &lines).unwrap(), twice);
        args.json = true;
        assert_eq!(opened(&args, SEALED).unwrap(), "\"ada@example.com\"\n");
        let rotated = "[keys.pii]\nfile = \"DIR/new.key\"\nid = \"2026-11\"\n\
                       previous = [{ file = \"DIR/old.key\" }]\n";
        let args = self::args(&folder, rotated);
        assert_eq!(opened(&args, &lines).unwrap(), twice);
    }

    #[test]
    fn what_cannot_be_opened_is_named_by_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut args = args(&folder, "[keys.pii]\nfile = \"DIR/old.key\"\n");
        let said =
            |args: &DecryptArgs, lines: &str| format!("{:#}", opened(args, lines).unwrap_err());
        let refused = said(&args, &format!("{SEALED}\nada@example.com"));
        assert!(refused.starts_with("opening line 2: "), "{refused}");
        assert!(!refused.contains("ada@"), "{refused}");
        args.subject = "bob".to_owned();
        assert!(said(&args, SEALED).contains("another subject or context"));
        args.key = "pij".to_owned();
        assert!(said(&args, SEALED).contains("available: pii"));
        let args = self::args(&folder, "[keys.pii]\nfile = \"DIR/new.key\"\n");
        assert!(said(&args, SEALED).contains("its key has the id \"3e3774c4\""));
    }
}
