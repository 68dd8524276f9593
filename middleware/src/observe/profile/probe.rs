//! Measures one component of one stack.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use enfilade_core::{Application, Description, Handler, Outcome, Reply, Request, Response};

use super::stats::{EndedCall, ProfiledComponent};
use crate::shared::monotonic::{Timer, TimerInstant};

/// Wraps a component; no other component notices it.
pub(super) struct Probe {
    app: Application,
    component: Arc<ProfiledComponent>,
    timer: Timer,
}

impl Probe {
    pub(super) fn new(app: Application, component: Arc<ProfiledComponent>, timer: Timer) -> Probe {
        Probe {
            app,
            component,
            timer,
        }
    }
}

impl Handler for Probe {
    fn call(&self, mut request: Request) -> Reply {
        let outer = request.extensions_mut().remove::<OuterCall>();
        let call = Arc::new(ProfiledCall::new(self, outer.map(|outer| outer.0)));
        request.extensions_mut().insert(OuterCall(call.clone()));
        let reply = call.measure(|| self.app.call(request));
        match reply.try_into_response() {
            Ok(response) => call.watch(response).into(),
            Err(pending) => {
                let mut future = pending.into_future();
                Reply::from_future(async move {
                    let response = std::future::poll_fn(|context| {
                        call.measure(|| Pin::new(&mut future).poll(context))
                    });
                    let response = response.await;
                    call.watch(response)
                })
            }
        }
    }

    fn describe(&self) -> Description {
        self.app.describe()
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let app = self.app.map_inner(change);
        let (component, timer) = (self.component.clone(), self.timer.clone());
        Some(Application::from_handler(Probe::new(app, component, timer)))
    }
}

/// The surrounding call: an extension of the request.
#[derive(Clone)]
struct OuterCall(Arc<ProfiledCall>);

/// One call of one component. It ends when it is no longer referenced by the future, the body or an inner call.
struct ProfiledCall {
    component: Arc<ProfiledComponent>,
    timer: Timer,
    outer: Option<Arc<ProfiledCall>>,
    /// The time in it, in nanoseconds, and the part of it in inner calls.
    all: AtomicU64,
    inner: AtomicU64,
    status: AtomicU16,
    end: OnceLock<(u64, Outcome)>,
}

impl ProfiledCall {
    fn new(probe: &Probe, outer: Option<Arc<ProfiledCall>>) -> ProfiledCall {
        probe.component.begin();
        ProfiledCall {
            component: probe.component.clone(),
            timer: probe.timer.clone(),
            outer,
            all: AtomicU64::new(0),
            inner: AtomicU64::new(0),
            status: AtomicU16::new(0),
            end: OnceLock::new(),
        }
    }

    fn measure<T>(&self, work: impl FnOnce() -> T) -> T {
        let running = RunningTimer {
            call: self,
            since: self.timer.start(),
        };
        let done = work();
        drop(running);
        done
    }

    /// Continues with the response: its body belongs to the call too.
    fn watch(self: Arc<Self>, response: Response) -> Response {
        self.status
            .store(response.status().as_u16(), Ordering::Relaxed);
        response.map(|body| {
            let call = self.clone();
            // A body in memory takes no time.
            let body = body.inspect_frames(move |next| call.measure(next));
            body.on_end(move |end| {
                let _ = self.end.set((end.bytes(), end.outcome()));
            })
        })
    }
}

/// Measures time while work is done; it also ends with a panic.
struct RunningTimer<'a> {
    call: &'a ProfiledCall,
    since: TimerInstant,
}

impl Drop for RunningTimer<'_> {
    fn drop(&mut self) {
        let taken = self.call.timer.since(self.since);
        let nanoseconds = u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX);
        self.call.all.fetch_add(nanoseconds, Ordering::Relaxed);
        if let Some(outer) = &self.call.outer {
            outer.inner.fetch_add(nanoseconds, Ordering::Relaxed);
        }
    }
}

impl Drop for ProfiledCall {
    fn drop(&mut self) {
        let (all, inner) = (*self.all.get_mut(), *self.inner.get_mut());
        let (bytes, outcome) = self.end.get().copied().unwrap_or((0, Outcome::Dropped));
        self.component.end(&EndedCall {
            nanoseconds: all.saturating_sub(inner),
            status: *self.status.get_mut(),
            bytes,
            outcome,
        });
    }
}
