//! Who can write to a file or folder that says which code runs, or what it may do.
//!
//! The rule of the compile cache: it belongs to the user of this process or to root, no other user can write to it,
//! and none can replace it by writing to a folder above it. Two things are not taken for other users: the members of
//! a group that has no member but this user, which is how many distributions create users, and whoever would have to
//! write to a mount that is read-only here, as mounted ConfigMaps are.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};

/// The bits of a mode that let others write.
const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITE: u32 = 0o020;
/// In such a folder nobody can replace a file of another user: `/tmp`.
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;

/// The problem with who can write to a file or folder; `None` if there is none, or no such file: reading it reports
/// that.
pub(crate) fn problem(path: &Path) -> Option<String> {
    Rule::of_this_process().problem(path)
}

/// What the answer depends on.
struct Rule {
    uid: u32,
    /// The group of this user, if nobody else is in it.
    own_group: Option<u32>,
    mounts: Vec<Mount>,
}

struct Mount {
    at: PathBuf,
    is_read_only: bool,
}

impl Rule {
    fn of_this_process() -> Self {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let own_group = is_private(uid, gid, &read("/etc/passwd"), &read("/etc/group"));
        let mounts = mounts(&read("/proc/self/mountinfo"));
        Self { uid, own_group: own_group.then_some(gid), mounts }
    }

    fn problem(&self, path: &Path) -> Option<String> {
        let real = fs::canonicalize(path).ok()?;
        let metadata = fs::metadata(&real).ok()?;
        if !self.is_read_only(&real) {
            let owner = metadata.uid();
            if owner != self.uid && owner != ROOT {
                return Some(format!(
                    "it belongs to user {owner}; it must belong to user {}, who runs this, or to root",
                    self.uid
                ));
            }
            if self.others_write(&metadata) {
                let mode = metadata.mode() & 0o7777;
                return Some(format!("other users can write to it (mode {mode:o}): chmod go-w"));
            }
        }
        // Also on the way through links: who can replace the link leads to another file.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut above = real.ancestors().skip(1).chain(absolute.ancestors().skip(1));
        let found = above.find(|folder| self.is_replaceable_in(folder))?;
        Some(format!("other users can write to {} and so replace it: chmod go-w", found.display()))
    }

    fn is_replaceable_in(&self, folder: &Path) -> bool {
        let Ok(real) = fs::canonicalize(folder) else { return false };
        fs::metadata(&real).is_ok_and(|metadata| {
            metadata.mode() & STICKY == 0
                && self.others_write(&metadata)
                && !self.is_read_only(&real)
        })
    }

    fn others_write(&self, metadata: &Metadata) -> bool {
        let (mode, group) = (metadata.mode(), metadata.gid());
        mode & OTHERS_WRITE != 0 || mode & GROUP_WRITE != 0 && self.own_group != Some(group)
    }

    /// Whether the file is on a mount that cannot be written to from here.
    fn is_read_only(&self, path: &Path) -> bool {
        let above = self.mounts.iter().filter(|mount| path.starts_with(&mount.at));
        // The innermost; of several at one place the last one is seen.
        let innermost = above.max_by_key(|mount| mount.at.as_os_str().len());
        innermost.is_some_and(|mount| mount.is_read_only)
    }
}

/// Whether a group is of this user alone, by the files of the system. Users that these do not have are not known.
fn is_private(uid: u32, gid: u32, passwd: &str, groups: &str) -> bool {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let number = |fields: &[String], at: usize| fields.get(at)?.parse::<u32>().ok();
    let users: Vec<_> = passwd.lines().map(fields).collect();
    let Some(own) = users.iter().find(|user| number(user, 2) == Some(uid)) else { return false };
    let shares = |user: &&Vec<String>| number(user, 3) == Some(gid) && number(user, 2) != Some(uid);
    if users.iter().any(|user| shares(&user)) {
        return false;
    }
    let groups: Vec<_> = groups.lines().map(fields).collect();
    let Some(group) = groups.iter().find(|group| number(group, 2) == Some(gid)) else {
        return false;
    };
    let members = group.get(3).map_or("", String::as_str);
    members.split(',').all(|member| member.is_empty() || Some(&member.to_owned()) == own.first())
}

