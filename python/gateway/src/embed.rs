//! Embeds Python in Rust programs: starts the interpreter and imports applications.

use std::path::PathBuf;
use std::sync::Mutex;

use enfilade::{Application, unpoisoned};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::call::environ::ServerFacts;
use crate::error::Error;
use crate::ffi;
use crate::run::executor;
use crate::run::pool::{self, Pool};
use crate::run::python_app;

/// The default name of the callable in its module.
const NAME: &str = "application";

/// Imports a WSGI callable as an application, with the default settings of [`Wsgi`].
///
/// # Errors
///
/// The same as for [`Wsgi::application`].
pub fn wsgi(target: &str) -> Result<Application, Error> {
    Wsgi::new(target).application()
}

/// A WSGI callable to import.
///
/// The target is a module, a colon and the name of the callable in the module: `shop.web:app`. The name may be a dotted
/// path. If it ends with `()`, it names a factory: `shop.web:create_app()` is called once, and its result is the
/// callable. If the target has no name, the name is `application`.
///
/// The first application starts the interpreter, which the whole process shares. The program keeps its own signal
/// handlers.
#[derive(Clone, Debug)]
#[must_use = "nothing is imported until `application` is called"]
pub struct Wsgi {
    target: String,
    search_path: Vec<PathBuf>,
    virtual_env: Option<PathBuf>,
    threads: usize,
    backlog: usize,
}

impl Wsgi {
    /// Names the callable to import.
    pub fn new(target: &str) -> Wsgi {
        Wsgi {
            target: target.to_owned(),
            search_path: Vec::new(),
            virtual_env: None,
            threads: 4,
            backlog: pool::BACKLOG,
        }
    }

    /// Searches modules in this folder first; by default in the current folder.
    pub fn search_path(mut self, folder: impl Into<PathBuf>) -> Wsgi {
        self.search_path.push(folder.into());
        self
    }

    /// Uses the packages of this virtual environment; by default of the one in `VIRTUAL_ENV`, if set.
    pub fn virtual_env(mut self, folder: impl Into<PathBuf>) -> Wsgi {
        self.virtual_env = Some(folder.into());
        self
    }

    /// Sets the number of Python threads that call it; 4 by default.
    ///
    /// With more than one, calls run concurrently.
    pub fn threads(mut self, threads: usize) -> Wsgi {
        self.threads = threads;
        self
    }

    /// Sets how many requests may wait for a thread; 1,024 by default. Further requests get 503.
    pub fn backlog(mut self, requests: usize) -> Wsgi {
        self.backlog = requests;
        self
    }

    /// Starts the interpreter if it does not run yet, imports the callable and starts its threads.
    ///
    /// # Errors
    ///
    /// If the interpreter does not start, if it runs with another virtual environment, or if its version is not the one
    /// that this program was built for. Also if the module cannot be imported, has no such name, or the value is not
    /// callable. The text includes Python's traceback.
    pub fn application(&self) -> Result<Application, Error> {
        let virtual_env = self.virtual_env.clone().or_else(active_environment);
        start(virtual_env.as_ref())?;
        Python::attach(|py| {
            check_version(py)?;
            check_environment(py, virtual_env.as_ref())?;
            let text = |error: PyErr| import_error(py, &self.target, error);
            self.extend_path(py).map_err(text)?;
            let callable = self.import(py)?;
            let facts = ServerFacts {
                is_multithreaded: self.threads > 1,
                ..ServerFacts::default()
            };
            executor::watch_forks(py).map_err(text)?;
            let pool = Pool::start(py, self.threads, self.backlog, &facts, None).map_err(text)?;
            python_app::application(&callable, Some(pool)).map_err(text)
        })
    }

