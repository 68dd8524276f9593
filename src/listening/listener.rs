//! Where a server listens.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
#[cfg(unix)]
use std::os::fd::{AsFd, OwnedFd};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::{Path, PathBuf};

use socket2::SockRef;

#[cfg(feature = "tls")]
use crate::server::Certificates;
#[cfg(feature = "proxy-protocol")]
use crate::server::Proxies;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A socket on which a server accepts connections.
///
/// ```no_run
/// use enfilade::{Application, Listener, Request, Server};
///
/// # fn main() -> std::io::Result<()> {
/// let app = Application::new(|_: Request| "Hello");
/// Server::new(Listener::tcp("127.0.0.1:8000")?)
///     .listen(Listener::tcp("[::1]:8000")?)
///     .serve_forever(app)
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a listener accepts nothing until it is given to a server"]
pub struct Listener {
    pub(crate) bound: Bound,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Certificates>,
    #[cfg(feature = "proxy-protocol")]
    pub(crate) proxies: Option<Proxies>,
}

#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, Option<SocketFile>),
}

/// A socket's file, which is removed with its listener.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode: what another process has put there since stays.
    identity: (u64, u64),
}

impl Listener {
    /// Listens at an address of TCP; port 0 takes a free one, which [`local_addr`](Listener::local_addr) tells.
    ///
    /// # Errors
    ///
    /// Where the address cannot be had; the text names it.
    pub fn tcp(address: impl ToSocketAddrs + std::fmt::Debug) -> io::Result<Listener> {
        let listener = TcpListener::bind(&address).map_err(|error| named(&error, &address))?;
        SockRef::from(&listener).listen(BACKLOG)?;
        Listener::from_tcp(listener)
    }

    /// Sets how many connections may wait to be accepted; 1,024 by default, and what its maker chose for a listener that
    /// was handed over. The system's own limit (`net.core.somaxconn` on Linux) holds too.
    ///
    /// Connections beyond it are refused or have to try again, by the system's choice. Raise it for bursts of new clients.
    ///
    /// # Errors
    ///
    /// If the system does not take the number.
    pub fn backlog(self, connections: u32) -> io::Result<Listener> {
        let connections = i32::try_from(connections).unwrap_or(i32::MAX);
        match &self.bound {
            Bound::Tcp(listener) => SockRef::from(listener).listen(connections)?,
            #[cfg(unix)]
            Bound::Unix(listener, _) => SockRef::from(listener).listen(connections)?,
        }
        Ok(self)
    }

    /// Takes a TCP socket that listens already, such as one that another process has handed over.
    ///
    /// # Errors
    ///
    /// Where it cannot be made non-blocking.
    pub fn from_tcp(listener: TcpListener) -> io::Result<Listener> {
        listener.set_nonblocking(true)?;
        Ok(Listener::of(Bound::Tcp(listener)))
    }

    /// Listens at a Unix socket, which whoever may write its file connects to: by `mode`, such as `0o660`.
    ///
    /// Where a socket is there that nobody listens on, as a server that was killed leaves it, it is replaced; whatever
    /// else is there stays. The file is removed with the listener.
    ///
    /// # Errors
    ///
    /// Where something else is there, a socket that somebody listens on, or nothing can be made; the text names the path.
    #[cfg(unix)]
    pub fn unix(path: impl AsRef<Path>, mode: u32) -> io::Result<Listener> {
        let path = path.as_ref();
        let bound = unix::bind(path, mode).map_err(|error| named(&error, &path))?;
        SockRef::from(&bound).listen(BACKLOG)?;
        let listener = Listener::from_unix(bound)?;
        Ok(match listener.bound {
            Bound::Unix(socket, _) => {
                let file = unix::identity(path).map(|identity| SocketFile {
                    path: path.to_owned(),
                    identity,
                });
                Listener::of(Bound::Unix(socket, file.ok()))
            }
            bound => Listener::of(bound),
        })
    }

    /// Takes a Unix socket that listens already; its file is left alone.
    ///
    /// # Errors
    ///
    /// Where it cannot be made non-blocking.
    #[cfg(unix)]
    pub fn from_unix(listener: UnixListener) -> io::Result<Listener> {
        listener.set_nonblocking(true)?;
        Ok(Listener::of(Bound::Unix(listener, None)))
    }

