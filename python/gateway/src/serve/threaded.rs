//! A server with several Python threads. Its connections are served without the interpreter.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use enfilade::{Application, Listener, Middleware, Refusal, Reply, Request, Server, around};
use http::HeaderValue;
use http::header::SERVER;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use socket2::{Domain, Socket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::run::executor::{self, Installed};
use crate::run::pool::Pool;
use crate::serve::access_hook::{AccessHook, AccessRecord};
use crate::serve::options::Options;
use crate::serve::shortage::{self, Shortage};
use crate::serve::stop::{Signals, Stop};

/// The timeout for dropping aborted work.
const ABORT_TIMEOUT: Duration = Duration::from_millis(500);

#[cfg(not(feature = "tls"))]
const NO_TLS: &str = "this build does not support TLS";

pub(super) fn serve(
    py: Python<'_>,
    app: Application,
    sockets: Vec<OwnedFd>,
    options: &Options,
    stop: Arc<Stop>,
    signals: &Signals,
) -> PyResult<()> {
    let pool = Pool::start(
        py,
        options.threads,
        options.backlog,
        &options.facts(py),
        options.activity.as_ref(),
    )?;
    let server = report_shortage(server(sockets, options)?, &pool);
    let server = match options.multiprocess {
        true => share(server, &pool),
        false => server,
    };
    let app = around_all(py, app, options, &pool, &stop);
    let runtime = runtime(&pool)?;
    options.started(py)?;
    let (interrupt, interrupted) = mpsc::unbounded_channel();
    pool.on_interrupt(move |error| drop(interrupt.send(error)));
    let told = stop.clone();
    let serving = runtime.spawn(server.serve_until(app, async move {
        while !told.is_set() {
            told.notify.notified().await;
        }
    }));
    let served = attend(py, &runtime, serving, interrupted, signals);
    let seconds = match served {
        Ok(()) => options.graceful_timeout.as_secs_f64(),
        Err(_) => 0.0,
    };
    py.detach(|| runtime.shutdown_timeout(ABORT_TIMEOUT));
    pool.close(py, seconds)?;
    served
}

fn runtime(pool: &Arc<Pool>) -> PyResult<Runtime> {
    let pool = pool.clone();
    // One worker: a runtime of the current thread writes to a descriptor on each wake by another thread, asleep or not.
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("enfilade-reactor")
        .on_thread_start(move || {
            drop(executor::install(Some(Installed::Pool(pool.clone()))));
        })
        .on_thread_stop(|| drop(executor::install(None)))
        .enable_all()
        .build()?;
    Ok(runtime)
}

/// The caller's thread waits for the end, and runs signal handlers meanwhile.
fn attend(
    py: Python<'_>,
    runtime: &Runtime,
    mut serving: tokio::task::JoinHandle<std::io::Result<()>>,
    mut interrupted: mpsc::UnboundedReceiver<PyErr>,
    signals: &Signals,
) -> PyResult<()> {
    enum Event {
        Over(Result<std::io::Result<()>, tokio::task::JoinError>),
        Signal,
        Interrupted(PyErr),
    }
    let stream = {
        let _entered = runtime.enter();
        let stream = signals.stream()?;
        stream.map(tokio::net::UnixStream::from_std).transpose()?
    };
    loop {
        let event = py.detach(|| {
            runtime.block_on(async {
                let signal = async {
                    match &stream {
                        Some(stream) => stream.readable().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    served = &mut serving => Event::Over(served),
                    Some(error) = interrupted.recv() => Event::Interrupted(error),
                    _ = signal => {
                        let mut room = [0; 64];
                        while stream.as_ref().is_some_and(|stream| stream.try_read(&mut room).is_ok_and(|count| count > 0)) {}
                        Event::Signal
                    }
                }
            })
        });
        match event {
            Event::Over(Ok(served)) => return Ok(served?),
            Event::Over(Err(error)) => return Err(failed(&error)),
            Event::Interrupted(error) => return Err(error),
            Event::Signal => py.check_signals()?,
        }
    }
}

fn server(sockets: Vec<OwnedFd>, options: &Options) -> PyResult<Server> {
    let mut server: Option<Server> = None;
    for socket in sockets {
        let socket = Socket::from(socket);
        let listener = match socket.domain()? {
            Domain::UNIX => Listener::from_unix(UnixListener::from(OwnedFd::from(socket)))?,
            _ => Listener::from_tcp(TcpListener::from(OwnedFd::from(socket)))?,
        };
        let listener = secure(listener, options)?;
        server = Some(match server {
            Some(server) => server.listen(listener),
            None => Server::new(listener),
        });
    }
    let server =
        server.ok_or_else(|| PyValueError::new_err("no sockets to serve: pass at least one"))?;
    Ok(server
        .header_read_timeout(options.header_timeout)
        .keep_alive(!options.close_connections && !options.keep_alive.is_zero())
        .keep_alive_timeout(options.keep_alive)
        .title_case_headers(options.title_case_headers)
        .body_read_timeout(options.body_timeout)
        .write_timeout(options.write_timeout)
        .shutdown_deadline(options.graceful_timeout))
}

/// Leaves connections to other workers while no thread is free.
fn share(server: Server, pool: &Arc<Pool>) -> Server {
    let pool = pool.clone();
    server.after_accept(move || {
        let pool = pool.clone();
        async move { pool.next_job_and_free_thread().await }
    })
}

/// Reports that connections were closed because there are too many open files.
fn report_shortage(server: Server, pool: &Arc<Pool>) -> Server {
    let (pool, shortage) = (pool.clone(), Shortage::default());
    server.on_refusal(move |refusal| {
        if refusal.reason() == Refusal::TOO_MANY_FILES && shortage.is_due() {
            pool.send(Box::new(|py| shortage::report(py, true)));
        }
    })
}

#[cfg(feature = "tls")]
fn secure(listener: Listener, options: &Options) -> PyResult<Listener> {
    Ok(match &options.tls {
        Some((chain, key)) => listener.tls(enfilade::Certificates::load(chain, key)?),
        None => listener,
    })
}

#[cfg(not(feature = "tls"))]
fn secure(listener: Listener, options: &Options) -> PyResult<Listener> {
    match options.tls {
        Some(_) => Err(PyValueError::new_err(NO_TLS)),
        None => Ok(listener),
    }
}

/// Returns an error if a server cannot use this certificate chain with this key.
///
/// # Errors
///
/// As for [`Certificates::load`](enfilade::Certificates::load).
#[cfg(feature = "tls")]
pub fn check_certificate(chain: &Path, key: &Path) -> io::Result<()> {
    enfilade::Certificates::load(chain, key).map(drop)
}

/// Returns an error: this build does not support TLS.
///
/// # Errors
///
/// Always.
#[cfg(not(feature = "tls"))]
pub fn check_certificate(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::other(NO_TLS))
}

/// Wraps the application with the server's name, the hook, and the count of requests.
fn around_all(
    py: Python<'_>,
    app: Application,
    options: &Options,
    pool: &Arc<Pool>,
    stop: &Arc<Stop>,
) -> Application {
    let hook = AccessHook::of(py, options).map(Arc::new);
    let (pool, stop, most) = (pool.clone(), stop.clone(), options.max_requests);
    let taken = AtomicU64::new(0);
    let outermost = around(
        "server",
        move |inner: &Application, request: Request| -> Reply {
            if most.is_some_and(|most| taken.fetch_add(1, Ordering::Relaxed) + 1 >= most) {
                stop.set();
            }
            let record = hook
                .as_ref()
                .map(|hook| (hook.clone(), AccessRecord::of(&request)));
            let pool = pool.clone();
            inner.call(request).map(move |mut response| {
                let headers = response.headers_mut();
                if !headers.contains_key(SERVER) {
                    headers.insert(SERVER, HeaderValue::from_static("enfilade"));
                }
                let Some((hook, mut record)) = record else {
                    return response;
                };
                record.status = response.status().as_u16();
                response.map(|body| {
                    body.on_end(move |end| {
                        record.bytes = end.bytes();
                        pool.send(Box::new(move |py| hook.call(py, &record)));
                    })
                })
            })
        },
    );
    outermost.wrap(app)
}

/// An error of the runtime, which the caller cannot handle.
fn failed(error: &dyn std::fmt::Display) -> PyErr {
    pyo3::exceptions::PyRuntimeError::new_err(error.to_string())
}
