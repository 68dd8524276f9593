//! The facts of the connection in a case, for every transport.

use std::sync::{Arc, Mutex};

use enfilade::{Application, Connection, Request, Scheme, unpoisoned};

use crate::request::{Peer, Wanted};

/// The facts of the next request, which a wrapper puts on it when it arrives.
///
/// The wrapper is outermost in the stack, so that over a socket all of the stack sees the same client as in process.
#[derive(Clone, Default)]
pub(crate) struct Facts(Arc<Mutex<Known>>);

#[derive(Clone, Default)]
struct Known {
    connection: Option<Connection>,
    script_name: String,
}

impl Facts {
    pub(crate) fn tell(&self, wanted: &Wanted) {
        let is_said = wanted.peer != Peer::Any || wanted.local.is_some();
        let connection = (is_said || wanted.scheme != Scheme::Http).then(|| {
            let mut connection = Connection::new(wanted.scheme);
            if let Peer::At(peer) = wanted.peer {
                connection = connection.with_peer(peer);
            }
            match wanted.local {
                Some(local) => connection.with_local(local),
                None => connection,
            }
        });
        *unpoisoned(self.0.lock()) = Known {
            connection,
            script_name: wanted.script_name.clone(),
        };
    }

    pub(crate) fn around(&self, app: Application) -> Application {
        let facts = self.clone();
        Application::new(move |mut request: Request| {
            let known = unpoisoned(facts.0.lock());
            let known = known.clone();
            if let Some(connection) = known.connection {
                request.set_connection(connection);
            }
            if !known.script_name.is_empty() {
                request.prepend_script_name(&known.script_name);
            }
            app.call(request)
        })
    }
}
