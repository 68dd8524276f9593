//! Certificates, and the TLS handshake.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use enfilade_core::Tls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{ProtocolVersion, RootCertStore, ServerConfig, ServerConnection};
use tokio_rustls::TlsAcceptor;

use crate::server::connection::stream::Stream;
use crate::server::connection::wire::Wire;

/// The certificates of a TLS [`Listener`](crate::Listener), selected by the name in the handshake (SNI, RFC 6066).
///
/// Files are PEM: the chain with the server's own certificate first, and its key as PKCS #8, PKCS #1 or SEC1. ALPN
/// selects HTTP/2 or HTTP/1.1 (RFC 7301). The versions are TLS 1.3 and 1.2.
///
/// ```no_run
/// use enfilade::{Application, Certificates, Listener, Request, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let certificates = Certificates::load("cert.pem", "key.pem")?.for_name("shop.example", "shop.pem", "shop.key")?;
/// let again = certificates.clone();
/// let app = Application::new(|_: Request| "Hello");
/// Server::new(Listener::tcp("0.0.0.0:443")?.tls(certificates))
///     .on_hangup(move || {
///         // A new certificate; open connections keep the old one.
///         if let Err(error) = again.reload() {
///             eprintln!("{error}");
///         }
///     })
///     .serve_forever(app)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "certificates do nothing until they are given to a listener"]
pub struct Certificates {
    files: CertificateFiles,
    config: Arc<ArcSwap<ServerConfig>>,
}

/// The files that everything was read from.
#[derive(Clone, Debug, Default)]
struct CertificateFiles {
    default: Option<KeyPairFiles>,
    named: Vec<(String, KeyPairFiles)>,
    clients: Option<(PathBuf, ClientCertificate)>,
}

#[derive(Clone, Debug)]
struct KeyPairFiles {
    chain: PathBuf,
    key: PathBuf,
}

/// Whether clients must have a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientCertificate {
    /// A client without a certificate, or with an invalid one, is rejected in the handshake.
    Required,
    /// A client without a certificate is served; a client with an invalid one is rejected.
    Optional,
}

impl Certificates {
    /// Reads a chain and its key.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, has no certificate or no key, or if the two do not belong together. The message names
    /// the file.
    pub fn load(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> io::Result<Certificates> {
        let files = CertificateFiles {
            default: Some(KeyPairFiles::new(chain.as_ref(), key.as_ref())),
            ..CertificateFiles::default()
        };
        Certificates::of(files)
    }

    /// Adds a chain and its key for this name; for another name, or none, clients get the first.
    ///
    /// # Errors
    ///
    /// As for [`load`](Certificates::load), and if the name is not a DNS name.
    pub fn for_name(
        mut self,
        name: &str,
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> io::Result<Certificates> {
        if rustls::pki_types::DnsName::try_from(name).is_err() {
            let message = format!("{name:?} is not a host name");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let pair = KeyPairFiles::new(chain.as_ref(), key.as_ref());
        self.files.named.push((name.to_ascii_lowercase(), pair));
        Certificates::of(self.files)
    }

    /// Requests a certificate from clients, issued by one of these authorities.
    ///
    /// [`Tls::peer_certificates`](enfilade_core::Tls::peer_certificates) has it.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or has no certificate of an authority.
    pub fn client_certificates(
        mut self,
        authorities: impl AsRef<Path>,
        certificate: ClientCertificate,
    ) -> io::Result<Certificates> {
        self.files.clients = Some((authorities.as_ref().to_owned(), certificate));
        Certificates::of(self.files)
    }

    /// Reads all files again, for new handshakes; open connections continue.
    ///
    /// It applies to all clones.
    ///
    /// # Errors
    ///
    /// As for [`load`](Certificates::load); then the previous certificates stay.
    pub fn reload(&self) -> io::Result<()> {
        self.config.store(Arc::new(self.files.read()?));
        Ok(())
    }

    fn of(files: CertificateFiles) -> io::Result<Certificates> {
        let config = Arc::new(ArcSwap::from_pointee(files.read()?));
        Ok(Certificates { files, config })
    }

    /// Shakes hands; returns the facts of TLS, and whether the client chose HTTP/2, if it said so.
    pub(super) async fn accept(&self, wire: Wire) -> io::Result<(Stream, Tls, Option<bool>)> {
        let acceptor = TlsAcceptor::from(self.config.load_full());
        let stream = acceptor.accept(wire).await?;
        let (_, connection) = stream.get_ref();
        let facts = facts(connection);
        let is_http2 = connection.alpn_protocol().map(|name| name == b"h2");
        Ok((Stream::tls(stream), facts, is_http2))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

fn facts(connection: &ServerConnection) -> Tls {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    };
    let chain = connection.peer_certificates().unwrap_or_default();
    let tls = Tls::new(version).with_peer_certificates(chain.iter().map(|der| der.to_vec()));
    match connection.server_name() {
        Some(name) => tls.with_server_name(name),
        None => tls,
    }
}

impl CertificateFiles {
    fn read(&self) -> io::Result<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let load = |pair: &KeyPairFiles| pair.read(&provider).map(Arc::new);
        let resolver = CertificateByName {
            default: self.default.as_ref().map(load).transpose()?,
            named: self
                .named
                .iter()
                .map(|(name, pair)| Ok((name.clone(), load(pair)?)))
                .collect::<io::Result<_>>()?,
        };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let mut config = match &self.clients {
            None => builder.with_no_client_auth(),
            Some((path, wanted)) => {
                let roots = Arc::new(authorities(path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = match wanted {
                    ClientCertificate::Required => verifier,
                    ClientCertificate::Optional => verifier.allow_unauthenticated(),
                };
                let verifier = verifier.build().map_err(|error| in_file(path, &error))?;
                builder.with_client_cert_verifier(verifier)
            }
        }
        .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        #[cfg(feature = "http2")]
        config.alpn_protocols.insert(0, b"h2".to_vec());
        // A resumed session would bypass changed authorities.
        if self.clients.is_some() {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(config)
    }
}

impl KeyPairFiles {
    fn new(chain: &Path, key: &Path) -> KeyPairFiles {
        KeyPairFiles {
            chain: chain.to_owned(),
            key: key.to_owned(),
        }
    }

    fn read(&self, provider: &rustls::crypto::CryptoProvider) -> io::Result<CertifiedKey> {
        let chain = certificates(&self.chain)?;
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| in_file(&self.key, &error))?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| in_file(&self.key, &error))
    }
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = read.map_err(|error| in_file(path, &error))?;
    if chain.is_empty() {
        return Err(in_file(path, &"no certificate found"));
    }
    Ok(chain)
}

fn authorities(path: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| in_file(path, &error))?;
    }
    Ok(roots)
}

fn in_file(path: &Path, error: &dyn fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{}: {error}", path.display()),
    )
}

/// Selects a certificate by the name that a client requests.
#[derive(Debug)]
struct CertificateByName {
    default: Option<Arc<CertifiedKey>>,
    named: Vec<(String, Arc<CertifiedKey>)>,
}

impl ResolvesServerCert for CertificateByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name();
        let is_asked = |name: &str| asked.is_some_and(|asked| asked.eq_ignore_ascii_case(name));
        let named = self.named.iter().find(|(name, _)| is_asked(name));
        named.map(|(_, key)| key).or(self.default.as_ref()).cloned()
    }
}
