//! Saves what a request did to its session.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use enfilade_core::headers::vary_add;
use enfilade_core::{BoxError, HttpError, IntoResponse, Reply, Response};
use http::header::COOKIE;

use super::cookie::new_id;
use super::open::{Open, Record, Stored};
use super::store::{SessionKey, SessionStore, Updated};
use super::{Keeper, Sessions, unavailable};

/// How often changes are made anew because another request was faster. Each time one of them has saved its own.
const ATTEMPTS: usize = 1_000;

/// What the client gets to know.
enum Told {
    Nothing,
    /// This value, for this time.
    Set(String, Duration),
    Removed,
}

impl Sessions {
    /// Saves a session, and then sets its cookie.
    pub(super) fn save(self: &Arc<Self>, mut open: Open, mut response: Response) -> Reply {
        vary_add(response.headers_mut(), &COOKIE);
        let status = response.status();
        let is_page = status.is_success() || status.is_client_error();
        if is_page
            && !open.is_unseen
            && let Err(error) = open.end_page(self.limit)
        {
            return Reply::new(error);
        }
        let store = match &self.keeper {
            Keeper::Store(store) => store.clone(),
            Keeper::Encrypted(_) | Keeper::Signed(_) => {
                let told = self.save_in_cookie(&open);
                return Reply::new(self.tell(told, response));
            }
        };
        let sessions = self.clone();
        let mut saving = Box::pin(async move {
            let told = sessions.save_in_store(&*store, open).await;
            match (told, &sessions.on_failure) {
                (Ok(told), _) => sessions.tell(told, response),
                (Err(Failure::Store(error)), Some(report)) => {
                    report(&error);
                    response
                }
                (Err(error), _) => error.into_http().into_response(),
            }
        });
        // A store in memory needs no time, so neither does the response.
        match saving
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(response) => Reply::new(response),
            Poll::Pending => Reply::from_future(saving),
        }
    }

    fn tell(&self, told: Told, mut response: Response) -> Response {
        let cookie = match told {
            Told::Nothing => return response,
            Told::Removed => self.cookie.clone().removal(),
            Told::Set(value, time) => {
                let cookie = self.cookie.clone().value(value);
                match self.is_persistent {
                    true => cookie.max_age(time),
                    false => cookie,
                }
            }
        };
        match cookie.set_on(&mut response) {
            Ok(()) => response,
            Err(error) => HttpError::from(error).into_response(),
        }
    }

    fn save_in_cookie(&self, open: &Open) -> Told {
        let left = open.kept.as_ref().map(|kept| kept.time_left);
        match left {
            _ if open.record.data.is_empty() => match left {
                Some(_) if open.is_changed() => Told::Removed,
                _ => Told::Nothing,
            },
            _ if open.is_renewed => self.sealed(&Record {
                created: self.seconds(),
                data: open.record.data.clone(),
            }),
            Some(left) if !open.is_changed() && !self.is_due(left, &open.record) => Told::Nothing,
            _ => self.sealed(&open.record),
        }
    }

    fn sealed(&self, record: &Record) -> Told {
        match self.seal(record) {
            Some(value) => Told::Set(value, self.time_left(record)),
            None => Told::Nothing,
        }
    }

    /// Whether so much of a session's time is over that it starts anew.
    fn is_due(&self, left: Duration, record: &Record) -> bool {
        let whole = self.time_left(record);
        left < whole.saturating_sub(whole / 10)
    }

    async fn save_in_store(&self, store: &dyn SessionStore, open: Open) -> Result<Told, Failure> {
        let Some(kept) = &open.kept else {
            return match open.record.data.is_empty() {
                true => Ok(Told::Nothing),
                false => self.create(store, &open.record).await,
            };
        };
        let Some(stored) = &kept.stored else {
            return Ok(Told::Nothing);
        };
        if open.is_destroyed {
            store.remove(&stored.key).wait().await?;
            return match open.record.data.is_empty() {
                true => Ok(Told::Removed),
                false => self.create(store, &open.record).await,
            };
        }
        if open.is_renewed {
            let key = stored.key;
            return self.renew(store, key, open).await;
        }
        let time = self.time_left(&open.record);
        let (stored, is_due) = (stored.clone(), self.is_due(kept.time_left, &open.record));
        let is_there = match open.changes.is_empty() {
            true if !is_due => false,
            true => store.touch(&stored.key, time).wait().await?,
            false => self.update(store, &stored, open).await?,
        };
        // The browser's time starts anew with that of the store.
        match is_there && is_due {
            true => Ok(Told::Set(stored.id, time)),
            false => Ok(Told::Nothing),
        }
    }

    async fn create(&self, store: &dyn SessionStore, record: &Record) -> Result<Told, Failure> {
        let time = self.time_left(record);
        loop {
            let (id, key) = new_id();
            // An ID that exists would be another client's session.
            if store.create(&key, record.to_bytes(), time).wait().await? {
                return Ok(Told::Set(id, time));
            }
        }
    }

    /// Moves the session to another ID, with what other requests have saved meanwhile.
    async fn renew(
        &self,
        store: &dyn SessionStore,
        key: SessionKey,
        mut open: Open,
    ) -> Result<Told, Failure> {
        let Some(stored) = store.load(&key).wait().await? else {
            return Ok(Told::Nothing);
        };
        if let Some(record) = Record::parse(&stored.content) {
            open.rebase(record, self.limit).map_err(Failure::Change)?;
        }
        let record = Record {
            created: self.seconds(),
            data: open.record.data,
        };
        let told = self.create(store, &record).await?;
        if !store.remove(&key).wait().await?
            && let Told::Set(id, _) = &told
        {
            // Another request removed it meanwhile, so its copy must not live on.
            if let Some(copy) = super::cookie::key_of(id) {
                store.remove(&copy).wait().await?;
            }
            return Ok(Told::Nothing);
        }
        Ok(told)
    }

    /// Returns false if there is no such session any more: another request has removed or renewed it. Then the client has
    /// another cookie, or none.
    async fn update(
        &self,
        store: &dyn SessionStore,
        stored: &Stored,
        mut open: Open,
    ) -> Result<bool, Failure> {
        let mut version = stored.version;
        for _ in 0..ATTEMPTS {
            let time = self.time_left(&open.record);
            let content = open.record.to_bytes();
            let updated = store.update(&stored.key, version, content, time);
            match updated.wait().await? {
                Updated::Saved => return Ok(true),
                Updated::Missing => return Ok(false),
                Updated::Conflict => {}
            }
            let Some(saved) = store.load(&stored.key).wait().await? else {
                return Ok(false);
            };
            version = saved.version;
            let record = Record::parse(&saved.content).unwrap_or_default();
            open.rebase(record, self.limit).map_err(Failure::Change)?;
        }
        Err(Failure::Store(
            "other requests change the session all the time".into(),
        ))
    }
}

/// Why a session was not saved.
enum Failure {
    Store(BoxError),
    /// What other requests saved and this one changed does not go together.
    Change(HttpError),
}

impl From<BoxError> for Failure {
    fn from(error: BoxError) -> Failure {
        Failure::Store(error)
    }
}

impl Failure {
    fn into_http(self) -> HttpError {
        match self {
            Failure::Store(error) => unavailable(error),
            Failure::Change(error) => error,
        }
    }
}
