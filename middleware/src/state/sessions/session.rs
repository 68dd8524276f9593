//! The session of a request, as applications see it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use enfilade_core::{HttpError, Request, unpoisoned};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Sessions;
use super::open::{Change, Open, Update};

/// The name of the secret that tokens are made of; it ends with the ID.
pub(crate) const CSRF_SECRET: &str = "_csrf";

/// The session of the client, in an application inside [`Sessions`].
///
/// [`load`](Session::load) finds it, and then all is at once: values are any type of `serde`, by name. What changed is
/// saved before the head of the response is sent, if the application returns a response; a body that is still being sent
/// can change nothing. Clones are the same session.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::Session;
/// use enfilade::{HttpError, Redirect, Request};
///
/// async fn log_in(mut request: Request) -> Result<Redirect, HttpError> {
///     let session = Session::load(&request).await?;
///     // After the password was checked. An ID that somebody else put into the browser is worth nothing now.
///     session.renew()?;
///     session.insert("user", &"ada")?;
///     Ok(Redirect::see_other(&request, "/"))
/// }
///
/// async fn log_out(request: Request) -> Result<Redirect, HttpError> {
///     Session::load(&request).await?.destroy()?;
///     Ok(Redirect::see_other(&request, "/"))
/// }
/// ```
#[derive(Clone)]
pub struct Session(Arc<Slot>);

/// The place of a request's session, which its wrapper provides.
#[derive(Default)]
pub(super) struct Slot(Mutex<State>);

#[derive(Default)]
struct State {
    /// The wrapper, while a request is handled.
    sessions: Option<Arc<Sessions>>,
    phase: Phase,
}

#[derive(Default)]
enum Phase {
    #[default]
    Untouched,
    Open(Box<Open>),
    /// The head of the response is on its way.
    Closed,
}

impl Phase {
    fn into_open(self) -> Option<Box<Open>> {
        match self {
            Phase::Open(open) => Some(open),
            Phase::Untouched | Phase::Closed => None,
        }
    }
}

impl Slot {
    /// Makes it ready for a request.
    #[inline]
    pub(super) fn begin(&mut self, sessions: &Arc<Sessions>) {
        let state = unpoisoned(self.0.get_mut());
        state.sessions = Some(sessions.clone());
    }

    /// Ends the request, and makes it ready for another one, if the request did not look at its session.
    #[inline]
    pub(super) fn end_untouched(&mut self) -> bool {
        let state = unpoisoned(self.0.get_mut());
        let is_untouched = matches!(state.phase, Phase::Untouched);
        if is_untouched {
            state.sessions = None;
        }
        is_untouched
    }

    /// Ends the request: returns what it did to its session, and the place for another request, if no one else has it. Who
    /// has it can do no more.
    pub(super) fn end(mut slot: Arc<Slot>) -> (Option<Box<Open>>, Option<Arc<Slot>>) {
        if let Some(own) = Arc::get_mut(&mut slot) {
            let state = std::mem::take(unpoisoned(own.0.get_mut()));
            return (state.phase.into_open(), Some(slot));
        }
        let closed = State {
            sessions: None,
            phase: Phase::Closed,
        };
        let state = std::mem::replace(&mut *slot.lock(), closed);
        (state.phase.into_open(), None)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.0.lock())
    }

    /// The wrapper, if the session is still to be loaded.
    fn unloaded(&self) -> Option<Arc<Sessions>> {
        let state = self.lock();
        match state.phase {
            Phase::Untouched => state.sessions.clone(),
            Phase::Open(_) | Phase::Closed => None,
        }
    }

    /// Sets what was loaded. Of two loads at a time, the first counts.
    fn open(&self, open: Open) {
        let mut state = self.lock();
        if let Phase::Untouched = state.phase {
            state.phase = Phase::Open(Box::new(open));
        }
    }
}

impl Session {
    /// Loads the session of a request; without one, it is empty. It is loaded once, by the first call.
    ///
    /// The future does not borrow the request.
    ///
    /// # Errors
    ///
    /// 500 if no [`Sessions`] is around the application, and 503 if the store fails.
    pub fn load(
        request: &Request,
    ) -> impl Future<Output = Result<Session, HttpError>> + Send + use<> {
        let begun = begin(request);
        async move {
            let (slot, loading) = begun?;
            if let Some(loading) = loading {
                slot.open(loading.wait().await?);
            }
            Ok(Session(slot))
        }
    }

    /// Loads the session of a request if its store needs no time, as [`MemorySessions`](crate::MemorySessions) and
    /// cookies do: for closures that are not `async`.
    ///
    /// # Errors
    ///
    /// As for [`load`](Session::load), and 500 if the store needs time.
    pub fn load_now(request: &Request) -> Result<Session, HttpError> {
        let (slot, loading) = begin(request)?;
        if let Some(loading) = loading {
            let loaded = loading.try_into_ready();
            slot.open(loaded.map_err(|_| "the store of sessions needs time: use Session::load")??);
        }
        Ok(Session(slot))
    }

