//! Passwords in a file.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, PasswordHasher, PasswordVerifier};
use enfilade_core::headers::retry_after;
use enfilade_core::{Eventual, HttpError};
use foldhash::fast::RandomState;
use http::StatusCode;
use http::header::RETRY_AFTER;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, UnitWeighter};

use super::basic::PasswordCheck;
use super::identity::Identity;
use crate::error::{Error, ErrorKind};
use crate::shared::keyed_hash::KeyedHash;
use crate::shared::monotonic::Timer;

/// How many right passwords are remembered.
const REMEMBERED: u64 = 10_000;
/// The hash that unknown names are compared with: of a random password that was thrown away.
const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Ujl3dGJXZDJqM2ZyYnM$3cZ3ZpJz0yFV4O4kX8wz3oZbVbBgYvR2H3Yw7m1q9fU";

/// Names and passwords in a file, for [`Basic`](crate::Basic): on each line a name, a colon, and a hash by Argon2id.
///
/// ```text
/// # printf %s 'open sesame' | argon2 "$(openssl rand -base64 12)" -id -e
/// Aladdin:$argon2id$v=19$m=4096,t=3,p=1$c29tZXNhbHQ$...
/// ```
///
/// Empty lines and those that begin with `#` are left out. Other hashes, such as bcrypt, MD5 and crypt, are errors that name
/// the line: make new ones. The file is read once; put the application into a [`Swap`](crate::Swap) to read it again.
///
/// A comparison takes as long as the hash is strong, so it runs on a thread that may block: at most two at a time for each
/// processor ([`at_a_time`](Htpasswd::at_a_time)), and a 503 beyond. A right password is remembered for five minutes, as a
/// keyed hash. An unknown name is compared too, so the time says nothing about names.
#[derive(Clone)]
#[must_use = "passwords do nothing until Basic asks for them"]
pub struct Htpasswd(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    users: HashMap<String, PasswordHash>,
    /// In place of the hash of an unknown name; it costs as much as that of the first name.
    dummy: PasswordHash,
    hash: KeyedHash,
    right: Arc<Right>,
    remember: Duration,
    timer: Timer,
    running: Arc<AtomicUsize>,
    at_a_time: usize,
}

impl Htpasswd {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or as for [`parse`](Htpasswd::parse).
    ///
    /// # Panics
    ///
    /// Panics if the system has no random bytes.
    pub fn open(path: impl AsRef<Path>) -> Result<Htpasswd, Error> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let text = format!("{} cannot be read: {error}", path.display());
            Error::new(ErrorKind::Secret, text)
        })?;
        Htpasswd::parse(&text)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// If a line is not a name and an Argon2id hash, or a name is repeated; the error has the number of the line.
    ///
    /// # Panics
    ///
    /// Panics if the system has no random bytes.
    pub fn parse(text: &str) -> Result<Htpasswd, Error> {
        let mut users = HashMap::new();
        let mut first = None;
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: &str| {
                let text = format!("line {} of the passwords {why}", at + 1);
                Err(Error::new(ErrorKind::Secret, text))
            };
            let Some((name, hash)) = line.split_once(':') else {
                return wrong("has no colon");
            };
            let Some(hash) = PasswordHash::new(hash).ok().filter(is_argon2id) else {
                return wrong("has a hash that is not of Argon2id");
            };
            if argon2::Params::try_from(&hash).is_err() || hash.hash.is_none() {
                return wrong("has parameters that Argon2id does not have");
            }
            first.get_or_insert_with(|| hash.clone());
            if users.insert(name.to_owned(), hash).is_some() {
                return wrong("has a name that is there already");
            }
        }
        let mut dummy = first.unwrap_or(PasswordHash::new(DUMMY).expect("a valid hash"));
        // As costly as the others, and no password has it.
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).expect("the system has random bytes");
        dummy.salt = argon2::password_hash::phc::Salt::new(&salt).ok();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Htpasswd(Arc::new(Inner {
            users,
            dummy,
            hash: KeyedHash::default(),
            right: Arc::new(remembered()),
            remember: Duration::from_secs(300),
            timer: Timer::default(),
            running: Arc::default(),
            at_a_time: processors * 2,
        })))
    }

    /// The hash of a password by Argon2id, with a new salt and 19 MiB of memory (OWASP's advice): for a line of a file, or a
    /// column of a database.
    ///
    /// It takes some 15 ms, so call it where a thread may block.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::Htpasswd;
    ///
    /// let hash = Htpasswd::hash("open sesame");
    /// assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    /// assert!(Htpasswd::verify("open sesame", &hash));
    /// assert!(!Htpasswd::verify("open barley", &hash));
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the system has no random bytes.
    #[must_use]
    pub fn hash(password: &str) -> String {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).expect("the system has random bytes");
        let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
        hash.expect("the parameters are valid").to_string()
    }

    /// Whether this is the hash of a password. It takes as long as the hash did.
    #[must_use]
    pub fn verify(password: &str, hash: &str) -> bool {
        let hash = PasswordHash::new(hash).ok().filter(is_argon2id);
        hash.is_some_and(|hash| verify(password, &hash))
    }

    /// Sets for how long a right password is remembered; five minutes by default, and not at all with zero.
    pub fn remember(mut self, time: Duration) -> Htpasswd {
        Arc::make_mut(&mut self.0).remember = time;
        self
    }

    /// Sets how many passwords are compared at a time; two for each processor by default. Each takes the memory that its hash
    /// asks for.
    pub fn at_a_time(mut self, comparisons: usize) -> Htpasswd {
        Arc::make_mut(&mut self.0).at_a_time = comparisons;
        self
    }

    /// Sets the clock, which returns the time since any moment; the system's by default.
    pub fn clock(mut self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Htpasswd {
        Arc::make_mut(&mut self.0).timer = Timer::new(elapsed);
        self
    }

    fn compare(&self, user: &str, password: &str) -> bool {
        let known = self.0.users.get(user);
        let hash = known.unwrap_or(&self.0.dummy);
        let is_right = verify(password, hash);
        is_right && known.is_some()
    }
}

