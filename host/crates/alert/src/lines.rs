//! Delivery as JSON lines.

use std::io::SeekFrom;
use std::path::Path;

use async_trait::async_trait;
use audit_core::Alert;
use audit_core::stage::AlertSink;
use tokio::fs::{DirBuilder, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, stdout};

use crate::error::Error;
use crate::target::Target;

/// Alerts are about people: a file and the folders that are created for it are the host's own. What exists keeps the
/// mode that somebody gave it.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Writes every alert as one line.
pub struct AlertLines {
    target: Target,
    /// `None` for standard output.
    file: Option<File>,
}

impl AlertLines {
    /// Opens the target, so that a wrong path fails before the first event.
    pub async fn open(target: Target) -> Result<Self, Error> {
        let file = match &target {
            Target::Stdout => None,
            Target::File(path) => Some(open_for_append(path).await?),
        };
        Ok(Self { target, file })
    }

    async fn write(&mut self, lines: &[u8]) -> std::io::Result<()> {
        match &mut self.file {
            None => {
                let mut out = stdout();
                out.write_all(lines).await?;
                out.flush().await
            }
            Some(file) => {
                file.write_all(lines).await?;
                file.flush().await?;
                // The outbox is removed once this returns: the lines must survive a power failure.
                file.sync_data().await
            }
        }
    }
}

async fn open_for_append(path: &Path) -> Result<File, Error> {
    let opened = async {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).await?;
        }
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(true).mode(FILE_MODE);
        let mut file = options.open(path).await?;
        end_torn_line(&mut file).await?;
        Ok(file)
    };
    opened.await.map_err(|cause| Error::Open { path: path.display().to_string(), cause })
}

/// A crash or a full disk may have left half a line. The next line must not be appended to it: the same alerts
/// are delivered again as a whole.
async fn end_torn_line(file: &mut File) -> std::io::Result<()> {
    // A pipe or a terminal has no previous lines.
    if !file.metadata().await?.is_file() || file.seek(SeekFrom::End(0)).await? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1)).await?;
    if file.read_u8().await? != b'\n' {
        file.write_all(b"\n").await?;
    }
    file.flush().await
}

#[async_trait]
impl AlertSink for AlertLines {
    async fn deliver(&mut self, alerts: &[Alert]) -> Result<(), audit_core::Error> {
        if alerts.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for alert in alerts {
            serde_json::to_writer(&mut lines, alert).map_err(Error::Json)?;
            lines.push(b'\n');
        }
        let n_alerts = alerts.len();
        let target = self.target.to_string();
        self.write(&lines).await.map_err(|cause| Error::Deliver { n_alerts, target, cause })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_new_file_is_the_owners_alone_and_another_keeps_its_mode() {
        let dir = std::env::temp_dir().join(format!("audit-host-modes-{}", std::process::id()));
        let path = dir.join("new/alerts.jsonl");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        AlertLines::open(Target::File(path.clone())).await.unwrap();
        assert_eq!((mode(&path), mode(&dir.join("new"))), (0o600, 0o700));
        for path in [&path, path.parent().unwrap()] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o750)).unwrap();
        }
        AlertLines::open(Target::File(path.clone())).await.unwrap();
        assert_eq!((mode(&path), mode(&dir.join("new"))), (0o750, 0o750));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[tokio::test]
    async fn a_torn_line_is_ended_before_the_next() {
        let path = std::env::temp_dir().join(format!("audit-host-lines-{}", std::process::id()));
        for (before, after) in [("", ""), ("{}\n", "{}\n"), ("{}\n{\"id", "{}\n{\"id\n")] {
            std::fs::write(&path, before).unwrap();
            let lines = AlertLines::open(Target::File(path.clone())).await.unwrap();
            drop(lines);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
        std::fs::remove_file(&path).unwrap();
    }
}
