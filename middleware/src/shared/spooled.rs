//! Content that is kept in memory up to a limit, and in a temporary file beyond it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use enfilade_core::Body;
use tempfile::{NamedTempFile, TempPath};

use crate::files::file_source::FileSource;

/// Content is written to the file in pieces of at least this length.
const PIECE: usize = 256 * 1024;

/// How content is kept.
#[derive(Clone, Debug)]
pub(crate) struct SpoolOptions {
    /// The maximum length of content in memory, in bytes.
    pub(crate) memory: usize,
    /// The folder of the temporary file; by default that of the system.
    pub(crate) folder: Option<PathBuf>,
}

/// Takes content, piece by piece.
pub(crate) struct SpoolWriter {
    options: SpoolOptions,
    /// What is not in the file. It is copied: a slice would keep all of the buffer that it is a part of.
    waiting: BytesMut,
    file: Option<NamedTempFile>,
    length: u64,
}

impl SpoolWriter {
    pub(crate) fn new(options: SpoolOptions) -> SpoolWriter {
        SpoolWriter {
            options,
            waiting: BytesMut::new(),
            file: None,
            length: 0,
        }
    }

    #[cfg(feature = "spool")]
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// Adds content. Files are written on another thread.
    pub(crate) async fn write(&mut self, content: &[u8]) -> io::Result<()> {
        self.length += content.len() as u64;
        self.waiting.extend_from_slice(content);
        let limit = match self.file {
            None => self.options.memory,
            Some(_) => PIECE,
        };
        match self.waiting.len() > limit {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let content = std::mem::take(&mut self.waiting);
        let (file, folder) = (self.file.take(), self.options.folder.clone());
        let written = blocking::unblock(move || -> io::Result<(NamedTempFile, BytesMut)> {
            let mut file = match (file, folder) {
                (Some(file), _) => file,
                (None, Some(folder)) => NamedTempFile::new_in(folder)?,
                (None, None) => NamedTempFile::new()?,
            };
            file.write_all(&content)?;
            Ok((file, content))
        });
        let (file, mut memory) = written.await?;
        memory.clear();
        self.waiting = memory;
        self.file = Some(file);
        Ok(())
    }

    /// The whole content.
    pub(crate) async fn finish(mut self) -> io::Result<Spooled> {
        if self.file.is_none() {
            return Ok(Spooled::Memory(self.waiting.freeze()));
        }
        if !self.waiting.is_empty() {
            self.flush().await?;
        }
        let file = self.file.take().ok_or(io::ErrorKind::NotFound)?;
        let (_, path) = file.into_parts();
        Ok(Spooled::File(Arc::new(path), self.length))
    }
}

/// Content that was read to its end. The file is removed with its last clone.
#[derive(Clone, Debug)]
pub(crate) enum Spooled {
    Memory(Bytes),
    /// The file, and its length.
    File(Arc<TempPath>, u64),
}

impl Spooled {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Spooled::Memory(content) => content.len() as u64,
            Spooled::File(_, length) => *length,
        }
    }

    /// The content as a body, which keeps the file until it was sent.
    pub(crate) async fn body(&self) -> io::Result<Body> {
        match self {
            Spooled::Memory(content) => Ok(content.clone().into()),
            Spooled::File(path, _) => {
                let source = FileSource::open(&***path).await?;
                let path = path.clone();
                Ok(Body::from(source).on_end(move |_| drop(path)))
            }
        }
    }

    /// Makes a file of the content that stays; fails if `path` exists.
    pub(crate) async fn persist(self, path: PathBuf) -> io::Result<()> {
        blocking::unblock(move || match self {
            Spooled::Memory(content) => write_new(&path, &content),
            Spooled::File(file, _) => match Arc::try_unwrap(file) {
                Ok(file) => move_new(file, &path),
                Err(shared) => copy_new(&shared, &path),
            },
        })
        .await
    }
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let written = std::fs::File::create_new(path)?.write_all(content);
    if written.is_err() {
        // The first error is the one to report.
        drop(std::fs::remove_file(path));
    }
    written
}

fn move_new(file: TempPath, path: &Path) -> io::Result<()> {
    match file.persist_noclobber(path) {
        Ok(()) => Ok(()),
        Err(failed) if failed.error.kind() == io::ErrorKind::CrossesDevices => {
            copy_new(&failed.path, path)
        }
        Err(failed) => Err(failed.error),
    }
}

fn copy_new(from: &Path, path: &Path) -> io::Result<()> {
    let mut content = std::fs::File::open(from)?;
    let copied = io::copy(&mut content, &mut std::fs::File::create_new(path)?);
    if copied.is_err() {
        drop(std::fs::remove_file(path));
    }
    copied.map(drop)
}