    /// Returns the value of this name, if there is one.
    ///
    /// # Errors
    ///
    /// 500 if the value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, HttpError> {
        let values = self.with(|open, _| Ok(open.record.data.clone()))?;
        values.get(name).map(read).transpose()
    }

    /// Sets a value.
    ///
    /// Of two requests at a time that set the same value, the last one counts; those that set others both count. To count
    /// or to collect, use [`update`](Session::update).
    ///
    /// # Errors
    ///
    /// 500 if the value cannot be JSON, if all values are longer than the limit, or if the head of the response was sent.
    pub fn insert<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<(), HttpError> {
        let json = write(value)?;
        self.with(|open, sessions| {
            open.change(Change::Set(name.to_owned(), json), sessions.limit())
        })
    }

    /// Replaces a value by what the function makes of it, and returns the new one.
    ///
    /// If another request changes the session at the same time, the function is called again with the new value when the
    /// session is saved, so no change is lost. The returned value is that of the first call. A session in a cookie cannot
    /// know of other requests.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Session::insert), and 500 if the value is not a `T`.
    pub fn update<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        function: impl Fn(Option<T>) -> T + Send + Sync + 'static,
    ) -> Result<T, HttpError> {
        let update: Arc<Update> =
            Arc::new(move |json| write(&function(json.map(read).transpose()?)).map(Some));
        // The function may use the session, so it is called without its lock.
        loop {
            let values = self.with(|open, _| Ok(open.record.data.clone()))?;
            let old = values.get(name);
            let new = update(old)?.unwrap_or_default();
            let is_set = self.with(|open, sessions| {
                let is_same = open.record.data.get(name) == old;
                if is_same {
                    open.update(name, &new, update.clone(), sessions.limit())?;
                }
                Ok(is_same)
            })?;
            if is_set {
                return read(&new);
            }
        }
    }

    /// Changes or removes a value as [`update`](Session::update) does, if the response turns out to be a page that the
    /// user sees. Returns false, and does nothing, if this request has such a change of the value already.
    pub(crate) fn after_page<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        function: impl Fn(Option<T>) -> Option<T> + Send + Sync + 'static,
    ) -> Result<bool, HttpError> {
        let update: Arc<Update> = Arc::new(move |json| {
            let new = function(json.map(read).transpose()?);
            new.map(|new| write(&new)).transpose()
        });
        self.with(|open, _| {
            let is_first = open.after_page.iter().all(|(other, _)| other != name);
            if is_first {
                open.after_page.push((name.to_owned(), update));
            }
            Ok(is_first)
        })
    }

    /// Removes a value.
    ///
    /// # Errors
    ///
    /// 500 if the head of the response was sent.
    pub fn remove(&self, name: &str) -> Result<(), HttpError> {
        self.with(|open, sessions| open.change(Change::Remove(name.to_owned()), sessions.limit()))
    }

    /// Removes all values. The session keeps its ID.
    ///
    /// # Errors
    ///
    /// As for [`remove`](Session::remove).
    pub fn clear(&self) -> Result<(), HttpError> {
        self.with(|open, sessions| open.change(Change::Clear, sessions.limit()))
    }

    /// Gives the session a new ID, with the same values, and starts its lifetime anew. The old ID is worth nothing then.
    ///
    /// Call it whenever a user logs in or gets more rights: otherwise an attacker who put an ID into the browser before has
    /// the rights too.
    ///
    /// # Errors
    ///
    /// As for [`remove`](Session::remove).
    pub fn renew(&self) -> Result<(), HttpError> {
        self.remove(CSRF_SECRET)?;
        self.with(|open, _| {
            open.is_renewed = true;
            Ok(())
        })
    }

    /// Ends the session: its values are gone, and so is its cookie. What is inserted afterwards begins a new one.
    ///
    /// A session in a cookie ends only in this browser: a copy of the cookie is valid until its time is over.
    ///
    /// # Errors
    ///
    /// As for [`remove`](Session::remove).
    pub fn destroy(&self) -> Result<(), HttpError> {
        self.with(|open, sessions| {
            open.destroy(sessions.seconds());
            Ok(())
        })
    }

    /// Whether the request brought no valid session.
    ///
    /// # Errors
    ///
    /// As for [`remove`](Session::remove).
    pub fn is_new(&self) -> Result<bool, HttpError> {
        self.with(|open, _| Ok(open.kept.is_none()))
    }

    fn with<T>(
        &self,
        function: impl FnOnce(&mut Open, &Sessions) -> Result<T, HttpError>,
    ) -> Result<T, HttpError> {
        let state = &mut *self.0.lock();
        match (&mut state.phase, &state.sessions) {
            (Phase::Open(open), Some(sessions)) => function(open, sessions),
            _ => Err("the head of the response was sent, so its session is saved".into()),
        }
    }
}

/// What loads the session of a request, unless it is loaded.
type Loading = Option<enfilade_core::Eventual<Result<Open, HttpError>>>;

fn begin(request: &Request) -> Result<(Arc<Slot>, Loading), HttpError> {
    let slot = request.provided::<Slot>();
    let slot = slot.ok_or("no Sessions is around this application")?;
    let loading = slot.unloaded().map(|sessions| sessions.find(request));
    Ok((slot, loading))
}

fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, HttpError> {
    serde_json::from_slice(json).map_err(HttpError::from)
}

fn write<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, HttpError> {
    serde_json::to_vec(value).map_err(HttpError::from)
}

/// Shows no values: they may be secret.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
