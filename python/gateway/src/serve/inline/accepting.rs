//! Accepts the connections of an inline server.

use std::rc::Rc;

use mio::unix::SourceFd;
use mio::{Interest, Token};
use pyo3::prelude::*;

use crate::run::reactor::Reactor;
use crate::serve::inline::Inline;
use crate::serve::inline::connection::Connection;
use crate::serve::inline::http;
use crate::serve::inline::service::{self, Service};
use crate::serve::shortage;

/// The limit of connections; others wait in the system's queue.
const MAX_CONNECTIONS: usize = 10_000;

impl Inline {
    pub(super) fn has_waiting(&self) -> bool {
        self.may_accept() && self.listeners.has_waiting()
    }

    fn may_accept(&self) -> bool {
        let most = if self.once { 1 } else { MAX_CONNECTIONS };
        self.tasks.len() < most && !(self.once && self.taken.get() > 0)
    }

    /// Accepts connections that wait, up to the first one with a request: that is served before another is accepted.
    pub(super) fn accept(&self, py: Python<'_>) -> PyResult<()> {
        const AT_A_TIME: usize = 64;
        let now = self.clock.now();
        if !self.listeners.resume(now) {
            return Ok(());
        }
        for _ in 0..AT_A_TIME {
            if !self.may_accept() || self.sharing.waits_until(now).is_some() {
                return Ok(());
            }
            match self.listeners.accept() {
                Ok(Some((socket, ends))) => {
                    let connection = Rc::new(Connection::new(socket, ends, self.clock.clone()));
                    self.begin(connection.clone());
                    self.run_ready();
                    self.sharing.accepted(&connection, now);
                }
                Ok(None) => return Ok(()),
                Err(_) => {
                    self.listeners.pause(now);
                    return self.make_room(py);
                }
            }
            if !self.jobs.borrow().is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Accepts all connections that wait, because no other worker may do it.
    pub(super) fn accept_waiting(&self) {
        while self.may_accept()
            && let Ok(Some((socket, ends))) = self.listeners.accept()
        {
            self.begin(Rc::new(Connection::new(socket, ends, self.clock.clone())));
        }
    }

    /// Closes the connection that has been idle for longest, because the system has no descriptor for a new one.
    fn make_room(&self, py: Python<'_>) -> PyResult<()> {
        let longest = self.tasks.longest_idle();
        if let Some(task) = longest {
            self.tasks.remove(task);
            // The next turn accepts.
            self.listeners.unpause();
        }
        match self.shortage.is_due() {
            true => shortage::report(py, longest.is_some()),
            false => Ok(()),
        }
    }

    fn begin(&self, connection: Rc<Connection>) {
        let service = Service {
            app: self.app.clone(),
            facts: service::facts(connection.ends),
            connection: connection.clone(),
            taken: self.taken.clone(),
            sharing: self.sharing.clone(),
            records: self.hook.as_ref().map(|_| self.records.clone()),
        };
        let future = http::drive(connection.clone(), service, self.limits);
        let descriptor = connection.descriptor();
        let task = self.tasks.spawn(Box::pin(future), Some(connection), None);
        let registered = self.poll.borrow().registry().register(
            &mut SourceFd(&descriptor),
            Token(task),
            Interest::READABLE | Interest::WRITABLE,
        );
        if registered.is_err() {
            self.tasks.remove(task);
        }
    }
}
