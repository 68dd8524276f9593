//! Resolves a path component by component, for systems whose kernel cannot keep a look-up inside of a directory.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, readlinkat, statat};

use super::Links;

/// The number of links that a path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;
/// The number of components of a path with its links.
const MAX_COMPONENTS: usize = 1024;

/// Returns the directory of a path's last component, and its name, which was not a link; `None` if the path leads out of
/// the root, or through links that are refused.
///
/// Each component is opened by itself, and never through a link: a link is read, and its target takes its place. So a
/// component that becomes a link in between is an error, and nothing outside of the root is ever opened.
pub(super) fn walk(
    root: BorrowedFd<'_>,
    path: &[u8],
    links: Links,
) -> io::Result<Option<(OwnedFd, Vec<u8>)>> {
    let mut walk = Walk {
        root,
        names: Vec::new(),
        directory: root.try_clone_to_owned()?,
    };
    let mut rest: VecDeque<Vec<u8>> = components(path).collect();
    let mut left = MAX_LINKS;
    while let Some(name) = rest.pop_front() {
        if name == b".." {
            if !walk.leave()? {
                return Ok(None);
            }
            continue;
        }
        let stat = statat(&walk.directory, &*name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            left = left.saturating_sub(1);
            if links == Links::Refuse || left == 0 {
                return Ok(None);
            }
            let target = readlinkat(&walk.directory, &*name, Vec::new())?;
            if target.as_bytes().starts_with(b"/") {
                return Ok(None);
            }
            for component in components(target.as_bytes()).rev() {
                rest.push_front(component);
            }
            if rest.len() > MAX_COMPONENTS {
                return Ok(None);
            }
        } else if rest.is_empty() {
            return Ok(Some((walk.directory, name)));
        } else {
            walk.enter(name)?;
        }
    }
    Ok(Some((walk.directory, b".".to_vec())))
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> + '_ {
    let names = path.split(|byte| *byte == b'/');
    names
        .filter(|name| !matches!(*name, b"" | b"."))
        .map(<[u8]>::to_vec)
}

/// Where a walk is.
struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// The names from the root to the directory; none of them was a link.
    names: Vec<Vec<u8>>,
    directory: OwnedFd,
}

impl Walk<'_> {
    fn enter(&mut self, name: Vec<u8>) -> io::Result<()> {
        self.directory = open(self.directory.as_fd(), &name)?;
        self.names.push(name);
        Ok(())
    }

    /// Goes to the parent; false at the root. It begins again at the root: `..` of a directory that was moved is another.
    fn leave(&mut self) -> io::Result<bool> {
        if self.names.pop().is_none() {
            return Ok(false);
        }
        self.directory = self.root.try_clone_to_owned()?;
        for name in &self.names {
            self.directory = open(self.directory.as_fd(), name)?;
        }
        Ok(true)
    }
}

fn open(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let access = OFlags::PATH;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let access = OFlags::RDONLY | OFlags::NONBLOCK;
    let flags = access | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(directory, name, flags, Mode::empty())?)
}