    fn extend_path(&self, py: Python<'_>) -> PyResult<()> {
        let path = py.import("sys")?.getattr("path")?;
        let here = [PathBuf::from(".")];
        let folders = match self.search_path.as_slice() {
            [] => here.as_slice(),
            folders => folders,
        };
        for folder in folders.iter().rev() {
            let folder = std::path::absolute(folder)?;
            let folder = folder.into_os_string();
            if !path.contains(&folder)? {
                path.call_method1("insert", (0, folder))?;
            }
        }
        Ok(())
    }

    fn import<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>, Error> {
        let (module, name) = self.target.split_once(':').unwrap_or((&self.target, NAME));
        let (name, is_factory) = match name.strip_suffix("()") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let is_path = name
            .split('.')
            .all(|part| !part.is_empty() && !part.contains(['(', ')', ' ']));
        if module.is_empty() || !is_path {
            let target = &self.target;
            return Err(Error::new(format!(
                "{target:?} is not a valid target: write \"module:name\" or \"module:factory()\""
            )));
        }
        let found = name.split('.').try_fold(
            py.import(PyString::new(py, module))
                .map_err(|error| import_error(py, &self.target, error))?
                .into_any(),
            |found, name| {
                found
                    .getattr(name)
                    .map_err(|error| import_error(py, &self.target, error))
            },
        )?;
        match is_factory {
            true => found
                .call0()
                .map_err(|error| import_error(py, &self.target, error)),
            false => Ok(found),
        }
    }
}

/// The only place that reads the environment, to find an activated virtual environment.
#[expect(
    clippy::disallowed_methods,
    reason = "the documented default of `Wsgi::virtual_env`"
)]
fn active_environment() -> Option<PathBuf> {
    std::env::var_os("VIRTUAL_ENV")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
}

fn start(virtual_env: Option<&PathBuf>) -> Result<(), Error> {
    static STARTING: Mutex<()> = Mutex::new(());
    let _alone = unpoisoned(STARTING.lock());
    if ffi::is_initialized() {
        return Ok(());
    }
    let program = match virtual_env {
        Some(folder) => {
            let program = folder.join("bin/python");
            if !program.exists() {
                let folder = folder.display();
                return Err(Error::new(format!(
                    "{folder} is not a virtual environment: bin/python is missing"
                )));
            }
            Some(ffi::c_string(&program).map_err(Error::new)?)
        }
        None => None,
    };
    ffi::initialize(program.as_deref())
        .map_err(|why| Error::new(format!("Python did not start: {why}")))
}

fn check_version(py: Python<'_>) -> Result<(), Error> {
    let version = py.version_info();
    let found = format!("{}.{}", version.major, version.minor);
    match env!("ENFILADE_PYTHON") {
        built if built == found => Ok(()),
        built => Err(Error::new(format!(
            "this program was built for Python {built}, but found libpython {found}"
        ))),
    }
}

/// The interpreter gets its environment when it starts, and keeps it.
fn check_environment(py: Python<'_>, virtual_env: Option<&PathBuf>) -> Result<(), Error> {
    let Some(wanted) = virtual_env else {
        return Ok(());
    };
    let prefix = py
        .import("sys")
        .and_then(|sys| sys.getattr("prefix")?.extract::<PathBuf>());
    let prefix = prefix.map_err(|error| import_error(py, "sys.prefix", error))?;
    match (wanted.canonicalize(), prefix.canonicalize()) {
        (Ok(wanted), Ok(prefix)) if wanted == prefix => Ok(()),
        _ => Err(Error::new(format!(
            "Python already runs with {}, so it cannot use {}: use one virtual environment for the whole process",
            prefix.display(),
            wanted.display()
        ))),
    }
}

/// Makes an error with Python's traceback.
fn import_error(py: Python<'_>, target: &str, error: PyErr) -> Error {
    let text = traceback(py, &error).unwrap_or_else(|_| error.to_string());
    Error::raised(
        format!("cannot load {target:?}:\n{}", text.trim_end()),
        error,
    )
}

fn traceback(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let lines = py
        .import("traceback")?
        .call_method1("format_exception", (error.value(py),))?;
    Ok(lines.extract::<Vec<String>>()?.concat())
}