fn is_argon2id(hash: &PasswordHash) -> bool {
    Algorithm::try_from(hash.algorithm.as_str()) == Ok(Algorithm::Argon2id)
}

fn verify(password: &str, hash: &PasswordHash) -> bool {
    let verified = Argon2::default().verify_password(password.as_bytes(), hash);
    verified.is_ok()
}

/// When passwords were right, by their keyed hashes.
type Right = Cache<[u8; 32], Duration, UnitWeighter, RandomState>;

fn remembered() -> Right {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(64)
        .weight_capacity(REMEMBERED)
        .build()
        .expect("both capacities are given");
    let lifecycle = DefaultLifecycle::default();
    Cache::with_options(options, UnitWeighter, RandomState::default(), lifecycle)
}

/// A comparison that is running.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl PasswordCheck for Htpasswd {
    fn check(&self, user: &str, password: &str) -> Eventual<Result<Option<Identity>, HttpError>> {
        let inner = &self.0;
        // A name has no colon.
        let key = inner.hash.of([user.as_bytes(), b":", password.as_bytes()]
            .concat()
            .as_slice());
        let since = inner
            .right
            .get(&key)
            .map(|at| inner.timer.now().saturating_sub(at));
        if since.is_some_and(|since| since < inner.remember) {
            return Eventual::new(Ok(Some(Identity::new(user))));
        }
        let running = Running(inner.running.clone());
        if inner.running.fetch_add(1, Ordering::AcqRel) >= inner.at_a_time {
            return Eventual::new(Err(busy()));
        }
        let (htpasswd, user, password) = (self.clone(), user.to_owned(), password.to_owned());
        Eventual::from_future(async move {
            let (comparing, name) = (htpasswd.clone(), user.clone());
            let is_right = blocking::unblock(move || {
                let is_right = comparing.compare(&name, &password);
                drop(running);
                is_right
            });
            let is_right = is_right.await;
            if is_right {
                let inner = &htpasswd.0;
                inner.right.insert(key, inner.timer.now());
            }
            Ok(is_right.then(|| Identity::new(user)))
        })
    }
}

fn busy() -> HttpError {
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE)
        .header(RETRY_AFTER, retry_after(Duration::from_secs(1)))
        .message("Too many logins at the same time.")
}

/// Shows no hashes.
impl fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Htpasswd")
            .field("users", &self.0.users.len())
            .finish_non_exhaustive()
    }
}
