//! The directory of a tree, and look-ups that cannot leave it (Unix).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

use super::facts::{FileFacts, Moment};
use super::{Found, Links, walk};
use crate::files::tree::entry::ListedEntry;
use crate::files::tree::path::TreePath;

/// A descriptor that stands for a place: it can be looked at, but not read.
#[cfg(any(target_os = "linux", target_os = "android"))]
const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const PLACE: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);
/// A pipe is opened without waiting for its other end, and a terminal without becoming its session; neither is opened
/// unless it takes the place of a file between two calls.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);
/// The longest path that the system takes, in bytes.
const MAX_PATH: usize = 4096;

/// The descriptor of the directory, held since the tree was made.
#[derive(Debug)]
pub(super) struct Root {
    directory: OwnedFd,
    kernel: bool,
}

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Root> {
        let flags = PLACE | OFlags::DIRECTORY;
        let directory = openat(CWD, path, flags, Mode::empty())?;
        let kernel = kernel::keeps_inside(&directory);
        Ok(Root { directory, kernel })
    }

    /// Opens the directory for look-ups of components, whether or not the kernel could do better.
    #[cfg(test)]
    pub(super) fn walking(path: &Path) -> io::Result<Root> {
        let root = Root::open(path)?;
        Ok(Root {
            kernel: false,
            ..root
        })
    }

    /// Who keeps look-ups inside of the directory, for people.
    pub(super) fn containment(&self) -> &'static str {
        if self.kernel { "kernel" } else { "walk" }
    }

    pub(super) fn look_up(&self, path: &TreePath<'_>, links: Links) -> io::Result<Option<Found>> {
        missing_is_none(self.find(path.as_str(), links))
    }

    fn find(&self, path: &str, links: Links) -> io::Result<Option<Found>> {
        let Some(place) = self.locate(path, links)? else {
            return Ok(None);
        };
        match FileType::from_raw_mode(place.stat(links)?.st_mode) {
            FileType::Directory => return Ok(Some(Found::Directory)),
            FileType::RegularFile => {}
            // It is not opened: that alone may have an effect, such as arming a watchdog.
            _ => return Ok(None),
        }
        let file = place.open(links, READ)?;
        // What was looked at may be another file by now.
        let stat = fstat(&file)?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Ok(is_file.then(|| Found::File(File::from(file), facts(&stat))))
    }

    pub(super) fn list(
        &self,
        path: &TreePath<'_>,
        links: Links,
        limit: usize,
    ) -> io::Result<Option<Vec<ListedEntry>>> {
        missing_is_none(self.list_directory(path, links, limit))
    }

    fn list_directory(
        &self,
        path: &TreePath<'_>,
        links: Links,
        limit: usize,
    ) -> io::Result<Option<Vec<ListedEntry>>> {
        let Some(place) = self.locate(path.as_str(), links)? else {
            return Ok(None);
        };
        let directory = place.open(links, READ | OFlags::DIRECTORY)?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if entries.len() == limit {
                break;
            }
            if !matches!(name, "." | "..") {
                entries.extend(self.listed(&directory, path, name, links));
            }
        }
        Ok(Some(entries))
    }

    /// The entry of a name in a directory; `None` if it is not served, or has just been removed.
    fn listed(
        &self,
        directory: &OwnedFd,
        path: &TreePath<'_>,
        name: &str,
        links: Links,
    ) -> Option<ListedEntry> {
        let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Some(ListedEntry::directory(name)),
            FileType::RegularFile => {
                let facts = facts(&stat);
                let entry = ListedEntry::file(name).length(facts.length);
                Some(match facts.modified() {
                    Some(time) => entry.modified(time),
                    None => entry,
                })
            }
            // Its target is only looked at, and neither its length nor its time is shown.
            FileType::Symlink if links != Links::Refuse => {
                let path = path.join(name);
                let target = self.locate(path.as_str(), links).ok()??;
                match FileType::from_raw_mode(target.stat(links).ok()?.st_mode) {
                    FileType::Directory => Some(ListedEntry::directory(name)),
                    FileType::RegularFile => Some(ListedEntry::file(name)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Finds the place of a path; `None` if the path leads out of the directory.
    fn locate<'a>(&'a self, path: &'a str, links: Links) -> io::Result<Option<Place<'a>>> {
        if path.len() > MAX_PATH {
            return Ok(None);
        }
        let path = if path.is_empty() { "." } else { path };
        if links == Links::InsecureFollow {
            return Ok(Some(Place::At(&self.directory, path)));
        }
        if self.kernel {
            return Ok(Some(Place::Beneath(&self.directory, path)));
        }
        let found = walk::walk(self.directory.as_fd(), path.as_bytes(), links)?;
        Ok(found.map(|(directory, name)| Place::Entry(directory, name)))
    }
}

/// A place in the tree, which several calls look at.
enum Place<'a> {
    /// Below this directory; all links are followed.
    At(&'a OwnedFd, &'a str),
    /// Below this directory, where the kernel stays.
    Beneath(&'a OwnedFd, &'a str),
    /// An entry of this directory, which is not a link.
    Entry(OwnedFd, Vec<u8>),
}

impl Place<'_> {
    fn stat(&self, links: Links) -> io::Result<Stat> {
        Ok(match self {
            Place::At(root, path) => statat(root, *path, AtFlags::empty())?,
            Place::Beneath(..) => fstat(self.open(links, PLACE)?)?,
            Place::Entry(directory, name) => statat(directory, &**name, AtFlags::SYMLINK_NOFOLLOW)?,
        })
    }

    fn open(&self, links: Links, flags: OFlags) -> io::Result<OwnedFd> {
        match self {
            Place::At(root, path) => Ok(openat(root, *path, flags, Mode::empty())?),
            Place::Beneath(root, path) => kernel::open(root, path, flags, links),
            Place::Entry(directory, name) => {
                let flags = flags | OFlags::NOFOLLOW;
                Ok(openat(directory, &**name, flags, Mode::empty())?)
            }
        }
    }
}

/// Errors that mean that a path names nothing that may be served.
fn missing_is_none<T>(found: io::Result<Option<T>>) -> io::Result<Option<T>> {
    found.or_else(|error| match Errno::from_io_error(&error) {
        // `EXDEV` and `EAGAIN`: the path leads out of the directory, or something was renamed each time that it was
        // resolved.
        Some(
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::LOOP
            | Errno::NAMETOOLONG
            | Errno::INVAL
            | Errno::XDEV
            | Errno::AGAIN
            | Errno::NXIO
            | Errno::NODEV,
        ) => Ok(None),
        _ => Err(error),
    })
}

#[expect(
    clippy::allow_attributes,
    reason = "the types of these fields, and so the casts that are needed, differ between systems"
)]
#[allow(
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    trivial_numeric_casts,
    reason = "see above"
)]
fn facts(stat: &Stat) -> FileFacts {
    let moment = |seconds: i64, nanoseconds: i64| -> Moment {
        (seconds, u32::try_from(nanoseconds).unwrap_or_default())
    };
    FileFacts {
        length: u64::try_from(stat.st_size).unwrap_or_default(),
        modified: moment(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        changed: moment(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod kernel {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;

    use super::{Links, PLACE};

    /// How often a look-up is tried again if something in the tree was renamed at the same time.
    const TRIES: usize = 16;

    /// Whether this kernel has the call, and a sandbox allows it.
    pub(super) fn keeps_inside(directory: &OwnedFd) -> bool {
        open(directory, ".", PLACE, Links::Inside).is_ok()
    }

    pub(super) fn open(
        directory: &OwnedFd,
        path: &str,
        flags: OFlags,
        links: Links,
    ) -> io::Result<OwnedFd> {
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        if links == Links::Refuse {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        let mut opened = Err(Errno::AGAIN);
        for _ in 0..TRIES {
            opened = openat2(directory, path, flags, Mode::empty(), resolve);
            if !matches!(opened, Err(Errno::AGAIN | Errno::INTR)) {
                break;
            }
        }
        Ok(opened?)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod kernel {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::fs::OFlags;
    use rustix::io::Errno;

    use super::Links;

    pub(super) fn keeps_inside(_: &OwnedFd) -> bool {
        false
    }

    pub(super) fn open(_: &OwnedFd, _: &str, _: OFlags, _: Links) -> io::Result<OwnedFd> {
        Err(Errno::NOSYS.into())
    }
}