    fn of(bound: Bound) -> Listener {
        Listener {
            bound,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "proxy-protocol")]
            proxies: None,
        }
    }

    /// Takes the listening socket that standard input is, as web servers and `spawn-fcgi` start their programs.
    ///
    /// # Errors
    ///
    /// Where standard input is no stream socket that listens.
    #[cfg(unix)]
    pub fn from_stdin() -> io::Result<Listener> {
        Listener::of_descriptor(io::stdin().as_fd().try_clone_to_owned()?)
    }

    #[cfg(unix)]
    fn of_descriptor(descriptor: OwnedFd) -> io::Result<Listener> {
        let listener = TcpListener::from(descriptor);
        if listener.local_addr().is_ok() {
            return Listener::from_tcp(listener);
        }
        let listener = UnixListener::from(OwnedFd::from(listener));
        match listener.local_addr() {
            Ok(_) => Listener::from_unix(listener),
            Err(error) => {
                let message = format!("standard input is no listening socket: {error}");
                Err(io::Error::new(error.kind(), message))
            }
        }
    }

    /// The listening sockets that this process was started with (systemd's socket activation: `LISTEN_FDS` and
    /// `LISTEN_PID`), in their order; none where it was not.
    ///
    /// ```no_run
    /// use enfilade::{Application, Listener, Request, Server};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let given = Listener::inherited()?.into_iter().next();
    /// let listener = match given {
    ///     Some(listener) => listener,
    ///     None => Listener::tcp("127.0.0.1:8000")?,
    /// };
    /// let app = Application::new(|_: Request| "Hello");
    /// Server::new(listener).notify_systemd().serve_forever(app)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Where one of them is no stream socket that listens.
    #[cfg(all(unix, feature = "systemd"))]
    pub fn inherited() -> io::Result<Vec<Listener>> {
        let mut given = listenfd::ListenFd::from_env();
        let count = given.len();
        let take = |at| match given.take_tcp_listener(at) {
            Ok(listener) => listener.map(Listener::from_tcp).transpose(),
            Err(_) => given
                .take_unix_listener(at)?
                .map(Listener::from_unix)
                .transpose(),
        };
        let listeners = (0..count).map(take);
        let listeners: io::Result<Vec<_>> = listeners.collect();
        Ok(listeners?.into_iter().flatten().collect())
    }

    /// Takes the client's address, and its own, from the header of the PROXY protocol (version 1 or 2) with which a
    /// connection from one of these networks has to begin; others are served as they come.
    ///
    /// # Security
    ///
    /// Whoever is in these networks can say to be anybody: name the proxies alone. Connections that are
    /// [counted](crate::Server::max_connections_per_peer) by peer are still counted by the proxy's address.
    ///
    /// # Errors
    ///
    /// Where one is neither a network, such as `10.0.0.0/8`, nor an address.
    #[cfg(feature = "proxy-protocol")]
    pub fn proxy_protocol<T: AsRef<str>>(
        mut self,
        networks: impl IntoIterator<Item = T>,
    ) -> io::Result<Listener> {
        self.proxies = Some(Proxies::parse(networks)?);
        Ok(self)
    }

    /// Speaks TLS, with these certificates.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, certificates: Certificates) -> Listener {
        self.tls = Some(certificates);
        self
    }

    /// The socket, for a protocol that knows neither TLS nor the PROXY protocol.
    #[cfg(any(feature = "fastcgi", feature = "scgi"))]
    pub(crate) fn into_bare(self) -> io::Result<Bound> {
        let extra: Option<&str> = None;
        #[cfg(feature = "tls")]
        let extra = extra.or(self.tls.is_some().then_some("TLS"));
        #[cfg(feature = "proxy-protocol")]
        let extra = extra.or(self.proxies.is_some().then_some("the PROXY protocol"));
        if let Some(extra) = extra {
            let message = format!("a listener with {extra} is for HTTP alone");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(self.bound)
    }

    /// The address of a TCP socket, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.bound {
            Bound::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Bound::Unix(..) => None,
        }
    }
}

fn named(error: &io::Error, place: &dyn std::fmt::Debug) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {place:?}: {error}"))
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::io;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;

    /// Listens under another name first, so that nobody connects before the mode is set.
    pub(crate) fn bind(path: &Path, mode: u32) -> io::Result<UnixListener> {
        check_place(path)?;
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let new = Path::new(&name);
        if is_stale(new) {
            fs::remove_file(new)?;
        }
        let listener = UnixListener::bind(new)?;
        let placed = fs::set_permissions(new, fs::Permissions::from_mode(mode))
            .and_then(|()| fs::rename(new, path));
        if let Err(error) = placed {
            // What went wrong first is told.
            let _ = fs::remove_file(new);
            return Err(error);
        }
        Ok(listener)
    }

    /// Whether a listener may be put here: where nothing is, or a socket that nobody listens on.
    fn check_place(path: &Path) -> io::Result<()> {
        let refused = |why: &str| Err(io::Error::new(io::ErrorKind::AddrInUse, why.to_owned()));
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(file) if !file.file_type().is_socket() => {
                refused("there is something that is no socket")
            }
            Ok(_) if is_stale(path) => Ok(()),
            Ok(_) => refused("somebody listens on the socket that is there"),
        }
    }

    /// Whether there is a socket that nobody listens on.
    fn is_stale(path: &Path) -> bool {
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
        is_socket && UnixStream::connect(path).as_ref().is_err_and(refused)
    }

    pub(crate) fn identity(path: &Path) -> io::Result<(u64, u64)> {
        let file = fs::symlink_metadata(path)?;
        Ok((file.dev(), file.ino()))
    }
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        if unix::identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Nobody is there to tell.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_says_what_it_is() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let listener = Listener::of_descriptor(tcp.into()).unwrap();
        assert_eq!(listener.local_addr(), Some(address));
        let path = std::env::temp_dir().join(format!("enfilade-descriptor-{}", std::process::id()));
        let unix = UnixListener::bind(&path).unwrap();
        let listener = Listener::of_descriptor(unix.into()).unwrap();
        assert_eq!(listener.local_addr(), None);
        std::fs::remove_file(&path).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let error = Listener::of_descriptor(file.into()).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("standard input is no listening socket: "));
    }
}