/// Of `/proc/self/mountinfo`: the fifth field is where, the sixth how it is mounted.
fn mounts(info: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let mut fields = line.split(' ').skip(4);
        let (at, options) = (fields.next()?, fields.next()?);
        let at = at.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
        Some(Mount { at: at.into(), is_read_only: options.split(',').any(|one| one == "ro") })
    };
    info.lines().filter_map(mount).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_can_write_or_replace_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let file = inner.join("p.wasm");
        fs::write(&file, "").unwrap();
        let rule = || Rule { own_group: None, ..Rule::of_this_process() };
        let said = || rule().problem(&file).unwrap_or_default();
        set_mode(&inner, 0o755);
        for (mode, problem) in [(0o644, ""), (0o600, ""), (0o664, "mode 664"), (0o646, "mode 646")]
        {
            set_mode(&file, mode);
            assert!(
                said().contains(problem) && said().is_empty() == problem.is_empty(),
                "{}",
                said()
            );
        }
        set_mode(&file, 0o644);
        for (mode, problem) in
            [(0o777, "and so replace it"), (0o775, "replace"), (0o1777, ""), (0o755, "")]
        {
            set_mode(&inner, mode);
            assert!(
                said().contains(problem) && said().is_empty() == problem.is_empty(),
                "{}",
                said()
            );
        }
        // A folder itself: whoever can write to it can add to it, sticky or not.
        set_mode(&inner, 0o1777);
        assert!(rule().problem(&inner).unwrap().contains("mode 1777"));
        set_mode(&inner, 0o777);
        let group = fs::metadata(&inner).unwrap().gid();
        set_mode(&inner, 0o775);
        let own = Rule { own_group: Some(group), ..Rule::of_this_process() };
        assert_eq!(own.problem(&file), None, "a group of one's own is nobody else");
        let stranger = Rule { uid: rule().uid + 1, ..rule() };
        set_mode(&inner, 0o755);
        let refused = stranger.problem(&file).unwrap_or_default();
        assert!(rule().uid == ROOT || refused.contains("it belongs to user"), "{refused}");
        // As a ConfigMap is mounted.
        set_mode(&inner, 0o777);
        let at = fs::canonicalize(&inner).unwrap();
        let mounted = Rule { mounts: vec![Mount { at, is_read_only: true }], ..rule() };
        assert_eq!(mounted.problem(&file), None);
        assert_eq!(rule().problem(&inner.join("none")), None);
    }

    #[test]
    fn a_link_is_as_safe_as_the_way_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (open, safe) = (folder.path().join("open"), folder.path().join("safe"));
        for path in [&open, &safe] {
            fs::create_dir(path).unwrap();
            set_mode(path, 0o755);
        }
        fs::write(safe.join("p.wasm"), "").unwrap();
        set_mode(&safe.join("p.wasm"), 0o644);
        std::os::unix::fs::symlink(safe.join("p.wasm"), open.join("link.wasm")).unwrap();
        assert_eq!(problem(&open.join("link.wasm")), None);
        set_mode(&open, 0o777);
        let said = problem(&open.join("link.wasm")).unwrap_or_default();
        assert!(said.contains("open and so replace it"), "{said}");
    }

    #[test]
    fn a_group_is_private_if_the_system_knows_nobody_else_in_it() {
        let passwd = "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\neve:x:1001:100::/:/bin/sh\n";
        for (uid, gid, groups, expected) in [
            (1000, 1000, "ada:x:1000:\n", true),
            (1000, 1000, "ada:x:1000:ada\n", true),
            (1000, 1000, "ada:x:1000:ada,eve\n", false),
            (1000, 100, "users:x:100:\n", false),
            (1000, 1000, "", false),
            (2000, 2000, "ldap:x:2000:\n", false),
        ] {
            assert_eq!(is_private(uid, gid, passwd, groups), expected, "{uid} {gid} {groups}");
        }
    }

    #[test]
    fn the_mounts_of_this_process_are_read() {
        let info = "22 1 0:20 / / rw,relatime - ext4 /dev/sda rw\n\
                    30 22 0:30 / /etc/my\\040config ro,relatime shared:5 - tmpfs tmpfs rw,size=4k\n";
        let found = mounts(info);
        assert_eq!(found.len(), 2);
        assert!(!found[0].is_read_only && found[1].is_read_only);
        assert_eq!(found[1].at, Path::new("/etc/my config"));
    }
}
