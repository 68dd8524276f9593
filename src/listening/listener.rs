//! Listeners of servers.

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

/// The maximum number of connections that wait to be accepted.
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
    /// Device and inode: a file that another process has created since is not removed.
    identity: (u64, u64),
}

impl Listener {
    /// Listens at a TCP address; for port 0 the system picks a free one, see [`local_addr`](Listener::local_addr).
    ///
    /// # Errors
    ///
    /// If the address is not available. The message names it.
    pub fn tcp(address: impl ToSocketAddrs + std::fmt::Debug) -> io::Result<Listener> {
        let listener = TcpListener::bind(&address).map_err(|error| named(&error, &address))?;
        SockRef::from(&listener).listen(BACKLOG)?;
        Listener::from_tcp(listener)
    }

    /// Sets how many connections may wait to be accepted. By default 1,024.
    ///
    /// A listener that was inherited keeps the number that its creator chose. The system's own limit
    /// (`net.core.somaxconn` on Linux) applies too. The system rejects connections beyond it, or lets them retry. Raise
    /// it for bursts of new clients.
    ///
    /// # Errors
    ///
    /// If the system rejects the number.
    pub fn backlog(self, connections: u32) -> io::Result<Listener> {
        let connections = i32::try_from(connections).unwrap_or(i32::MAX);
        match &self.bound {
            Bound::Tcp(listener) => SockRef::from(listener).listen(connections)?,
            #[cfg(unix)]
            Bound::Unix(listener, _) => SockRef::from(listener).listen(connections)?,
        }
        Ok(self)
    }

    /// Takes a TCP socket that already listens, such as one from another process.
    ///
    /// # Errors
    ///
    /// If it cannot be made non-blocking.
    pub fn from_tcp(listener: TcpListener) -> io::Result<Listener> {
        listener.set_nonblocking(true)?;
        Ok(Listener::of(Bound::Tcp(listener)))
    }

    /// Listens at a Unix socket, whose file gets this `mode`, such as `0o660`.
    ///
    /// Clients that may write to the file can connect.
    ///
    /// If the path is a socket without a listener, as a killed server leaves it, it is replaced; any other file stays.
    /// The file is removed with the listener.
    ///
    /// # Errors
    ///
    /// If the path exists and is not a socket, if a process listens on the socket, or if the socket cannot be created.
    /// The message names the path.
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

    /// Takes a Unix socket that already listens; its file is left alone.
    ///
    /// # Errors
    ///
    /// If it cannot be made non-blocking.
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

    /// Takes the listening socket on standard input, as web servers and `spawn-fcgi` start their programs.
    ///
    /// # Errors
    ///
    /// If standard input is not a listening stream socket.
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
                let message = format!("standard input is not a listening socket: {error}");
                Err(io::Error::new(error.kind(), message))
            }
        }
    }

    /// The listening sockets with which this process was started, in order (systemd's socket activation).
    ///
    /// They are given by `LISTEN_FDS` and `LISTEN_PID`. The list is empty if the process was started without them.
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
    /// If one of them is not a listening stream socket.
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

    /// Reads addresses from the header of the PROXY protocol, on connections from these networks.
    ///
    /// The header has the client's address and the server's.
    ///
    /// Connections from these networks must begin with a header of version 1 or 2; others are served without it.
    ///
    /// # Security
    ///
    /// Clients in these networks can claim any address: list only the proxies. Connections that are
    /// [counted](crate::Server::max_connections_per_peer) by peer are still counted by the proxy's address.
    ///
    /// # Errors
    ///
    /// If one of them is neither a network, such as `10.0.0.0/8`, nor an address.
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

    /// The socket, for a protocol without TLS and the PROXY protocol.
    #[cfg(any(feature = "fastcgi", feature = "scgi"))]
    pub(crate) fn into_bare(self) -> io::Result<Bound> {
        let extra: Option<&str> = None;
        #[cfg(feature = "tls")]
        let extra = extra.or(self.tls.is_some().then_some("TLS"));
        #[cfg(feature = "proxy-protocol")]
        let extra = extra.or(self.proxies.is_some().then_some("the PROXY protocol"));
        if let Some(extra) = extra {
            let message = format!("a listener with {extra} only works with HTTP");
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

    /// Listens under another name first, so that no client connects before the mode is set.
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
            // The first error is returned.
            let _ = fs::remove_file(new);
            return Err(error);
        }
        Ok(listener)
    }

    /// Checks that a listener may be created here: no file, or a socket without a listener.
    fn check_place(path: &Path) -> io::Result<()> {
        let refused = |why: &str| Err(io::Error::new(io::ErrorKind::AddrInUse, why.to_owned()));
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(file) if !file.file_type().is_socket() => {
                refused("the path exists and is not a socket")
            }
            Ok(_) if is_stale(path) => Ok(()),
            Ok(_) => refused("another process listens on this socket"),
        }
    }

    /// Whether this is a socket without a listener.
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
            // An error cannot be reported here.
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
        assert!(message.starts_with("standard input is not a listening socket: "));
    }
}
