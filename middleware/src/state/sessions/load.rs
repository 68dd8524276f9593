//! Loads the session that a request brings.

use std::sync::Arc;

use enfilade_core::{Eventual, HttpError, Request};
use http::{HeaderValue, Method};

use super::open::{Kept, Open, Record, Stored};
use super::store::{SessionKey, StoredSession};
use super::{Keeper, Sessions, cookie, unavailable};

impl Sessions {
    /// Finds the session that a request brings.
    pub(super) fn find(self: &Arc<Self>, request: &Request) -> Eventual<Result<Open, HttpError>> {
        let is_unseen = is_unseen(request);
        let sessions = self.clone();
        let open = move |found| Open {
            is_unseen,
            ..sessions.opened(found)
        };
        let value = request.cookies().get(self.cookie.name());
        let store = match &self.keeper {
            Keeper::Store(store) => store,
            Keeper::Encrypted(_) | Keeper::Signed(_) => {
                let found = value.and_then(|value| self.unseal(value));
                return Eventual::new(Ok(open(found)));
            }
        };
        let known = value.and_then(|id| Some((id.to_owned(), cookie::key_of(id)?)));
        let Some((id, key)) = known else {
            return Eventual::new(Ok(open(None)));
        };
        let on_failure = self.on_failure.clone();
        store
            .load(&key)
            .map(move |found| match (found, on_failure) {
                (Ok(found), _) => Ok(open(found.and_then(|found| from_store(id, key, &found)))),
                (Err(error), Some(report)) => {
                    report(&error);
                    Ok(open(None))
                }
                (Err(error), None) => Err(unavailable(error)),
            })
    }

    /// A session for a request: the one that was found, unless its lifetime is over, or an empty one.
    fn opened(&self, found: Option<(Record, Kept)>) -> Open {
        let found = found.filter(|(record, _)| !self.time_left(record).is_zero());
        match found {
            Some((record, kept)) => Open {
                kept: Some(kept),
                record,
                ..Open::default()
            },
            None => Open {
                record: Record {
                    created: self.seconds(),
                    ..Record::default()
                },
                ..Open::default()
            },
        }
    }
}

/// Whether no user sees the response: it has no content, or a browser loads a page ahead (Fetch Standard, "Sec-Purpose").
fn is_unseen(request: &Request) -> bool {
    let purpose = request.headers().get("sec-purpose");
    let is_prefetch = |value: &HeaderValue| value.as_bytes().starts_with(b"prefetch");
    request.method() == Method::HEAD || purpose.is_some_and(is_prefetch)
}

fn from_store(id: String, key: SessionKey, session: &StoredSession) -> Option<(Record, Kept)> {
    let kept = Kept {
        stored: Some(Stored {
            id,
            key,
            version: session.version,
        }),
        time_left: session.time_left,
    };
    Some((Record::parse(&session.content)?, kept))
}
