//! A session while a request is handled.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::HttpError;

use super::data::Data;
use super::store::SessionKey;

/// The content of a session as it is kept: when it was created, in seconds since 1970, and its values.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) created: u64,
    pub(super) data: Data,
}

impl Record {
    /// The length of the time of creation, in bytes.
    pub(super) const HEAD: usize = 8;

    pub(super) fn parse(content: &Bytes) -> Option<Record> {
        let (created, _) = content.split_first_chunk::<{ Record::HEAD }>()?;
        Some(Record {
            created: u64::from_be_bytes(*created),
            data: Data::parse(content.slice(Record::HEAD..))?,
        })
    }

    pub(super) fn to_bytes(&self) -> Bytes {
        [&self.created.to_be_bytes()[..], self.data.as_bytes()]
            .concat()
            .into()
    }
}

/// What a request does to its session.
#[derive(Default)]
pub(super) struct Open {
    /// The session that the request brought, if it is valid.
    pub(super) kept: Option<Kept>,
    /// The values, with all changes.
    pub(super) record: Record,
    pub(super) changes: Vec<Change>,
    /// Changes of values that are made if the response is a page that the user sees.
    pub(super) after_page: Vec<(String, Arc<Update>)>,
    /// The user does not see the response: the request is a HEAD, or a browser loads ahead.
    pub(super) is_unseen: bool,
    /// It gets a new ID.
    pub(super) is_renewed: bool,
    /// The session that the request brought ends.
    pub(super) is_destroyed: bool,
}

/// How a session is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// `None` if the cookie is all there is.
    pub(super) stored: Option<Stored>,
    pub(super) time_left: Duration,
}

/// A session in a store: the ID as it is in the cookie, its key, and the version that was loaded.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) key: SessionKey,
    pub(super) version: u64,
}

/// A change, which can be made again on what another request has saved meanwhile.
pub(super) enum Change {
    Set(String, Vec<u8>),
    Remove(String),
    Clear,
    Update(String, Arc<Update>),
}

/// Returns the new value for the present one; `None` removes it.
pub(super) type Update = dyn Fn(Option<&[u8]>) -> Result<Option<Vec<u8>>, HttpError> + Send + Sync;

impl Open {
    /// Makes a change, and keeps it. `limit` is the maximum length of the values, in bytes.
    pub(super) fn change(&mut self, change: Change, limit: usize) -> Result<(), HttpError> {
        let mut data = self.record.data.clone();
        change.apply(&mut data)?;
        check_length(&data, limit)?;
        if data != self.record.data {
            self.record.data = data;
            self.changes.push(change);
        }
        Ok(())
    }

    /// Sets a value that `update` has made of the present one.
    pub(super) fn update(
        &mut self,
        name: &str,
        json: &[u8],
        update: Arc<Update>,
        limit: usize,
    ) -> Result<(), HttpError> {
        set(&mut self.record.data, name, json)?;
        check_length(&self.record.data, limit)?;
        self.changes.push(Change::Update(name.to_owned(), update));
        Ok(())
    }

    /// Makes all changes on what another request has saved.
    pub(super) fn rebase(&mut self, mut record: Record, limit: usize) -> Result<(), HttpError> {
        for change in &self.changes {
            change.apply(&mut record.data)?;
        }
        check_length(&record.data, limit)?;
        self.record = record;
        Ok(())
    }

    /// Begins an empty session at this time, in place of the one that the request brought.
    pub(super) fn destroy(&mut self, now: u64) {
        self.record = Record {
            created: now,
            ..Record::default()
        };
        self.changes.clear();
        self.after_page.clear();
        self.is_destroyed = true;
        self.is_renewed = false;
    }

    /// Makes the changes that follow when a page is shown.
    pub(super) fn end_page(&mut self, limit: usize) -> Result<(), HttpError> {
        let changes = std::mem::take(&mut self.after_page);
        let mut changes = changes.into_iter();
        changes.try_for_each(|(name, update)| self.change(Change::Update(name, update), limit))
    }

    pub(super) fn is_changed(&self) -> bool {
        self.is_destroyed || !self.changes.is_empty()
    }
}

impl Change {
    fn apply(&self, data: &mut Data) -> Result<(), HttpError> {
        match self {
            Change::Set(name, json) => set(data, name, json),
            Change::Update(name, update) => match update(data.get(name))? {
                Some(json) => set(data, name, &json),
                None => {
                    data.remove(name);
                    Ok(())
                }
            },
            Change::Remove(name) => {
                data.remove(name);
                Ok(())
            }
            Change::Clear => {
                data.clear();
                Ok(())
            }
        }
    }
}

fn set(data: &mut Data, name: &str, json: &[u8]) -> Result<(), HttpError> {
    match data.get(name) == Some(json) || data.set(name, json) {
        true => Ok(()),
        false => Err("the name of a session's value is longer than 65,535 bytes".into()),
    }
}

fn check_length(data: &Data, limit: usize) -> Result<(), HttpError> {
    match data.len() > limit {
        true => Err(format!("the values of a session are longer than {limit} bytes").into()),
        false => Ok(()),
    }
}
